# x: f32[2, 3]
block Case(x: f32[2, 3]) -> f32[..] { return x |> Linear[7 / 2] |> Linear[4, bias=1] }
