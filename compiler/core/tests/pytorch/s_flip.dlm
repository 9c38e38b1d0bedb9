fn case(x: f32[2, 5, 3]) -> f32[..] {
 return flip[1](x)
}
