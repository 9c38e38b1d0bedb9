# x: f32[2, 6]
block Drop[dropout: float = 0.1](x: f32[..]) -> f32[..] { return x |> dropout[dropout] }

block Case(x: f32[2, 6]) -> f32[2, 6] { return x |> Drop[0.2] }
