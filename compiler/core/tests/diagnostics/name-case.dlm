# x: f32[2, 3]
block res_block(x: f32[2, n]) -> f32[2, n] { return x |> Linear[n] }
fn Twice(x: f32[..]) -> f32[..] { return x * 2 }
fn case(x: f32[2, 3]) -> f32[..] { return x }
