data images = digits[] |> resize[28, 28]

block Generator(z: f32[B, 64]) -> f32[B, 1, 28, 28] {
  return z |> Linear[128] |> relu |> Linear[784] |> tanh |> reshape[B, 1, 28, 28]
}

block Discriminator(x: f32[B, 1, 28, 28]) -> f32[B, 1] {
  return x |> flatten |> Linear[128] |> leaky_relu[0.2] |> Linear[1]
}

train gan[epochs=20, seed=7] {
  let g = Generator
  let d = Discriminator
  let og = adam[lr=2e-4, beta1=0.5](g)
  let od = adam[lr=2e-4, beta1=0.5](d)
  step (real, _) in images.train |> shuffle |> batch[64] {
    let fake = g(randn[B, 64])
    let ld = bce_logits(d(real), 0.9) + bce_logits(d(stop_grad(fake)), 0)
    minimize ld with od
    let lg = bce_logits(d(fake), 1)          # d is already updated
    minimize lg with og
    report ld, lg
  }
}
