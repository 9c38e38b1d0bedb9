# train
data images = digits[]

block Halve(x: f32[..]) -> f32[..] { return x / 2 }

train run[epochs=1] {
  let net = Linear[10]
  let halve = Halve
  let opt = sgd[lr=0.1](net, halve)
  step (x, y) in images.train |> batch[8] {
    let loss = cross_entropy(net(halve(flatten(x))), y)
    minimize loss with opt
  }
}
