# x: i32[2, 3]
fn case(x: i32[2, 3]) -> f32[..] { return relu(x) }
