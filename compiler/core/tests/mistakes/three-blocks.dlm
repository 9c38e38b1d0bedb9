# x: f32[2, 6]
block Inner(a: f32[B, n], b: f32[B, n]) -> f32[B, n] { return a + b }

block Middle[wide: int](x: f32[B, d]) -> f32[B, d] {
  let inner = Inner
  return inner(x, x |> Linear[wide])
}

block Outer(x: f32[B, k]) -> f32[B, k] { return x |> Middle[5] }

block Case(x: f32[2, 6]) -> f32[2, 6] {
  return x |> Outer
}
