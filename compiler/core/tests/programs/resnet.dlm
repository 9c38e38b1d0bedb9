data images = digits[] |> resize[32, 32]

block Res[c: int, stride: int = 1](x: f32[B, cin, h, w]) -> f32[B, c, ..] {
  let y = x |> Conv2d[c, 3, stride=stride, pad=1, bias=false] |> BatchNorm |> relu
            |> Conv2d[c, 3, pad=1, bias=false] |> BatchNorm
  let s = if stride == 1 and cin == c { x } else {
            x |> Conv2d[c, 1, stride=stride, bias=false] |> BatchNorm }
  return relu(y + s)
}

block ResNet[n: int, classes: int](x: f32[B, 3, 32, 32]) -> f32[B, classes] {
  let h = x |> Conv2d[16, 3, pad=1, bias=false] |> BatchNorm |> relu
  for c, s in [(16, 1), (32, 2), (64, 2)] {
    h = h |> Res[c, stride=s]
    for i in 1..n { h = h |> Res[c] }
  }
  return h |> global_avg_pool |> Linear[classes]
}

block Rgb[n: int, classes: int](x: f32[B, 1, 32, 32]) -> f32[B, classes] {
  let net = ResNet[n, classes]
  return net(concat[axis=1](x, x, x))
}

train resnet[epochs=1] {
  let net = Rgb[2, 10]
  let opt = sgd[lr=0.1 * cosine, momentum=0.9, no_decay=["*.bias", "*norm*"], decay=1e-4](net)
  step (x, y) in images.train |> shuffle |> batch[32] {
    let loss = cross_entropy[smoothing=0.1](net(x), y)
    minimize loss with opt
    report loss
  }
  eval (x, y) in images.test |> batch[100] { report accuracy(net(x), y) }
}
