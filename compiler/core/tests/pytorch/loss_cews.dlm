fn case(x: f32[12, 7], y: i32[12]) -> f32 {
  return cross_entropy[weight=[1.0, 2.0, 0.5, 3.0, 1.0, 2.0, 0.25], smoothing=0.2](x, y)
}
