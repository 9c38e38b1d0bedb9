# x: f32[2, 3]; y: f32[4, 5]
fn case(x: f32[2, 3], y: f32[4, 5]) -> f32[..] {
  let a = reshape[5](x)
  return x @ y
}
