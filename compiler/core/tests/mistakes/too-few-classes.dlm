# train
data images = digits[]

block Net(x: f32[B, 1, h, w]) -> f32[B, 9] { return x |> flatten |> Linear[9] }

train run[epochs=1] {
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[8] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
