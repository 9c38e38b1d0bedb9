# a: f32[2, 3]; b: f32[4]
fn case(a: f32[2, 3], b: f32[4]) -> f32[..] {
  return a + b
}
