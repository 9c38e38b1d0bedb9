# x: f32[2, 3]
fn case(x: f32[2, 3]) -> f32[..] {
  let a = einsum["i j k -> i"](x)
  return rearrange["a (b c) -> a b c"](x)
}
