# x: f32[2, 4, 6]
block Case(x: f32[2, 4, 6]) -> f32[2, 4, 6] {
  return x |> TransformerLayer[2, act=PReLU]
}
