fn csae() { return 1.0 }
