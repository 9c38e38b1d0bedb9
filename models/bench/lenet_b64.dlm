# LeNet-5, batches of 64: one training step with momentum on random images.
data images = synthetic[256, "f32[1, 28, 28]", "i32 0..10"]

block LeNet[classes: int](x: f32[B, 1, 28, 28]) -> f32[B, classes] {
  return x |> Conv2d[6, 5]  |> relu |> max_pool2d[2]
           |> Conv2d[16, 5] |> relu |> max_pool2d[2]
           |> flatten |> Linear[120] |> relu |> Linear[84] |> relu |> Linear[classes]
}

train lenet[epochs=1] {
  let net = LeNet[10]
  let opt = sgd[lr=0.01, momentum=0.9](net)
  step (x, y) in images.train |> batch[64] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
