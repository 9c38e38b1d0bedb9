# x: f32[2, 3]
block Case(x: f32[2, 3]) -> f32[..] {
  let count = 0
  count <- count + 1
  return x
}
