# Recurrent layers: whole sequences, batch first, [B, T, D] to [B, T, hidden]. Weights are PyTorch's: gates stacked on
# axis 0 (LSTM: input, forget, cell, output; GRU: reset, update, new).

# one step: h, c from x, h, c
block LstmCell[hidden: int](x: f32[B, d], h: f32[B, hidden], c: f32[B, hidden]) -> f32[B, hidden], f32[B, hidden] {
  param weight_ih: f32[4 * hidden, d] = fan_in_uniform[hidden]
  param weight_hh: f32[4 * hidden, hidden] = fan_in_uniform[hidden]
  param bias_ih: f32[4 * hidden] = fan_in_uniform[hidden]
  param bias_hh: f32[4 * hidden] = fan_in_uniform[hidden]
  let from_x = einsum["b d, g d -> b g"](x, weight_ih) + bias_ih
  let next_h, next_c = _lstm_step(from_x + einsum["b d, g d -> b g"](h, weight_hh) + bias_hh, c)
  return next_h, next_c
}

# the gates of an LSTM
fn _lstm_step(gates: f32[B, g], c: f32[B, n]) -> f32[B, n], f32[B, n] {
  let i, f, a, o = split[1, 4](gates)
  let next = sigmoid(f) * c + sigmoid(i) * tanh(a)
  return sigmoid(o) * tanh(next), next
}

# one step: h from x, h
block GruCell[hidden: int](x: f32[B, d], h: f32[B, hidden]) -> f32[B, hidden] {
  param weight_ih: f32[3 * hidden, d] = fan_in_uniform[hidden]
  param weight_hh: f32[3 * hidden, hidden] = fan_in_uniform[hidden]
  param bias_ih: f32[3 * hidden] = fan_in_uniform[hidden]
  param bias_hh: f32[3 * hidden] = fan_in_uniform[hidden]
  let from_x = einsum["b d, g d -> b g"](x, weight_ih) + bias_ih
  return _gru_step(from_x, einsum["b d, g d -> b g"](h, weight_hh) + bias_hh, h)
}

# the gates of a GRU
fn _gru_step(from_x: f32[B, g], from_h: f32[B, g], h: f32[B, n]) -> f32[B, n] {
  let rx, zx, nx = split[1, 3](from_x)
  let rh, zh, nh = split[1, 3](from_h)
  let z = sigmoid(zx + zh)
  return (1 - z) * tanh(nx + sigmoid(rx + rh) * nh) + z * h
}

# Hochreiter, Schmidhuber 1997; states=true also returns the last h and c
block Lstm[hidden: int, states: bool = false](x: f32[B, T, d], h: f32[B, hidden] = none,
           c: f32[B, hidden] = none) {
  param weight_ih: f32[4 * hidden, d] = fan_in_uniform[hidden]
  param weight_hh: f32[4 * hidden, hidden] = fan_in_uniform[hidden]
  param bias_ih: f32[4 * hidden] = fan_in_uniform[hidden]
  param bias_hh: f32[4 * hidden] = fan_in_uniform[hidden]
  let from_x = einsum["b t d, g d -> b t g"](x, weight_ih) + bias_ih + bias_hh
  let s = if h == none { zeros[B, hidden] } else { h }
  let m = if c == none { zeros[B, hidden] } else { c }
  let ys = []
  for t in 0..T {
    s, m = _lstm_step(from_x[:, t] + einsum["b d, g d -> b g"](s, weight_hh), m)
    ys = ys + [s]
  }
  let y = stack[axis=1](ys)
  if states { return y, s, m }
  return y
}

# Cho et al. 2014; states=true also returns the last h
block Gru[hidden: int, states: bool = false](x: f32[B, T, d], h: f32[B, hidden] = none) {
  param weight_ih: f32[3 * hidden, d] = fan_in_uniform[hidden]
  param weight_hh: f32[3 * hidden, hidden] = fan_in_uniform[hidden]
  param bias_ih: f32[3 * hidden] = fan_in_uniform[hidden]
  param bias_hh: f32[3 * hidden] = fan_in_uniform[hidden]
  let from_x = einsum["b t d, g d -> b t g"](x, weight_ih) + bias_ih
  let s = if h == none { zeros[B, hidden] } else { h }
  let ys = []
  for t in 0..T {
    s = _gru_step(from_x[:, t], einsum["b d, g d -> b g"](s, weight_hh) + bias_hh, s)
    ys = ys + [s]
  }
  let y = stack[axis=1](ys)
  if states { return y, s }
  return y
}

# h' = tanh(W x + U h + b)  (Elman 1990); states=true also returns the last h
block Rnn[hidden: int, states: bool = false](x: f32[B, T, d], h: f32[B, hidden] = none) {
  param weight_ih: f32[hidden, d] = fan_in_uniform[hidden]
  param weight_hh: f32[hidden, hidden] = fan_in_uniform[hidden]
  param bias_ih: f32[hidden] = fan_in_uniform[hidden]
  param bias_hh: f32[hidden] = fan_in_uniform[hidden]
  let from_x = einsum["b t d, g d -> b t g"](x, weight_ih) + bias_ih + bias_hh
  let s = if h == none { zeros[B, hidden] } else { h }
  let ys = []
  for t in 0..T {
    s = tanh(from_x[:, t] + einsum["b d, g d -> b g"](s, weight_hh))
    ys = ys + [s]
  }
  let y = stack[axis=1](ys)
  if states { return y, s }
  return y
}
