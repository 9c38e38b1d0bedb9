# Layers. Names, layouts and defaults of weights are PyTorch's.

# y = x W^T + b on the last axis: [.., n] to [.., out]
block Linear[out: int, bias: bool = true, init: init = fan_in_uniform](x: f32[.., n]) -> f32[.., out] {
  param weight: f32[out, n] = init
  let y = einsum[".. i, o i -> .. o"](x, weight)
  if bias {
    param bias: f32[out] = fan_in_uniform[n]
    y = y + bias
  }
  return y
}

# a row of a table for each id: i32[..] to [.., dim]
block Embedding[count: int, dim: int, init: init = normal](ids: i32[..]) -> f32[.., dim] {
  param weight: f32[count, dim] = init
  return gather(weight, ids)
}

# x where positive, else a x with a learned  (He et al. 2015)
block PReLU[init: init = constant[0.25]](x: f32[..]) -> f32[..] {
  param weight: f32[1] = init
  return where(x > 0, x, weight * x)
}
