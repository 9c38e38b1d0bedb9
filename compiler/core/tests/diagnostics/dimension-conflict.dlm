# a: f32[2, 3]; b: f32[4, 5]
fn product(a: f32[n, k], b: f32[k, m]) -> f32[n, m] { return a @ b }

fn case(a: f32[2, 3], b: f32[4, 5]) -> f32[..] {
  return product(a, b)
}
