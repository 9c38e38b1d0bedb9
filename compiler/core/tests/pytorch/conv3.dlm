block Case(x: f32[2, 3, 4, 5, 6]) -> f32[..] { let c = Conv3d[4, (2, 3, 3), stride=(1, 2, 1), pad=1]
 return c(x) }
