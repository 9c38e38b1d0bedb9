# x: f32[2]; n: i32[2]
fn case(x: f32[2], n: i32[2]) -> f32[..] { return x * n }
