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

# the k largest along an axis, largest first, and their positions
fn topk[k: int, axis: int = -1](x: f32[..]) -> f32[..], i32[..] {
  let values = []
  let places = []
  let rest = x
  for i in 0..k {
    let place = argmax[axis](rest)
    let hit = _positions[axis](x) == unsqueeze[axis](place)
    values = values + [max[axis](rest)]
    places = places + [place]
    rest = where(hit, -1e30 * 1e30, rest)
  }
  return stack[axis=axis](values), stack[axis=axis](places)
}
