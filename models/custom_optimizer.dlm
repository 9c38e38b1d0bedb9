# An optimizer of one's own: five lines of update rule, with state for each parameter. AMSGrad (Reddi et al. 2018), whose
# step never grows again once a large gradient has been seen.
# Reaches 92 % of the digits that are held back (20 epochs, less than a second).
data images = digits[] |> normalize[0.31, 0.37]

optimizer amsgrad[lr: schedule = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8](
  p,
  g,
) {
  state m = zeros
  state v = zeros
  state largest = zeros
  m <- beta1 * m + (1 - beta1) * g
  v <- beta2 * v + (1 - beta2) * g ^ 2
  largest <- maximum(largest, v / (1 - beta2 ^ t))
  p <- p - lr * m / (1 - beta1 ^ t) / (sqrt(largest) + eps)
}

# a schedule of one's own: up along a line, then down along one
fn triangle[peak: float = 0.3] -> schedule {
  let at = iter / steps
  return minimum(at / peak, (1 - at) / (1 - peak))
}

block Net[classes: int](x: f32[B, ..]) -> f32[B, classes] {
  return x |> flatten |> Linear[64] |> relu |> Linear[classes]
}

train custom[epochs=20, seed=1] {
  let net = Net[10]
  let opt = amsgrad[lr=0.01 * triangle](net)
  step (x, y) in images.train |> shuffle |> batch[32] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
  eval (x, y) in images.test |> batch[100] {
    let logits = net(x)
    report cross_entropy(logits, y), accuracy(logits, y)
  }
}
