block Case(x: f32[2, 6, 5]) -> f32[..] { let c = ConvTranspose1d[8, 3, stride=2, pad=1, output_pad=1, groups=2]
 return c(x) }
