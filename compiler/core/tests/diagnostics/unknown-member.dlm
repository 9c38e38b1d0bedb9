# x: i32[2]
block Case(x: i32[2]) -> f32[..] {
  let tok = Embedding[5, 3]
  let y = tok(x)
  return y + tok.wieght[0]
}
