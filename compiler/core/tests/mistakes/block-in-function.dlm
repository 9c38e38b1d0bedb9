# x: f32[2, 6]
fn case(x: f32[2, 6]) -> f32[2, 3] {
  return x |> Linear[3]
}
