# A perceptron of three layers, batches of 128: one training step with Adam on random vectors.
data vectors = synthetic[512, "f32[784]", "i32 0..10"]

block Mlp[classes: int](x: f32[B, 784]) -> f32[B, classes] {
  return x |> Linear[512] |> relu |> Linear[256] |> relu |> Linear[classes]
}

train mlp[epochs=1] {
  let net = Mlp[10]
  let opt = adam[lr=1e-3](net)
  step (x, y) in vectors.train |> batch[128] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
