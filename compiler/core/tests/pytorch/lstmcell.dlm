block Case(x: f32[3, 6], h: f32[3, 5], k: f32[3, 5]) -> f32[..], f32[..] { let c = LstmCell[5]
 return c(x, h, k) }
