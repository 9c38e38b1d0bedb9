# x: f32[2, 3]
block Case(x: f32[2, 3]) -> f32[..] {
  let fc = Linear[3]
  let y = fc(x)
  let fc = Linear[3]
  return fc(y)
}
