# x: f32[2, 6]
fn case(x: f32[2, 6]) {
  if mean(x) > 0 { return x }
  return -x
}
