# Shapes that the primitives make up.

# i32[..] to f32[.., n]: 1 at the class, else 0
fn one_hot[n: int](ids: i32[..]) -> f32[..] { return f32(_is_class[n, -1](ids)) }

# [B, C, H, W] to [B, C, k H, k W], corners unaligned; mode "nearest" or "bilinear"; k for both axes, or (kh, kw)
fn upsample[k, mode: str = "nearest"](x: f32[B, c, h, w]) -> f32[B, c, ..] {
  let kh, kw = _each[k, 2]
  if mode == "nearest" {
    let wide = expand[-1, -1, -1, kh, -1, kw](unsqueeze[-1](unsqueeze[3](x)))
    return reshape[B, c, h * kh, w * kw](wide)
  }
  return _stretch[kw](_stretch[kh](x) |> transpose[2, 3]) |> transpose[2, 3]
}

# linear interpolation along axis 2: a new position is a mix of two old ones
fn _stretch[k: int](x: f32[B, c, h, w]) -> f32[B, c, ..] {
  let before = concat[axis=2](x[:, :, 0:1], x[:, :, 0:h - 1])
  let after = concat[axis=2](x[:, :, 1:h], x[:, :, h - 1:h])
  let rows = []
  for i in 0..k {
    let at = (i + 0.5) / k - 0.5
    rows = rows + [if at < 0 { x * (1 + at) + before * -at } else { x * (1 - at) + after * at }]
  }
  return reshape[B, c, h * k, w](stack[axis=3](rows))
}

# [B, C r r, H, W] to [B, C, H r, W r]  (Shi et al. 2016)
fn pixel_shuffle[r: int](x: f32[B, c, h, w]) -> f32[B, ..] {
  let c = _divided[c, r * r, "channels", "parts of a pixel"]
  return rearrange["b (c p q) h w -> b c (h p) (w q)", c=c, p=r, q=r](x)
}
