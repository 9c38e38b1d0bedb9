# WGAN with gradient penalty (Gulrajani et al. 2017): the loss holds the norm of a gradient, so its own gradient has second
# derivatives. The critic learns four times for each time that the generator does.
# Reaches a distance between real and drawn digits near 1 (120 epochs, 21 s); the pictures are in runs/wgan/images.
data images = digits[] |> scale[2, -1]

block Generator(z: f32[B, d]) -> f32[B, 1, 8, 8] {
  return z |> Linear[128] |> relu |> Linear[128] |> relu |> Linear[64] |> tanh
           |> reshape[B, 1, 8, 8]
}

block Critic(x: f32[B, 1, 8, 8]) -> f32[B] {
  return x |> flatten |> Linear[128] |> silu |> Linear[128] |> silu |> Linear[1] |> squeeze[1]
}

train wgan[epochs=120, seed=7] {
  let g = Generator
  let c = Critic
  let og = adam[lr=5e-4, beta1=0, beta2=0.9](g)
  let oc = adam[lr=1e-3, beta1=0, beta2=0.9](c)
  step (real, _) in images.train |> shuffle |> batch[64] {
    let fake = stop_grad(g(randn[B, 16]))
    let mix = rand[B, 1, 1, 1]
    let between = mix * real + (1 - mix) * fake
    let slope = grad(sum(c(between)), between)
    let norm = sqrt(sum[axis=(1, 2, 3)](slope ^ 2) + 1e-12)
    let penalty = mean((norm - 1) ^ 2)
    let distance = mean(c(real)) - mean(c(fake))
    let loss = 10 * penalty - distance
    minimize loss with oc
    if iter % 4 == 3 {
      let lg = -mean(c(g(randn[B, 16])))
      minimize lg with og
    }
    report distance, penalty
  }
  eval (real, _) in images.test |> batch[90] {
    report distance = mean(c(real)) - mean(c(g(randn[B, 16]))),
           samples = 0.5 * g(randn[64, 16]) + 0.5
  }
}
