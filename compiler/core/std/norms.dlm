# Normalizations; `eps` is 1e-5 throughout.

# each channel over batch and positions  (Ioffe, Szegedy 2015); running statistics follow PyTorch: the stored variance
# is unbiased, over a single value biased
block BatchNorm[momentum: float = 0.1, eps: float = 1e-5, affine: bool = true](x: f32[N, c, ..]) -> f32[N, c, ..] {
  state running_mean: f32[c] = zeros
  state running_var: f32[c] = ones
  let rest = 2..len(x.shape)
  let axes = [0] + rest
  let m = running_mean
  let v = running_var
  if training {
    m = mean[axes](x)
    v = var[axes](x)
    let n = _count[axes](x)
    running_mean <- (1 - momentum) * running_mean + momentum * stop_grad(m)
    running_var <- (1 - momentum) * running_var + momentum * stop_grad(v) * (n / maximum(n - 1, 1))
  }
  let scale = rsqrt(v + eps)
  for i in rest {
    m = unsqueeze[-1](m)
    scale = unsqueeze[-1](scale)
  }
  let y = (x - m) * scale
  if affine {
    param weight: f32[c] = ones
    param bias: f32[c] = zeros
    let w = weight
    let b = bias
    for i in rest {
      w = unsqueeze[-1](w)
      b = unsqueeze[-1](b)
    }
    y = y * w + b
  }
  return y
}

# the last axis of each sample  (Ba et al. 2016)
block LayerNorm[eps: float = 1e-5](x: f32[.., n]) -> f32[.., n] {
  param weight: f32[n] = ones
  param bias: f32[n] = zeros
  let d = x - mean[axis=-1, keep=true](x)
  return d * rsqrt(mean[axis=-1, keep=true](d * d) + eps) * weight + bias
}

# x / sqrt(mean(x^2)) on the last axis  (Zhang, Sennrich 2019)
block RMSNorm[eps: float = 1e-5](x: f32[.., n]) -> f32[.., n] {
  param weight: f32[n] = ones
  return x * rsqrt(mean[axis=-1, keep=true](x * x) + eps) * weight
}

# groups of channels of each sample  (Wu, He 2018)
block GroupNorm[groups: int, eps: float = 1e-5](x: f32[B, c, ..]) -> f32[B, c, ..] {
  param weight: f32[c] = ones
  param bias: f32[c] = zeros
  let groups = c / _divided[c, groups, "channels", "groups"]
  let parts = reshape[B, groups, -1](x)
  let d = parts - mean[axis=-1, keep=true](parts)
  let y = reshape[x.shape](d * rsqrt(mean[axis=-1, keep=true](d * d) + eps))
  let w = weight
  let b = bias
  for i in 2..len(x.shape) {
    w = unsqueeze[-1](w)
    b = unsqueeze[-1](b)
  }
  return y * w + b
}

# each channel of each sample over its positions  (Ulyanov et al. 2016); nothing learned, as in PyTorch
block InstanceNorm[eps: float = 1e-5](x: f32[B, c, ..]) -> f32[B, c, ..] {
  let axes = 2..len(x.shape)
  let d = x - mean[axes, keep=true](x)
  return d * rsqrt(mean[axes, keep=true](d * d) + eps)
}
