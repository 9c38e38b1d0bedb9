fn case(x: f32[2, 3, 4, 5]) -> f32[..] {
 return upsample[3, mode="bilinear"](x)
}
