# Recurrent layers: whole sequences, batch first, [B, T, D] to [B, T, hidden], twice as wide where `bidirectional`. Weights
# are PyTorch's: gates stacked on axis 0 (LSTM: input, forget, cell, output; GRU: reset, update, new). With several layers
# or directions names end in `_l0`, `_l0_reverse` …, and states are stacked: [layers, B, hidden].

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
block Lstm[hidden: int, layers: int = 1, bidirectional: bool = false, states: bool = false](x: f32[B, T, d],
           h: f32[.., B, hidden] = none, c: f32[.., B, hidden] = none) {
  let y = x
  let hs = []
  let cs = []
  for layer in 0..layers {
    let ys = []
    for way in _ways[bidirectional]() {
      let one = _LstmLayer[hidden, reverse=way == 1, _suffix=_layer_suffix[layers, bidirectional, layer, way]()]
      let at = len(hs)
      let own, last_h, last_c = one(y, _state_of[layers, bidirectional, at](h), _state_of[layers, bidirectional, at](c))
      ys = ys + [own]
      hs = hs + [last_h]
      cs = cs + [last_c]
    }
    y = concat[axis=-1](ys)
  }
  if not states { return y }
  if len(hs) == 1 { return y, hs[0], cs[0] }
  return y, stack(hs), stack(cs)
}

# one layer in one direction
block _LstmLayer[hidden: int, reverse: bool, _suffix: str](x: f32[B, T, d], h: f32[B, hidden] = none,
                 c: f32[B, hidden] = none) {
  param weight_ih: f32[4 * hidden, d] = fan_in_uniform[hidden]
  param weight_hh: f32[4 * hidden, hidden] = fan_in_uniform[hidden]
  param bias_ih: f32[4 * hidden] = fan_in_uniform[hidden]
  param bias_hh: f32[4 * hidden] = fan_in_uniform[hidden]
  let from_x = einsum["b t d, g d -> b t g"](_turned[reverse](x), weight_ih) + bias_ih + bias_hh
  let s = if h == none { zeros[B, hidden] } else { h }
  let m = if c == none { zeros[B, hidden] } else { c }
  let ys = []
  for t in 0..T {
    s, m = _lstm_step(from_x[:, t] + einsum["b d, g d -> b g"](s, weight_hh), m)
    ys = ys + [s]
  }
  return _turned[reverse](stack[axis=1](ys)), s, m
}

# Cho et al. 2014; states=true also returns the last h
block Gru[hidden: int, layers: int = 1, bidirectional: bool = false, states: bool = false](x: f32[B, T, d],
          h: f32[.., B, hidden] = none) {
  let y = x
  let hs = []
  for layer in 0..layers {
    let ys = []
    for way in _ways[bidirectional]() {
      let one = _GruLayer[hidden, reverse=way == 1, _suffix=_layer_suffix[layers, bidirectional, layer, way]()]
      let own, last = one(y, _state_of[layers, bidirectional, len(hs)](h))
      ys = ys + [own]
      hs = hs + [last]
    }
    y = concat[axis=-1](ys)
  }
  if not states { return y }
  return y, if len(hs) == 1 { hs[0] } else { stack(hs) }
}

# one layer in one direction
block _GruLayer[hidden: int, reverse: bool, _suffix: str](x: f32[B, T, d], h: f32[B, hidden] = none) {
  param weight_ih: f32[3 * hidden, d] = fan_in_uniform[hidden]
  param weight_hh: f32[3 * hidden, hidden] = fan_in_uniform[hidden]
  param bias_ih: f32[3 * hidden] = fan_in_uniform[hidden]
  param bias_hh: f32[3 * hidden] = fan_in_uniform[hidden]
  let from_x = einsum["b t d, g d -> b t g"](_turned[reverse](x), weight_ih) + bias_ih
  let s = if h == none { zeros[B, hidden] } else { h }
  let ys = []
  for t in 0..T {
    s = _gru_step(from_x[:, t], einsum["b d, g d -> b g"](s, weight_hh) + bias_hh, s)
    ys = ys + [s]
  }
  return _turned[reverse](stack[axis=1](ys)), s
}

# h' = tanh(W x + U h + b)  (Elman 1990); states=true also returns the last h
block Rnn[hidden: int, layers: int = 1, bidirectional: bool = false, states: bool = false](x: f32[B, T, d],
          h: f32[.., B, hidden] = none) {
  let y = x
  let hs = []
  for layer in 0..layers {
    let ys = []
    for way in _ways[bidirectional]() {
      let one = _RnnLayer[hidden, reverse=way == 1, _suffix=_layer_suffix[layers, bidirectional, layer, way]()]
      let own, last = one(y, _state_of[layers, bidirectional, len(hs)](h))
      ys = ys + [own]
      hs = hs + [last]
    }
    y = concat[axis=-1](ys)
  }
  if not states { return y }
  return y, if len(hs) == 1 { hs[0] } else { stack(hs) }
}

# one layer in one direction
block _RnnLayer[hidden: int, reverse: bool, _suffix: str](x: f32[B, T, d], h: f32[B, hidden] = none) {
  param weight_ih: f32[hidden, d] = fan_in_uniform[hidden]
  param weight_hh: f32[hidden, hidden] = fan_in_uniform[hidden]
  param bias_ih: f32[hidden] = fan_in_uniform[hidden]
  param bias_hh: f32[hidden] = fan_in_uniform[hidden]
  let from_x = einsum["b t d, g d -> b t g"](_turned[reverse](x), weight_ih) + bias_ih + bias_hh
  let s = if h == none { zeros[B, hidden] } else { h }
  let ys = []
  for t in 0..T {
    s = tanh(from_x[:, t] + einsum["b d, g d -> b g"](s, weight_hh))
    ys = ys + [s]
  }
  return _turned[reverse](stack[axis=1](ys)), s
}

# the directions in which a layer reads: 0 forwards, 1 backwards
fn _ways[bidirectional: bool]() { return if bidirectional { [0, 1] } else { [0] } }

# a sequence from its end
fn _turned[reverse: bool](x: f32[B, T, d]) -> f32[B, T, d] { return if reverse { flip[1](x) } else { x } }

# the first state of one layer in one direction, of all of them stacked: [layers, B, hidden], forwards before backwards
fn _state_of[layers: int, bidirectional: bool, at: int](states: f32[..] = none) {
  if states == none { return none }
  return if layers == 1 and not bidirectional { states } else { states[at] }
}

# what ends the names of its parameters, as in PyTorch; a single layer in one direction has no more to say
fn _layer_suffix[layers: int, bidirectional: bool, layer: int, way: int]() {
  if layers == 1 and not bidirectional { return "" }
  return if way == 1 { _joined["_l", layer, "_reverse"] } else { _joined["_l", layer] }
}
