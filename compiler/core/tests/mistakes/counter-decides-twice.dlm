# x: f32[2, 3]
fn case(x: f32[2, 3]) -> f32[2] {
  let s = zeros[2]
  for t in 0..2 {
    if t > 0 { s = s + x[:, t] }
  }
  return s
}
