fn case() { return 1.0 }

fn case() { return 2.0 }
