# x: f32[2, 6]
block Case(x: f32[2, 6]) {
  let hidden = x |> Liner[4] |> rellu
  return hiden |> LayerNorm[epsilon=1e-3]
}
