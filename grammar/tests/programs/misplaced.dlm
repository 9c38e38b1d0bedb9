fn f(x: f32) -> f32 {
  param w: f32 = zeros
  state s: f32 = zeros
  s <- 2
  report x
  minimize x with o
  return x
}

block B(x: f32) -> f32 {
  state s = zeros
  step x in d { }
}

optimizer o(p, g) {
  param w: f32 = zeros
  return p
}

train t {
  report x
  minimize l with o
  return 2
  if a { eval x in d { minimize x with o } }
  step x in d { s <- 2 }
}
