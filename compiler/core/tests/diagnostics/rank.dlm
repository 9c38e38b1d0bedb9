# x: f32[2, 3]
block Case(x: f32[2, 3]) -> f32[..] { return x |> Conv2d[4, 3] }
