import "../secrets.dlm" as s

fn case() { return 1.0 }
