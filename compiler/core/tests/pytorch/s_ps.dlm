fn case(x: f32[2, 8, 3, 4]) -> f32[..] {
 return pixel_shuffle[2](x)
}
