# x: f32[2, 3]
fn case(x: f32[2, 3]) -> f32[..] {
  let total = zeros[3]
  for row in x { total = total + row }
  return total
}
