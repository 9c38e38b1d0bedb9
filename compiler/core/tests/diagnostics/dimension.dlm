# x: f32[2, 3]
fn case(x: f32[2, 3]) -> f32[2, 4] { return x * 2 }
