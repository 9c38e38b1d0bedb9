# LeNet-5, inference of a thousand images at once.
data images = synthetic[2000, "f32[1, 28, 28]", "i32 0..10"]

block LeNet[classes: int](x: f32[B, 1, 28, 28]) -> f32[B, classes] {
  return x |> Conv2d[6, 5]  |> relu |> max_pool2d[2]
           |> Conv2d[16, 5] |> relu |> max_pool2d[2]
           |> flatten |> Linear[120] |> relu |> Linear[84] |> relu |> Linear[classes]
}

train lenet[epochs=1] {
  let net = LeNet[10]
  eval (x, _) in images.train |> batch[1000] {
    report logits = mean[0](net(x))
  }
}
