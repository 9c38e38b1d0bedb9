# x: f32[2, 3]
fn case(x: f32[2, 3]) { return mean(x, axis=1) }
