# x: f32[2, 3]
fn both(x: f32[..]) -> f32[..], f32[..] { return x, x, x }

fn case(x: f32[2, 3]) -> f32[..] {
  let a, b = both(x)
  return a + b
}
