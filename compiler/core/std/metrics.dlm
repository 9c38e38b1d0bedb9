# Metrics. In `eval` those declared as `metric` are of the whole set; floats are means over samples, counts are summed.

# the share of rows whose largest logit is the class
fn accuracy[axis: int = -1](logits: f32[..], y: i32[..]) -> f32 {
  return mean(f32(argmax[axis](logits) == _check_index[logits.shape[axis]](_labels[axis](logits, y))))
}

# the share of rows whose class is among the k largest logits
fn top_k[k: int = 5](logits: f32[.., n], y: i32[..]) -> f32 {
  let k = _require["k", k >= 1 and k <= n, "is at least 1, and no more than there are classes"]
  let own = sum[axis=-1, keep=true](where(_is_class[n, -1](_labels(logits, y)), logits, 0))
  return mean(f32(sum[axis=-1](f32(logits > own)) < k))
}

# how often class i (rows) is taken for class j (columns)
fn confusion(logits: f32[.., n], y: i32[..]) -> i32[n, n] {
  let is = f32(_is_class[n, -1](_labels(logits, y)))
  let said = f32(_is_class[n, -1](argmax[-1](logits)))
  return i32(einsum[".. i, .. j -> i j"](is, said))
}

# of what is called a class, the share that is: the mean over classes that are there or said to be
fn precision(logits: f32[.., n], y: i32[..]) -> metric {
  let c = f32(confusion(logits, y))
  return _over_classes(_diagonal(c) / maximum(sum[axis=0](c), 1), c)
}

# of what is a class, the share that is called so: the mean over classes that are there or said to be
fn recall(logits: f32[.., n], y: i32[..]) -> metric {
  let c = f32(confusion(logits, y))
  return _over_classes(_diagonal(c) / maximum(sum[axis=1](c), 1), c)
}

# the harmonic mean of both, by class: the mean over classes that are there or said to be
fn f1(logits: f32[.., n], y: i32[..]) -> metric {
  let c = f32(confusion(logits, y))
  return _over_classes(2 * _diagonal(c) / maximum(sum[axis=0](c) + sum[axis=1](c), 1), c)
}

# the mean over the classes that samples have, or are said to have
fn _over_classes(shares: f32[n], c: f32[n, n]) -> f32 {
  let is_there = f32(sum[axis=0](c) + sum[axis=1](c) > 0)
  return sum(shares * is_there) / maximum(sum(is_there), 1)
}

fn _diagonal(c: f32[n, n]) -> f32[n] {
  return sum[axis=1](where(_positions[0](c) == _positions[1](c), c, 0))
}

# the probability that a positive has a larger score than a negative; ties count half
fn auc(scores: f32[B], y: i32[B]) -> metric {
  let own = unsqueeze[1](scores)
  let other = unsqueeze[0](scores)
  let wins = where(own > other, 1.0, where(own == other, 0.5, 0.0))
  let pairs = f32(unsqueeze[1](y) == 1) * f32(unsqueeze[0](y) == 0)
  return sum(wins * pairs) / maximum(sum(pairs), 1)
}

# sqrt(mean((x - y)^2))
fn rmse(x: f32[..], y: f32[..]) -> metric { return sqrt(mse(x, y)) }

# 1 - the share of the variance that is left
fn r2(x: f32[..], y: f32[..]) -> metric {
  let t = _like(x, y)
  return 1 - sum((t - x) ^ 2) / sum((t - mean(t)) ^ 2)
}

# exp of the cross entropy
fn perplexity(logits: f32[..], y: i32[..]) -> metric { return exp(cross_entropy(logits, y)) }
