fn case(x: f32[2, 5, 3, 4], y: i32[2, 3, 4]) -> f32 {
  return cross_entropy[axis=1](x, y)
}
