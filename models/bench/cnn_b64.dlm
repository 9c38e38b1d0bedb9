# Four convolutions and two dense layers, batches of 64: one training step with momentum on random images.
data images = synthetic[256, "f32[3, 32, 32]", "i32 0..10"]

block Cnn[classes: int](x: f32[B, 3, 32, 32]) -> f32[B, classes] {
  return x |> Conv2d[32, 3, pad=1] |> relu |> Conv2d[32, 3, pad=1] |> relu |> max_pool2d[2]
           |> Conv2d[64, 3, pad=1] |> relu |> Conv2d[64, 3, pad=1] |> relu |> max_pool2d[2]
           |> flatten |> Linear[256] |> relu |> Linear[classes]
}

train cnn[epochs=1] {
  let net = Cnn[10]
  let opt = sgd[lr=0.01, momentum=0.9](net)
  step (x, y) in images.train |> batch[64] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
