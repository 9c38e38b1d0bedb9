fn case(x: f32[2, 3, 4, 5, 6]) -> f32[..] {
 return max_pool3d[2](x)
}
