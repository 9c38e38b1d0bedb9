# Every construct of the language at least once; what it computes has no sense.
import "layers/blocks.dlm" as blocks

let width = 64   # trailing
let sizes = [1, 2, 3,]
let pair = (1, "two\n\"quoted\"")
let one = (1,)
let big = 1_000_000
let small = -2.5e-3 ^ 2 ^ -1

data text = text["corpus.txt"] |> chars |> window[128] |> split[0.9]
data both = zip(a.train |> batch[32], b.train |> shuffle |> batch[96])

fn staircase[every: int, gamma: float] -> schedule { return gamma ^ floor(iter / every) }

fn pick[k: (int, int) = (3, 3), axes: [int] = [0, -1], act: fn = relu, body: block, any](
  x: f32[B, .., 2 * n], mask: bool[..] = none, flag: bool = none,
) -> f32[B, ..], (i32, i32), [f32] {
  let a = x[:, 1:3, ::2][.., 0][-1][1:][:n][a:b:c]
  let b, c = f(x, mask=mask)
  if mask == none and not flag or k[0] >= 2 { a = b } else if k[1] != 3 { a = c } else { b = a }
  for i, s in [(16, 1), (32, 2)] { a = a |> act }
  for i in 0..n + 1 { a, b = f(b, a) }
  let s = if n < 2 { x } else if n < 3 { y } else { z }
  let m = -a @ b % c / d * e - (a + b |> f) <= 3
  return act(a), (1, 2), [a, b]
}

fn swap(a, b) -> f32 { return b }

block Norm[init: init = ones, metric: metric = none](x: u8[B, n]) -> bf16 {
  param weight: f32[n] = init
  state mean: f32[n] = zeros
  if training { mean <- mean * 0.9 + mean(x) }
  return blocks.Inner.in[training=false](x).train
}

optimizer plain[lr: schedule = 1e-3](p, g) {
  state m = zeros
  m <- m + g
  p <- p - lr * m
}

train run[epochs=2, width: int = 64, freeze=["*.bias", "head.*"]] {
  let net = Norm
  let opt = plain[lr=0.1 * warmup[10]](net.enc, net.head)
  step ((x, y), (u, _)) in both {
    let loss = mse(net(x), y)
    minimize loss with opt
    if iter > 10 { report loss, other = loss * 2 }
  }
  eval x in text.test { report net(x) }
  eval valid (x, y) in text.valid |> batch[10] { report top5 = top_k[5](net(x), y), accuracy(x, y) }
}
