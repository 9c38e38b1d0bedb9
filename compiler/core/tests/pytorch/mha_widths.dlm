block Case(q: f32[2, 5, 8], k: f32[2, 3, 6], v: f32[2, 3, 4]) -> f32[..] {
  let f = MultiHeadAttention[2]
  return f(q, k, v)
}
