# train
data images = digits[]

block Net(x: f32[B, 1, h, w]) -> f32[B, 10], f32[B, 2] {
  let shared = x |> flatten |> Linear[20] |> relu
  let head = Linear[10]
  let side = Linear[2]
  return head(shared), side(shared)
}

train run[epochs=1] {
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[8] {
    let logits, extra = net(x)
    let loss = cross_entropy(logits, y)
    minimize loss with opt
    report loss, size = mean(extra)
  }
}
