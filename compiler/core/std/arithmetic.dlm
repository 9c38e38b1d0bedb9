# Arithmetic that the primitives make up.

# x, but no less than lo and no more than hi; of floats or integers. The gradient at a bound is 1, as inside
fn clamp[lo, hi](x) {
  let y = where(x < lo, lo, x)
  return where(y > hi, hi, y)
}

# value where the mask is true, else x; of floats or integers
fn masked_fill[value](x, mask: bool[..]) { return where(mask, value, x) }

# minus infinity where j > i on the last two axes: position i sees none after it
fn causal_mask(x: f32[.., n, m]) -> f32[.., n, m] {
  return where(_positions[-1](x) > _positions[-2](x), -1e30 * 1e30, x)
}

# 0 with probability p while training, else x / (1 - p)  (Srivastava et al. 2014)
fn dropout[p: float = 0.5](x: f32[..]) -> f32[..] {
  let p = _require["p", p >= 0 and p <= 1, "is a probability, from 0 to 1"]
  if not training or p == 0 { return x }
  if p == 1 { return 0 * x }
  return where(_rand_like(x) < p, 0, x / (1 - p))
}

# dropout of whole channels
fn dropout2d[p: float = 0.5](x: f32[B, c, ..]) -> f32[B, c, ..] {
  let p = _require["p", p >= 0 and p <= 1, "is a probability, from 0 to 1"]
  if not training or p == 0 { return x }
  if p == 1 { return 0 * x }
  let keep = rand[B, c] >= p
  for i in 2..len(x.shape) { keep = unsqueeze[-1](keep) }
  return where(keep, x / (1 - p), 0)
}

# a class for each row, drawn with probability softmax(logits): the largest of logits plus Gumbel noise
fn categorical(logits: f32[.., n]) -> i32[..] {
  let u = maximum(_rand_like(logits), 1e-20)
  return argmax[-1](logits - log(-log(u)))
}
