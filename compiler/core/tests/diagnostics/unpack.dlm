# x: f32[2, 3]
fn case(x: f32[2, 3]) -> f32[..] {
  let a, b, c = x
  return a
}
