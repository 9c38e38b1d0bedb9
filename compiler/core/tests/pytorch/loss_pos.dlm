fn case(x: f32[8, 5], y: f32[8, 5]) -> f32 {
  return bce_logits[pos_weight=2.5](x, sigmoid(y))
}
