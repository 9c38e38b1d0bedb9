# a: f32[2, 3]; b: f32[2, 4]
block Case(a: f32[2, 3], b: f32[2, 4]) -> f32[..] {
  let fc = Linear[5]
  let y = fc(a)
  return y + fc(b)
}
