# x: f32[2, 3]; w: f32[4, 5]
fn case(x: f32[2, 3], w: f32[4, 5]) {
  return einsum["b i, o i -> b o"](x, w)
}
