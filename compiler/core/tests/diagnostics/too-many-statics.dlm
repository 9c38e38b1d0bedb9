# x: f32[2, 3]
fn case(x: f32[2, 3]) -> f32[..] { return leaky_relu[0.1, 0.2](x) }
