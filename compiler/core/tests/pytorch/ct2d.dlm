block Case(x: f32[2, 6, 5, 4]) -> f32[..] { let c = ConvTranspose2d[3, 3, stride=2, dilation=2]
 return c(x) }
