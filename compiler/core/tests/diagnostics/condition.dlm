# x: f32
fn case(x: f32) -> f32 {
  if x > 0 { return x }
  return -x
}
