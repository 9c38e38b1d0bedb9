# x: f32[2, 3]
block Case(x: f32[2, 3]) -> f32[..] {
  param w: f32[3, k] = normal
  return x @ w
}
