# x: i32[2]
block Case(x: i32[2]) -> f32[..] {
  let tok = Embedding[5, 3]
  return tok.weight
}
