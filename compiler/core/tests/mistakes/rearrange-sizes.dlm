# x: f32[2, 9]
fn case(x: f32[2, 9]) {
  return rearrange["b (h d) -> b h d", h=2](x)
}
