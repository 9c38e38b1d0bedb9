block Case(x: f32[2, 7, 16]) -> f32[..] { let a = MultiHeadAttention[4, causal=true]
 return a(x, x, x) }
