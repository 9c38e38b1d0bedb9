# Convolutions (cross-correlations, as everywhere in deep learning). `kernel`, `stride`, `pad`, `dilation` are ints or
# tuples; `pad` may be "same" where the stride is 1.

# [B, c, l] to [B, out, ..]
block Conv1d[out: int, kernel, stride = 1, pad = 0, dilation = 1, groups: int = 1, bias: bool = true,
             init: init = fan_in_uniform](x: f32[B, c, l]) -> f32[B, out, ..] {
  let k = _each[kernel, 1]
  let per_group = _divided[c, groups, "channels", "groups"]
  let out = groups * _divided[out, groups, "output channels", "groups"]
  param weight: f32[out, per_group, k[0]] = init
  let y = _convolve[stride, pad, dilation, groups](x, weight)
  if bias {
    param bias: f32[out] = fan_in_uniform[per_group * k[0]]
    y = y + unsqueeze[1](bias)
  }
  return y
}

# [B, c, h, w] to [B, out, ..]
block Conv2d[out: int, kernel, stride = 1, pad = 0, dilation = 1, groups: int = 1, bias: bool = true,
             init: init = fan_in_uniform](x: f32[B, c, h, w]) -> f32[B, out, ..] {
  let kh, kw = _each[kernel, 2]
  let per_group = _divided[c, groups, "channels", "groups"]
  let out = groups * _divided[out, groups, "output channels", "groups"]
  param weight: f32[out, per_group, kh, kw] = init
  let y = _convolve[stride, pad, dilation, groups](x, weight)
  if bias {
    param bias: f32[out] = fan_in_uniform[per_group * kh * kw]
    y = y + unsqueeze[1](unsqueeze[1](bias))
  }
  return y
}

# [B, c, d, h, w] to [B, out, ..]
block Conv3d[out: int, kernel, stride = 1, pad = 0, dilation = 1, groups: int = 1, bias: bool = true,
             init: init = fan_in_uniform](x: f32[B, c, d, h, w]) -> f32[B, out, ..] {
  let kd, kh, kw = _each[kernel, 3]
  let per_group = _divided[c, groups, "channels", "groups"]
  let out = groups * _divided[out, groups, "output channels", "groups"]
  param weight: f32[out, per_group, kd, kh, kw] = init
  let y = _convolve[stride, pad, dilation, groups](x, weight)
  if bias {
    param bias: f32[out] = fan_in_uniform[per_group * kd * kh * kw]
    y = y + unsqueeze[1](unsqueeze[1](unsqueeze[1](bias)))
  }
  return y
}

# The gradient of a Conv1d with respect to its input: [B, c, l] to [B, out, ..]
block ConvTranspose1d[out: int, kernel, stride = 1, pad = 0, output_pad = 0, dilation = 1, groups: int = 1,
                      bias: bool = true, init: init = fan_in_uniform](x: f32[B, c, l]) -> f32[B, out, ..] {
  let k = _each[kernel, 1]
  let per_group = _divided[out, groups, "output channels", "groups"]
  let groups = c / _divided[c, groups, "channels", "groups"]
  param weight: f32[c, per_group, k[0]] = init
  let y = _convolve_transposed[stride, pad, output_pad, dilation, groups](x, weight)
  if bias {
    param bias: f32[out] = fan_in_uniform[per_group * k[0]]
    y = y + unsqueeze[1](bias)
  }
  return y
}

# The gradient of a Conv2d with respect to its input: [B, c, h, w] to [B, out, ..]
block ConvTranspose2d[out: int, kernel, stride = 1, pad = 0, output_pad = 0, dilation = 1, groups: int = 1,
                      bias: bool = true, init: init = fan_in_uniform](x: f32[B, c, h, w]) -> f32[B, out, ..] {
  let kh, kw = _each[kernel, 2]
  let per_group = _divided[out, groups, "output channels", "groups"]
  let groups = c / _divided[c, groups, "channels", "groups"]
  param weight: f32[c, per_group, kh, kw] = init
  let y = _convolve_transposed[stride, pad, output_pad, dilation, groups](x, weight)
  if bias {
    param bias: f32[out] = fan_in_uniform[per_group * kh * kw]
    y = y + unsqueeze[1](unsqueeze[1](bias))
  }
  return y
}

# A convolution of each channel, then one of single pixels  (Chollet 2016)
block SeparableConv2d[out: int, kernel, stride = 1, pad = 0, dilation = 1,
                      bias: bool = true](x: f32[B, c, h, w]) -> f32[B, out, ..] {
  let depthwise = Conv2d[c, kernel, stride, pad, dilation, groups=c, bias=false]
  let pointwise = Conv2d[out, 1, bias=bias]
  return x |> depthwise |> pointwise
}
