import "import-circle.dlm" as back

let two = back.one + 1
