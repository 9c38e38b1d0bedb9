# x: f32[2, 3]; w: f32[4, 3]
fn case(x: f32[2, 3], w: f32[4, 3]) {
  return einsum["b t i, o i -> b t o"](x, w)
}
