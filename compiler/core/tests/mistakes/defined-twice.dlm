# x: f32[2, 6]
fn double(x: f32[..]) -> f32[..] { return 2 * x }

fn double(x: f32[..]) -> f32[..] { return x + x }

fn case(x: f32[2, 6]) { return double(x) }
