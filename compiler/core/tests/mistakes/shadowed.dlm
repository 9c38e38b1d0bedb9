# x: f32[2, 6]
fn relu(x: f32[..]) -> f32[..] { return minimum(x, 0) }

fn case(x: f32[2, 6]) -> f32[3] {
  let x = sum[axis=0](x)
  return x |> relu
}
