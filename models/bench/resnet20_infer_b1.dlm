# ResNet-20, inference of one small image.
data images = synthetic[64, "f32[3, 32, 32]", "i32 0..10"]

block Residual[c: int, stride: int = 1](x: f32[B, cin, h, w]) -> f32[B, c, ..] {
  let y = x |> Conv2d[c, 3, stride=stride, pad=1, bias=false] |> BatchNorm |> relu
            |> Conv2d[c, 3, pad=1, bias=false] |> BatchNorm
  let s = if stride == 1 and cin == c { x } else {
            x |> Conv2d[c, 1, stride=stride, bias=false] |> BatchNorm }
  return relu(y + s)
}

block ResNet[width: int, blocks: int, classes: int](x: f32[B, 3, 32, 32]) -> f32[B, classes] {
  let h = x |> Conv2d[width, 3, pad=1, bias=false] |> BatchNorm |> relu
  for c, s in [(width, 1), (2 * width, 2), (4 * width, 2)] {
    h = h |> Residual[c, stride=s]
    for i in 1..blocks { h = h |> Residual[c] }
  }
  return h |> global_avg_pool |> Linear[classes]
}

train resnet20[epochs=1] {
  let net = ResNet[16, 3, 10]
  eval (x, _) in images.train |> batch[1] {
    report logits = mean[0](net(x))
  }
}
