block Case(x: f32[2, 5, 8], memory: f32[2, 3, 8]) -> f32[..] {
  let f = TransformerLayer[2, ff=12, dropout=0, pre_norm=true, act=relu, causal=true]
  return f(x, memory)
}
