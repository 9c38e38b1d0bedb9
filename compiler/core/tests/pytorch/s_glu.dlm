fn case(x: f32[3, 8]) -> f32[..] {
 return glu(x)
}
