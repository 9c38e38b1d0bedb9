block Case(x: f32[2, 3, 4]) -> f32[..] { let c = PReLU
 return c(x) }
