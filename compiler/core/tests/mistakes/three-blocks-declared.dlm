# train
data images = digits[]

block Head(x: f32[B, 100]) -> f32[B, 10] { return x |> Linear[10] }

block Body(x: f32[B, c, h, w]) -> f32[B, 10] { return x |> Conv2d[4, 3] |> flatten |> Head }

block Net(x: f32[B, 1, h, w]) -> f32[B, 10] { return x |> Body }

train run[epochs=1] {
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[8] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
  }
}
