# x: f32[2, 6]
block Inner(x: f32[B, 4], y: f32[B, n], z: f32[B, n]) -> f32[B, n] { return y + z }

block Middle(x: f32[B, d]) -> f32[B, d] {
  let inner = Inner
  return inner(x, x, x |> Linear[5])
}

block Case(x: f32[2, 6]) -> f32[2, 6] {
  return x |> Middle
}
