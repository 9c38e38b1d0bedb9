# A mixture of experts (Jacobs et al. 1991; Shazeer et al. 2017): a softmax gate weighs four small nets, and a penalty
# keeps all of them in use.
# Reaches 90 % of the digits that are held back, its experts evenly used (20 epochs, less than a second).
data images = digits[] |> normalize[0.31, 0.37]

block Expert[hidden: int, out: int](x: f32[B, d]) -> f32[B, out] {
  return x |> Linear[hidden] |> relu |> Linear[out]
}

block Mixture[experts: int, hidden: int, classes: int](x: f32[B, d]) -> f32[B, classes],
                                                                        f32[B, experts] {
  let gate = x |> Linear[experts] |> softmax
  let ys = []
  for i in 0..experts { ys = ys + [x |> Expert[hidden, classes]] }
  return einsum["b e, b e c -> b c"](gate, stack[axis=1](ys)), gate
}

# how unevenly the gate uses its experts: 1 where all alike, `experts` where only one
fn imbalance(gate: f32[B, e]) -> f32 {
  let use = mean[axis=0](gate)
  return e * sum(use ^ 2)
}

train moe[epochs=20, seed=1] {
  let net = Mixture[4, 16, 10]
  let opt = adam[lr=5e-3 * cosine](net)
  step (x, y) in images.train |> shuffle |> batch[32] {
    let logits, gate = net(flatten(x))
    let loss = cross_entropy(logits, y)
    let uneven = imbalance(gate)
    let total = loss + 0.05 * uneven
    minimize total with opt
    report loss, uneven
  }
  eval (x, y) in images.test |> batch[90] {
    let logits, gate = net(flatten(x))
    report cross_entropy(logits, y), accuracy(logits, y), uneven = imbalance(gate)
  }
}
