# x: f32[2, 6]
import "circle.dlm" as other

let one = other.two

fn case(x: f32[2, 6]) { return x + one }
