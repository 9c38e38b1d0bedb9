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
