block Case(x: f32[3, 4, 5, 6]) -> f32[..] { return x |> InstanceNorm }
