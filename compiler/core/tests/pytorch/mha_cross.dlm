block Case(q: f32[2, 5, 8], k: f32[2, 3, 8], v: f32[2, 3, 8]) -> f32[..] {
  let f = MultiHeadAttention[2]
  return f(q, k, v)
}
