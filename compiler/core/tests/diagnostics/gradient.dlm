# x: f32[2, 3]
fn case(x: f32[2, 3]) -> f32[..] { return grad(x * 2, x) }
