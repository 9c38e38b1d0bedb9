data images = digits[] |> resize[28, 28]

block Linear[out: int, bias: bool = true, init: init = fan_in_uniform](x: f32[.., n]) -> f32[.., out] {
  param weight: f32[out, n] = init
  let y = einsum[".. i, o i -> .. o"](x, weight)
  if bias {
    param bias: f32[out] = fan_in_uniform[n]
    y = y + bias
  }
  return y
}

optimizer adam[lr: schedule = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, decay: float = 0](p, g) {
  state m = zeros
  state v = zeros
  let g = g + decay * p
  m <- beta1 * m + (1 - beta1) * g
  v <- beta2 * v + (1 - beta2) * g ^ 2
  p <- p - lr * (m / (1 - beta1 ^ t)) / (sqrt(v / (1 - beta2 ^ t)) + eps)      # t: this optimizer's updates, from 1
}

block Net(x: f32[B, 1, 28, 28]) -> f32[B, 10] {
  return x |> flatten |> Linear[16, init=normal[0.1]] |> tanh |> Linear[10]
}

train adam[epochs=2, width: int = 64] {
  let net = Net
  let rate = 0.1 * cosine[total=100]
  let opt = adam[lr=rate * warmup[10]](net)
  step (x, y) in images.train |> shuffle |> batch[width] {
    let loss = cross_entropy[weight=1 / images.train.class_counts](net(x), y)
    minimize loss with opt
    report loss
  }
  eval valid (x, y) in images.test |> batch[100] {
    report accuracy(net(x), y), top5 = top_k[5](net(x), y)
  }
}
