fn case() {
  let s = 0
  for i in 0..1000000 { s = s + i }
  return s
}
