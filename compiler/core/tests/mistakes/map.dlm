# train
data images = digits[] |> map[0.5]
data noisy = digits[] |> map[spoil]
data single = digits[] |> map[halved, halved]
data pairs = digits[] |> map[three]
data more = digits[] |> map[doubled]

fn spoil(x: f32[1, h, w]) -> f32[1, h, w] { return x + randn[1, h, w] }
fn halved(x: f32[..]) -> f32[..] { return x / 2 }
fn three(x, y, z) { return x, y, z }
fn doubled(x: f32[..]) { return x, x }

train run[epochs=1] {
  let net = Linear[10]
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[8] {
    let loss = cross_entropy(net(flatten(x)), y)
    minimize loss with opt
  }
  eval (x, y) in noisy.train |> batch[8] { report a = mean(x) }
  eval single (x, y) in single.train |> batch[8] { report b = mean(x) }
  eval pairs (x, y) in pairs.train |> batch[8] { report c = mean(x) }
  eval more (x, y) in more.train |> batch[8] { report d = mean(x) }
}
