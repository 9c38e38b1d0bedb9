block Case(x: f32[2, 7, 16]) -> f32[..] {
  let f = MultiHeadAttention[4, causal=true]
  return f(x, x, x)
}
