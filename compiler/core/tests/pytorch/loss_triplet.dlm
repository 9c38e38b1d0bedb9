fn case(x: f32[8, 5], y: f32[8, 5]) -> f32 {
  return triplet[margin=0.5](x, y, x * y)
}
