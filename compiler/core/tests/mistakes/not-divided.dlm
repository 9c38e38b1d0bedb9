# x: f32[2, 3, 8, 8]; y: f32[2, 4, 8]
block Case(x: f32[2, 3, 8, 8], y: f32[2, 4, 8]) {
  let a = x |> Conv2d[4, 3, groups=2]
  let b = x |> ConvTranspose2d[5, 3, groups=3]
  let c = x |> GroupNorm[2]
  let d = y |> TransformerLayer[3]
  let e = pixel_shuffle[2](x)
  let f = glu[1](x)
  let g = rearrange["b t (h d) -> b h t d", h=3](y)
  let h = reshape[2, 5, -1](y)
  return x
}
