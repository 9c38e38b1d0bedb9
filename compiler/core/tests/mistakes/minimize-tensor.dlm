# train
data images = digits[]

train run[epochs=1] {
  let net = Linear[10]
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[8] {
    let losses = (net(flatten(x)) - f32(unsqueeze[-1](y))) ^ 2
    minimize losses with opt
  }
}
