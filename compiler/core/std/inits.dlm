# Inits: what a parameter's first values are, from `shape`, `fan_in` (the product of all dimensions but the first)
# and `fan_out`. `zeros` and `ones` without brackets are inits too.

# v everywhere
fn constant[v: float] -> init { return full[v, shape] }

# normal with mean 0
fn normal[std: float = 1.0] -> init { return std * randn[shape] }

# uniform between -a and a
fn uniform[a: float = 1.0] -> init { return a * (2 * rand[shape] - 1) }

# normal, cut at two standard deviations: the values beyond are drawn towards the bounds by the inverse of erf's tail
fn trunc_normal[std: float = 1.0] -> init {
  let u = randn[shape]
  let v = randn[shape]
  let w = randn[shape]
  let inner = where(abs(u) < 2, u, where(abs(v) < 2, v, where(abs(w) < 2, w, clamp[-2, 2](w))))
  return std * inner
}

# U(-a, a), a = sqrt(6 / (fan_in + fan_out))  (Glorot, Bengio 2010)
fn xavier_uniform -> init { return uniform[sqrt(6 / (fan_in + fan_out))] }

# N(0, 2 / (fan_in + fan_out))
fn xavier_normal -> init { return normal[sqrt(2 / (fan_in + fan_out))] }

# U(-a, a), a = sqrt(6 / fan_in)  (He et al. 2015)
fn kaiming_uniform -> init { return uniform[sqrt(6 / fan_in)] }

# N(0, 2 / fan_in)
fn kaiming_normal -> init { return normal[sqrt(2 / fan_in)] }

# U(-a, a), a = sqrt(3 / fan_in)  (LeCun et al. 1998)
fn lecun_uniform -> init { return uniform[sqrt(3 / fan_in)] }

# N(0, 1 / fan_in)
fn lecun_normal -> init { return normal[sqrt(1 / fan_in)] }

# U(-a, a), a = 1 / sqrt(fan): PyTorch's default; a rank-1 parameter gives its layer's fan
fn fan_in_uniform[fan: int = none] -> init {
  let n = if fan == none { fan_in } else { fan }
  return uniform[1 / sqrt(n)]
}

# a matrix whose rows (or columns, whichever are fewer) are orthonormal: a normal one, brought there by Newton and Schulz's
# iteration, which converges for any matrix of norm at most 1  (Saxe et al. 2013 for the use)
fn orthogonal[gain: float = 1.0] -> init {
  let w = reshape[shape[0], -1](randn[shape])
  let wide = w.shape[0] <= w.shape[1]
  let q = if wide { w } else { transpose(w) }
  q = q / sqrt(sum(q * q))
  for i in 0..40 { q = 1.5 * q - 0.5 * (q @ transpose(q)) @ q }
  return gain * reshape[shape](if wide { q } else { transpose(q) })
}
