# Pools over windows of the last axes. `k`, `stride`, `pad` are ints or tuples; the stride is the window by default.

fn max_pool1d[k, stride = none, pad = 0](x: f32[B, c, l]) -> f32[B, c, ..] {
  let w = _each[k, 1]
  let s = if stride == none { w } else { stride }
  return max[axis=-1](_windows[w, s, pad, 1, -1e30 * 1e30](x))
}

fn max_pool2d[k, stride = none, pad = 0](x: f32[B, c, h, w]) -> f32[B, c, ..] {
  let window = _each[k, 2]
  let s = if stride == none { window } else { stride }
  return max[axis=(-2, -1)](_windows[window, s, pad, 1, -1e30 * 1e30](x))
}

fn max_pool3d[k, stride = none, pad = 0](x: f32[B, c, d, h, w]) -> f32[B, c, ..] {
  let window = _each[k, 3]
  let s = if stride == none { window } else { stride }
  return max[axis=(-3, -2, -1)](_windows[window, s, pad, 1, -1e30 * 1e30](x))
}

# the mean of each window, padding counted as zeros
fn avg_pool1d[k, stride = none, pad = 0](x: f32[B, c, l]) -> f32[B, c, ..] {
  let w = _each[k, 1]
  let s = if stride == none { w } else { stride }
  return mean[axis=-1](_windows[w, s, pad](x))
}

fn avg_pool2d[k, stride = none, pad = 0](x: f32[B, c, h, w]) -> f32[B, c, ..] {
  let window = _each[k, 2]
  let s = if stride == none { window } else { stride }
  return mean[axis=(-2, -1)](_windows[window, s, pad](x))
}

fn avg_pool3d[k, stride = none, pad = 0](x: f32[B, c, d, h, w]) -> f32[B, c, ..] {
  let window = _each[k, 3]
  let s = if stride == none { window } else { stride }
  return mean[axis=(-3, -2, -1)](_windows[window, s, pad](x))
}

# [B, C, ..] to [B, C]
fn global_avg_pool(x: f32[B, c, ..]) -> f32[B, c] { return mean[axis=2..len(x.shape)](x) }

# [B, C, ..] to [B, C]
fn global_max_pool(x: f32[B, c, ..]) -> f32[B, c] { return max[axis=2..len(x.shape)](x) }

# means of windows that make h x w of any image: the window from floor(i H / h) to ceil((i + 1) H / h)
fn adaptive_avg_pool2d[h: int, w: int](x: f32[B, c, own_h, own_w]) -> f32[B, c, h, w] {
  let rows = []
  for i in 0..h {
    let part = x[:, :, floor(i * own_h / h):ceil((i + 1) * own_h / h)]
    let cells = []
    for j in 0..w {
      cells = cells + [mean[axis=(2, 3)](part[:, :, :, floor(j * own_w / w):ceil((j + 1) * own_w / w)])]
    }
    rows = rows + [stack[axis=-1](cells)]
  }
  return stack[axis=2](rows)
}
