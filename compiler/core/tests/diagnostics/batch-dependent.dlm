data images = digits[]

block Net(x: f32[B, 1, 16, 16]) -> f32[B, 10] {
  param mask: f32[B] = zeros
  return x |> flatten |> Linear[10]
}

train run[epochs=1] {
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[8] {
    let loss = cross_entropy(net(x), y) + mean(x[:6]) + mean(x[9])
    minimize loss with opt
  }
}
