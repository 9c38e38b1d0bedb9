block Case(x: f32[2, 3, 6, 7]) -> f32[..] { let c = Conv2d[4, (4, 3), pad="same"]
 return c(x) }
