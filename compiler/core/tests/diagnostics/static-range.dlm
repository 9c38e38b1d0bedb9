data images = digits[]

block Net(x: f32[B, 1, 16, 16]) -> f32[B, 10] {
  return x |> flatten |> Linear[10]
}

train run[epochs=1] {
  let net = Net
  let opt = sgd[lr=0.1, momentum=-0.9](net)
  step (x, y) in images.train |> batch[8] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
