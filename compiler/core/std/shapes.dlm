# Shapes that the primitives make up.

# i32[..] to f32[.., n]: 1 at the class, else 0
fn one_hot[n: int](ids: i32[..]) -> f32[..] { return f32(_is_class[n, -1](ids)) }

# [B, C, ..] with one to three more axes, each k times as long: an int for all, or a tuple. Corners are unaligned; mode
# "nearest", or "linear", "bilinear", "trilinear" for one, two, three axes
fn upsample[k, mode: str = "nearest"](x: f32[B, c, ..]) -> f32[B, c, ..] {
  let rank = len(x.shape) - 2
  let k = _require["k", rank >= 1 and rank <= 3, "is for one to three axes after the channels"]
  let linear = if rank == 1 { "linear" } else if rank == 2 { "bilinear" } else { "trilinear" }
  let mode = _require["mode", mode == "nearest" or mode == linear, "is \"nearest\", or \"linear\", \"bilinear\", \"trilinear\" for one, two, three axes"]
  let k = _require["k", min(_each[k, rank]) >= 1, "is at least 1"]
  let factors = _each[k, rank]
  let y = _stretched[factors[0], 2, mode](x)
  if rank > 1 { y = _stretched[factors[1], 3, mode](y) }
  if rank > 2 { y = _stretched[factors[2], 4, mode](y) }
  return y
}

fn _stretched[k: int, axis: int, mode: str](x: f32[..]) -> f32[..] {
  if mode == "nearest" { return _join[axis](repeat[k, axis + 1](unsqueeze[axis + 1](x))) }
  let n = x.shape[axis]
  let first, rest = split[axis, (1, n - 1)](x)
  let most, last = split[axis, (n - 1, 1)](x)
  let before = concat[axis](first, most)
  let after = concat[axis](rest, last)
  # a new position is a mix of two old ones
  let rows = []
  for i in 0..k {
    let at = (i + 0.5) / k - 0.5
    rows = rows + [if at < 0 { x * (1 + at) + before * -at } else { x * (1 - at) + after * at }]
  }
  return _join[axis](stack[axis=axis + 1](rows))
}

# [B, C r r, H, W] to [B, C, H r, W r]  (Shi et al. 2016)
fn pixel_shuffle[r: int](x: f32[B, c, h, w]) -> f32[B, ..] {
  let c = _divided[c, r * r, "channels", "parts of a pixel"]
  return rearrange["b (c p q) h w -> b c (h p) (w q)", c=c, p=r, q=r](x)
}
