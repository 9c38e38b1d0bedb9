# n: i32[2]
fn case(n: i32[2]) -> i32[..] { return n / 2 }
