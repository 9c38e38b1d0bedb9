# Optimizers: one update of a parameter p with gradient g. `t` counts updates from 1. `decay` is L2 added to the gradient;
# in `adamw` and `lion` it shrinks the parameter itself. Formulas and defaults are PyTorch's.

# The rate, where it and what else most rules take are what they may be.
fn _rate[lr: schedule, decay: float, eps: float = 0] -> schedule {
  let _ = _require["decay", decay >= 0, "is at least 0"]
  let _ = _require["eps", eps >= 0, "is at least 0"]
  return _require["lr", lr >= 0, "is at least 0"]
}

optimizer sgd[lr: schedule = 1e-3, momentum: float = 0, nesterov: bool = false, decay: float = 0](p, g) {
  let lr = _rate[lr, decay]
  let _ = _require["momentum", momentum >= 0, "is at least 0"]
  let _ = _require["nesterov", not nesterov or momentum > 0, "needs `momentum` above 0"]
  let g = if decay == 0 { g } else { g + decay * p }
  if momentum != 0 {
    state velocity = zeros
    velocity <- momentum * velocity + g
    g = if nesterov { g + momentum * velocity } else { velocity }
  }
  p <- p - lr * g
}

# Duchi et al. 2011
optimizer adagrad[lr: schedule = 1e-2, eps: float = 1e-10, decay: float = 0](p, g) {
  let lr = _rate[lr, decay, eps]
  state squares = zeros
  let g = if decay == 0 { g } else { g + decay * p }
  squares <- squares + g ^ 2
  p <- p - lr * g / (sqrt(squares) + eps)
}

# Hinton 2012
optimizer rmsprop[lr: schedule = 1e-2, alpha: float = 0.99, eps: float = 1e-8, momentum: float = 0,
                  centered: bool = false, decay: float = 0](p, g) {
  let lr = _rate[lr, decay, eps]
  let _ = _require["alpha", alpha >= 0 and alpha < 1, "is at least 0 and below 1"]
  let _ = _require["momentum", momentum >= 0, "is at least 0"]
  state squares = zeros
  let g = if decay == 0 { g } else { g + decay * p }
  squares <- alpha * squares + (1 - alpha) * g ^ 2
  let spread = squares
  if centered {
    state average = zeros
    average <- alpha * average + (1 - alpha) * g
    spread = squares - average ^ 2
  }
  let change = g / (sqrt(spread) + eps)
  if momentum != 0 {
    state velocity = zeros
    velocity <- momentum * velocity + change
    change = velocity
  }
  p <- p - lr * change
}

# Kingma, Ba 2014
optimizer adam[lr: schedule = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, decay: float = 0](p, g) {
  let lr = _rate[lr, decay, eps]
  let _ = _require["beta1", beta1 >= 0 and beta1 < 1, "is at least 0 and below 1"]
  let _ = _require["beta2", beta2 >= 0 and beta2 < 1, "is at least 0 and below 1"]
  state m = zeros
  state v = zeros
  let g = if decay == 0 { g } else { g + decay * p }
  m <- beta1 * m + (1 - beta1) * g
  v <- beta2 * v + (1 - beta2) * g ^ 2
  p <- p - lr * (m / (1 - beta1 ^ t)) / (sqrt(v / (1 - beta2 ^ t)) + eps)
}

# Loshchilov, Hutter 2017
optimizer adamw[lr: schedule = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, decay: float = 0.01](p, g) {
  let lr = _rate[lr, decay, eps]
  let _ = _require["beta1", beta1 >= 0 and beta1 < 1, "is at least 0 and below 1"]
  let _ = _require["beta2", beta2 >= 0 and beta2 < 1, "is at least 0 and below 1"]
  state m = zeros
  state v = zeros
  m <- beta1 * m + (1 - beta1) * g
  v <- beta2 * v + (1 - beta2) * g ^ 2
  p <- p * (1 - lr * decay) - lr * (m / (1 - beta1 ^ t)) / (sqrt(v / (1 - beta2 ^ t)) + eps)
}

# Zeiler 2012
optimizer adadelta[lr: schedule = 1.0, rho: float = 0.9, eps: float = 1e-6, decay: float = 0](p, g) {
  let lr = _rate[lr, decay, eps]
  let _ = _require["rho", rho >= 0 and rho < 1, "is at least 0 and below 1"]
  state squares = zeros
  state steps_squared = zeros
  let g = if decay == 0 { g } else { g + decay * p }
  squares <- rho * squares + (1 - rho) * g ^ 2
  let change = sqrt(steps_squared + eps) / sqrt(squares + eps) * g
  steps_squared <- rho * steps_squared + (1 - rho) * change ^ 2
  p <- p - lr * change
}

# Adam with the largest gradient in place of the mean square  (Kingma, Ba 2014)
optimizer adamax[lr: schedule = 2e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, decay: float = 0](p, g) {
  let lr = _rate[lr, decay, eps]
  let _ = _require["beta1", beta1 >= 0 and beta1 < 1, "is at least 0 and below 1"]
  let _ = _require["beta2", beta2 >= 0 and beta2 < 1, "is at least 0 and below 1"]
  state m = zeros
  state u = zeros
  let g = if decay == 0 { g } else { g + decay * p }
  m <- beta1 * m + (1 - beta1) * g
  u <- maximum(beta2 * u, abs(g) + eps)
  p <- p - lr / (1 - beta1 ^ t) * m / u
}

# Adam with Nesterov's momentum  (Dozat 2016)
optimizer nadam[lr: schedule = 2e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
                momentum_decay: float = 4e-3, decay: float = 0](p, g) {
  let lr = _rate[lr, decay, eps]
  let _ = _require["beta1", beta1 >= 0 and beta1 < 1, "is at least 0 and below 1"]
  let _ = _require["beta2", beta2 >= 0 and beta2 < 1, "is at least 0 and below 1"]
  let _ = _require["momentum_decay", momentum_decay >= 0, "is at least 0"]
  state m = zeros
  state v = zeros
  state product: f32 = ones
  let g = if decay == 0 { g } else { g + decay * p }
  let now = beta1 * (1 - 0.5 * 0.96 ^ (t * momentum_decay))
  let next = beta1 * (1 - 0.5 * 0.96 ^ ((t + 1) * momentum_decay))
  product <- product * now
  m <- beta1 * m + (1 - beta1) * g
  v <- beta2 * v + (1 - beta2) * g ^ 2
  let spread = sqrt(v / (1 - beta2 ^ t)) + eps
  p <- p - lr * (1 - now) / (1 - product) * g / spread - lr * next / (1 - product * next) * m / spread
}

# The sign of a mix of momentum and gradient  (Chen et al. 2023)
optimizer lion[lr: schedule = 1e-4, beta1: float = 0.9, beta2: float = 0.99, decay: float = 0](p, g) {
  let lr = _rate[lr, decay]
  let _ = _require["beta1", beta1 >= 0 and beta1 < 1, "is at least 0 and below 1"]
  let _ = _require["beta2", beta2 >= 0 and beta2 < 1, "is at least 0 and below 1"]
  state m = zeros
  let direction = sign(beta1 * m + (1 - beta1) * g)
  m <- beta2 * m + (1 - beta2) * g
  p <- p * (1 - lr * decay) - lr * direction
}
