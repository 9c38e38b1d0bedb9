# x: f32[2, 6]
fn case(x: f32[2, 6]) {
  return x |> relu + 1
}
