# x: f32[2, 3]
fn half(x: f32[..]) -> f32[..] { let y = x / 2 }

fn case(x: f32[2, 3]) -> f32[..] { return half(x) }
