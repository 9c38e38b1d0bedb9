# x: f32[2, 3]
fn case(x: f32[2, 3]) -> f32 { return mse(x=x, z=x) }
