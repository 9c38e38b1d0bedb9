let a = b + 1
let b = a + 1

fn odd(x: f32) -> f32 { return even(x) }

fn even(x: f32) -> f32 { return odd(x) }

fn case() { return odd(1) + a }
