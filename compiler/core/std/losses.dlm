# Losses: means over what they are taken of, unless said otherwise. Elementwise ones take equal shapes or a scalar.

# the negative log-likelihood of log-probabilities: -log_p[class]; `weight` by class gives the weighted mean, elements
# whose class is `ignore` are left out
fn nll[weight = none, ignore: int = none, axis: int = -1](log_p: f32[..], y: i32[..]) -> f32 {
  let y = _labels[axis](log_p, y)
  let hit = _is_class[log_p.shape[axis], axis, ignore](y)
  let losses = -sum[axis](where(hit, log_p, 0))
  if weight == none and ignore == none { return mean(losses) }
  let counts = _counted[weight, ignore, axis](log_p, hit, y)
  return sum(losses * counts) / sum(counts)
}

# cross entropy of logits with classes (i32), or with probabilities over classes (f32); `smoothing` mixes classes with
# the uniform distribution
fn cross_entropy[smoothing: float = 0, weight = none, ignore: int = none, axis: int = -1](logits: f32[..], y) -> f32 {
  let smoothing = _require["smoothing", smoothing >= 0 and smoothing <= 1, "is a share, from 0 to 1"]
  let log_p = log_softmax[axis](logits)
  let classes = logits.shape[axis]
  let weights = _class_weights[axis, weight](logits)
  let weighted = if weights == none { log_p } else { log_p * weights }
  if _is_float(y) {
    let ignore = _require["ignore", ignore == none, "is for labels that are classes, and these are probabilities"]
    let q = _probabilities(logits, y) * (1 - smoothing) + smoothing / classes
    return -mean(sum[axis](q * weighted))
  }
  let own = nll[weight, ignore, axis](log_p, y)
  if smoothing == 0 { return own }
  let hit = _is_class[classes, axis, ignore](y)
  let every = _counted[none, ignore, axis](log_p, hit, y)
  let counts = _counted[weight, ignore, axis](log_p, hit, y)
  let spread = -sum[axis](weighted)
  return (1 - smoothing) * own + smoothing / classes * (sum(spread * every) / sum(counts))
}

# what each label counts: 0 where it is left out, else the weight of its class
fn _counted[weight, ignore, axis: int](logits: f32[..], hit: bool[..], y: i32[..]) -> f32[..] {
  let counts = if ignore == none { f32(y == y) } else { f32(y != ignore) }
  if weight == none { return counts }
  return counts * sum[axis](where(hit, _class_weights[axis, weight](logits), 0))
}

# -(y log p + (1 - y) log(1 - p)) of probabilities; logarithms are cut at -100, as in PyTorch, and have no gradient there
fn bce(p: f32[..], y: f32[..]) -> f32 {
  let t = _like(p, y)
  return -mean(t * _cut_log(p) + (1 - t) * _cut_log(1 - p))
}

# log(p), at least -100; a saturated sigmoid gives 0, whose logarithm has neither a value nor a gradient
fn _cut_log(p: f32[..]) -> f32[..] {
  return where(p > 0, maximum(log(where(p > 0, p, 1)), -100), -100 + 0 * p)
}

# bce(sigmoid(x), y) without overflow; `pos_weight` multiplies the losses of positives,
# with one number or one for each place on the last axis
fn bce_logits[pos_weight = none](x: f32[..], y: f32[..]) -> f32 {
  let t = _like(x, y)
  let tail = log(1 + exp(-abs(x))) + maximum(-x, 0)
  if pos_weight == none { return mean((1 - t) * x + tail) }
  return mean((1 - t) * x + (1 + (_class_weights[-1, pos_weight, "pos_weight", scalar=true](x) - 1) * t) * tail)
}

# (x - y)^2
fn mse(x: f32[..], y: f32[..]) -> f32 { return mean((x - _like(x, y)) ^ 2) }

# |x - y|
fn mae(x: f32[..], y: f32[..]) -> f32 { return mean(abs(x - _like(x, y))) }

# d^2 / 2 where |d| < delta, else delta (|d| - delta / 2)  (Huber 1964)
fn huber[delta: float = 1.0](x: f32[..], y: f32[..]) -> f32 {
  let delta = _require["delta", delta > 0, "is above 0"]
  let d = x - _like(x, y)
  let a = abs(d)
  return mean(where(a < delta, 0.5 * d * d, delta * (a - 0.5 * delta)))
}

# huber with delta 1
fn smooth_l1(x: f32[..], y: f32[..]) -> f32 { return huber[1.0](x, y) }

# the divergence of q from p, given log p: sum(q (log q - log p)) over the first axis' size
fn kl_div(log_p: f32[..], q: f32[..]) -> f32 {
  let t = _like(log_p, q)
  let losses = where(t > 0, t * (log(where(t > 0, t, 1)) - log_p), 0)
  return sum(losses) / len(log_p)
}

# max(0, 1 - x y), y being -1 or 1
fn hinge(x: f32[..], y: f32[..]) -> f32 { return mean(maximum(1 - x * _like(x, y), 0)) }

# bce_logits that gives easy examples less weight  (Lin et al. 2017)
fn focal[gamma: float = 2.0, alpha: float = 0.25](x: f32[..], y: f32[..]) -> f32 {
  let t = _like(x, y)
  let gamma = _require["gamma", gamma >= 0, "is at least 0"]
  let alpha = _require["alpha", alpha >= 0 and alpha <= 1, "is a share, from 0 to 1"]
  let p = sigmoid(x)
  let losses = (1 - t) * x + log(1 + exp(-abs(x))) + maximum(-x, 0)
  let miss = t * (1 - p) + (1 - t) * p
  return mean((alpha * t + (1 - alpha) * (1 - t)) * maximum(miss, 1e-12) ^ gamma * losses)
}

# max(0, |a - p| - |a - n| + margin), Euclidean distances along the last axis
fn triplet[margin: float = 1.0](anchor: f32[.., n], positive: f32[.., n], negative: f32[.., n]) -> f32 {
  let near = sqrt(sum[axis=-1]((anchor - positive + 1e-6) ^ 2))
  let far = sqrt(sum[axis=-1]((anchor - negative + 1e-6) ^ 2))
  return mean(maximum(near - far + margin, 0))
}

# 1 - cos(a, b) for y = 1, max(0, cos(a, b) - margin) for y = -1
fn cosine_embedding[margin: float = 0](a: f32[.., n], b: f32[.., n], y: f32[..]) -> f32 {
  let norm = sqrt((sum[axis=-1](a * a) + 1e-12) * (sum[axis=-1](b * b) + 1e-12))
  let c = sum[axis=-1](a * b) / norm
  return mean(where(_like(c, y) > 0, 1 - c, maximum(c - margin, 0)))
}

# exp(x) - y x: the negative log-likelihood of counts y for log rates x
fn poisson_nll(x: f32[..], y: f32[..]) -> f32 { return mean(exp(x) - _like(x, y) * x) }

# 1 - 2 |p y| / (|p| + |y|) of probabilities, over each sample  (Milletari et al. 2016)
fn dice[smooth: float = 1.0](p: f32[B, ..], y: f32[..]) -> f32 {
  let t = _like(p, y)
  let axes = 1..len(p.shape)
  return mean(1 - (2 * sum[axes](p * t) + smooth) / (sum[axes](p) + sum[axes](t) + smooth))
}
