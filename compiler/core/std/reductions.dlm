# Reductions that the primitives make up. `axis` is an int, a tuple, or none for all; `keep` leaves 1s.

# mean((x - mean(x))^2); divides by n
fn var[axis = none, keep: bool = false](x: f32[..]) -> f32[..] {
  let d = x - mean[axis, keep=true](x)
  return mean[axis, keep](d * d)
}

# sqrt(var(x)); divides by n. Where nothing varies the gradient is 0, as PyTorch's
fn std[axis = none, keep: bool = false](x: f32[..]) -> f32[..] {
  let v = var[axis, keep](x)
  return where(v > 0, sqrt(where(v > 0, v, 1)), v)
}

# log(sum(exp(x))); the largest is subtracted, so that nothing overflows
fn logsumexp[axis = none, keep: bool = false](x: f32[..]) -> f32[..] {
  let m = stop_grad(max[axis, keep=true](x))
  let m = where(abs(m) < 1e38, m, 0)
  let s = log(sum[axis, keep=true](exp(x - m))) + m
  if keep { return s }
  return sum[axis](s)
}

# the k largest along an axis, largest first, and their positions; with axis=none of all elements. The axis stays, k long
fn topk[k: int, axis = -1, keep: bool = true](x: f32[..]) -> f32[..], i32[..] {
  let x = if axis == none { reshape[-1](x) } else { x }
  let axis = if axis == none { 0 } else { axis }
  let k = _require["k", k >= 1 and k <= x.shape[axis], "is at least 1, and no more than the axis has"]
  let values = []
  let places = []
  let rest = x
  let free = x == x or x != x
  for i in 0..k {
    let best = max[axis](rest)
    # where only minus infinity is left, the first place that was not given yet
    let place = where(best == -1e30 * 1e30, argmax[axis](f32(free)), argmax[axis](rest))
    let hit = _positions[axis](x) == unsqueeze[axis](place)
    values = values + [best]
    places = places + [place]
    rest = where(hit, -1e30 * 1e30, rest)
    free = free and not hit
  }
  return stack[axis=axis](values), stack[axis=axis](places)
}
