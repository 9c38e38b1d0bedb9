# x: f32[2, 6]
block Case(x: f32[2, 6]) {
  return x |> Dense[4] |> ReLU |> LeakyReLU
}
