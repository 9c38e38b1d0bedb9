# x: f32[2, 6]
fn case(x: f32[2, 6]) {
  let k = sum(x)
  return topk[k](x)
}
