# --set widht=3
let width = 2

fn case() { return zeros[width] }
