# DCGAN (Radford et al. 2015) on digits: upsampling and convolutions draw, strided convolutions judge, each side with its
# own optimizer.
# Reaches images that look like digits (40 epochs, a minute); they are in runs/gan/images.
data images = digits[] |> scale[2, -1]

block Generator[c: int](z: f32[B, d]) -> f32[B, 1, 8, 8] {
  return z |> reshape[B, d, 1, 1] |> ConvTranspose2d[4 * c, 2, bias=false] |> BatchNorm |> relu
           |> upsample[2] |> Conv2d[2 * c, 3, pad=1, bias=false] |> BatchNorm |> relu
           |> upsample[2] |> Conv2d[1, 3, pad=1] |> tanh
}

block Discriminator[c: int](x: f32[B, 1, 8, 8]) -> f32[B] {
  return x |> Conv2d[c, 4, stride=2, pad=1] |> leaky_relu[0.2]
           |> Conv2d[2 * c, 4, stride=2, pad=1] |> leaky_relu[0.2]
           |> flatten |> dropout[0.3] |> Linear[1] |> squeeze[1]
}

train gan[epochs=40, seed=7] {
  let g = Generator[8]
  let d = Discriminator[8]
  let og = adam[lr=1e-3, beta1=0.5](g)
  let od = adam[lr=5e-4, beta1=0.5](d)
  step (real, _) in images.train |> shuffle |> batch[64] {
    let fake = g(randn[B, 32])
    let ld = bce_logits(d(real), 0.9) + bce_logits(d(stop_grad(fake)), 0)
    minimize ld with od
    let lg = bce_logits(d(fake), 1)          # d is already updated
    minimize lg with og
    report ld, lg
  }
  eval (real, _) in images.test |> batch[90] {
    let fake = g(randn[64, 32])
    report real_score = mean(sigmoid(d(real))), samples = 0.5 * fake + 0.5
  }
}
