# Activations: elementwise functions between layers. Shapes are kept; formulas are PyTorch's.

# max(x, 0)
fn relu(x: f32[..]) -> f32[..] { return maximum(x, 0) }

# x where positive, else slope x
fn leaky_relu[slope: float = 0.01](x: f32[..]) -> f32[..] { return where(x > 0, x, slope * x) }

# x where positive, else alpha (exp(x) - 1)  (Clevert et al. 2015)
fn elu[alpha: float = 1.0](x: f32[..]) -> f32[..] {
  return where(x > 0, x, alpha * (exp(minimum(x, 0)) - 1))
}

# elu with the constants that keep mean 0 and variance 1  (Klambauer et al. 2017)
fn selu(x: f32[..]) -> f32[..] {
  return 1.0507009873554804934193349852946 * elu[1.6732632423543772848170429916717](x)
}

# x Phi(x), Phi the normal distribution; approx="tanh" as in the paper  (Hendrycks, Gimpel 2016)
fn gelu[approx: str = "none"](x: f32[..]) -> f32[..] {
  let approx = _require["approx", approx == "none" or approx == "tanh", "is \"none\" or \"tanh\""]
  if approx == "tanh" {
    return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x ^ 3)))
  }
  return 0.5 * x * (1 + erf(x * 0.7071067811865476))
}

# 1 / (1 + exp(-x)), written with tanh so that nothing overflows
fn sigmoid(x: f32[..]) -> f32[..] { return 0.5 * tanh(0.5 * x) + 0.5 }

# x sigmoid(x)  (Elfwing et al. 2017)
fn silu(x: f32[..]) -> f32[..] { return x * sigmoid(x) }

# log(1 + exp(x)), which for large x is x
fn softplus(x: f32[..]) -> f32[..] { return maximum(x, 0) + log(1 + exp(-abs(x))) }

# x tanh(softplus(x))  (Misra 2019)
fn mish(x: f32[..]) -> f32[..] { return x * tanh(softplus(x)) }

# clamp(x / 6 + 1 / 2, 0, 1)
fn hard_sigmoid(x: f32[..]) -> f32[..] { return clamp[0, 1](x / 6 + 0.5) }

# x hard_sigmoid(x)  (Howard et al. 2019)
fn hard_swish(x: f32[..]) -> f32[..] { return x * hard_sigmoid(x) }

# exp(x) / sum(exp(x)) along an axis; the largest is subtracted, so that nothing overflows
fn softmax[axis: int = -1](x: f32[..]) -> f32[..] {
  let e = exp(x - stop_grad(max[axis, keep=true](x)))
  return e / sum[axis, keep=true](e)
}

# log(softmax(x)) without the loss of small values
fn log_softmax[axis: int = -1](x: f32[..]) -> f32[..] {
  let shifted = x - stop_grad(max[axis, keep=true](x))
  return shifted - log(sum[axis, keep=true](exp(shifted)))
}

# the first half of an axis, gated by the sigmoid of the second  (Dauphin et al. 2016)
fn glu[axis: int = -1](x: f32[..]) -> f32[..] {
  let half = _divided[x.shape[axis], 2, "elements of the axis", "equal parts"]
  let a, b = split[axis, (half, half)](x)
  return a * sigmoid(b)
}
