# x: f32[2, 3]
block Case(x: f32[2, 3]) {
  let a = x |> Linear(10)
  let b = Linear(10)(x)
  return Linear[10](x, bias=false)
}
