# x: f32[2, 3]; w: f32[4, 3]
fn case(x: f32[2, 3], w: f32[4, 3]) {
  return einsum["b i, o i -> b b"](x, w)
}
