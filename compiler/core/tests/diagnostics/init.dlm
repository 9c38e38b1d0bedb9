# x: f32[2, 3]
block Case(x: f32[2, 3]) -> f32[..] {
  param a: f32[3] = fan_in_uniform
  param b: f32[3] = x[0]
  param c: f32[3] = ones[4]
  return x + a + b + c
}
