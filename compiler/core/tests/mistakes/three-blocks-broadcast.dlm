# x: f32[2, 6]
block Add(x: f32[B, n], y: f32[B, m]) { return x + y }

block Twice(x: f32[B, d]) {
  let add = Add
  return add(x, concat[axis=1](x, x))
}

block Case(x: f32[2, 6]) { return x |> Twice }
