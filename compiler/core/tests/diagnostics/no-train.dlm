# train
fn case() { return 1.0 }
