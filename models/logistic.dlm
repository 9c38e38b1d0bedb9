# Logistic regression by hand: is a digit even? One parameter vector, the loss written out, no library layer.
# Reaches 89 % (60 epochs, less than a second).
data images = digits[]

block Logistic(x: f32[B, 1, 8, 8]) -> f32[B] {
  param weight: f32[64] = zeros
  param bias: f32 = zeros
  return einsum["b i, i -> b"](flatten(x), weight) + bias
}

# the negative log-likelihood of y in {0, 1}, given the log of the odds
fn log_loss(z: f32[B], y: f32[B]) -> f32 { return mean(softplus(z) - y * z) }

train logistic[epochs=60, seed=1] {
  let net = Logistic
  let opt = sgd[lr=0.5, momentum=0.9, decay=1e-4](net)
  step (x, y) in images.train |> shuffle |> batch[64] {
    let loss = log_loss(net(x), f32(y % 2 == 0))
    minimize loss with opt
    report loss
  }
  eval (x, y) in images.test |> batch[100] {
    let z = net(x)
    let even = y % 2 == 0
    report log_loss(z, f32(even)), accuracy = mean(f32((z > 0) == even))
  }
}
