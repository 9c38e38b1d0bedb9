fn case(x: f32[4, 5]) -> f32[..] {
 return std[axis=1](x)
}
