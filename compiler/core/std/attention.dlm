# Attention  (Vaswani et al. 2017). Sequences are [B, T, D]. Names and layouts of weights are PyTorch's.

# heads times softmax(q k^T / sqrt(d)) v; `mask` is true where position i may attend to position j: [T, S] for all,
# [B, T, S] for each sample, [B, heads, T, S] for each head of each sample. Where q, k and v are equally wide, their weights
# are one, `in_proj_weight`
block MultiHeadAttention[heads: int, causal: bool = false, dropout: float = 0](q: f32[B, T, D], k: f32[B, S, E],
                         v: f32[B, S, F], mask: bool[..] = none) -> f32[B, T, D] {
  let heads = D / _divided[D, heads, "features", "heads"]
  let out_proj = _OutProjection[D]
  let wq = none
  let wk = none
  let wv = none
  if E == D and F == D {
    param in_proj_weight: f32[3 * D, D] = xavier_uniform
    wq, wk, wv = split[0, 3](in_proj_weight)
  } else {
    param q_proj_weight: f32[D, D] = xavier_uniform
    param k_proj_weight: f32[D, E] = xavier_uniform
    param v_proj_weight: f32[D, F] = xavier_uniform
    wq = q_proj_weight
    wk = k_proj_weight
    wv = v_proj_weight
  }
  param in_proj_bias: f32[3 * D] = zeros
  let bq, bk, bv = split[0, 3](in_proj_bias)
  let qs = _projected[heads](q, wq, bq)
  let ks = _projected[heads](k, wk, bk)
  let vs = _projected[heads](v, wv, bv)
  return out_proj(_attended[heads, causal, dropout](qs, ks, vs, mask))
}

# `MultiHeadAttention(x, x, x)`, by one product for q, k and v
block _SelfAttention[heads: int, causal: bool, dropout: float](x: f32[B, T, D], mask: bool[..] = none) -> f32[B, T, D] {
  let heads = D / _divided[D, heads, "features", "heads"]
  let out_proj = _OutProjection[D]
  param in_proj_weight: f32[3 * D, D] = xavier_uniform
  param in_proj_bias: f32[3 * D] = zeros
  let q, k, v = einsum["b t i, o i -> b t o"](x, in_proj_weight) + in_proj_bias
                |> rearrange["b t (n h d) -> n b h t d", n=3, h=heads]
  return out_proj(_attended[heads, causal, dropout](q, k, v, mask))
}

# a linear layer whose bias begins at zero
block _OutProjection[out: int](x: f32[B, T, n]) -> f32[B, T, out] {
  param weight: f32[out, n] = fan_in_uniform
  param bias: f32[out] = zeros
  return einsum["b t i, o i -> b t o"](x, weight) + bias
}

# the heads of a linear layer
fn _projected[heads: int](x: f32[B, T, n], weight: f32[D, n], bias: f32[D]) -> f32[B, heads, T, ..] {
  return einsum["b t i, o i -> b t o"](x, weight) + bias |> rearrange["b t (h d) -> b h t d", h=heads]
}

# what attention gathers for each position, the heads side by side
fn _attended[heads: int, causal: bool, dropout: float](q: f32[B, H, T, d], k: f32[B, H, S, d], v: f32[B, H, S, d],
             mask: bool[..] = none) -> f32[B, T, ..] {
  let a = einsum["b h i d, b h j d -> b h i j"](q, k) / sqrt(d)
  let a = if causal { causal_mask(a) } else { a }
  let a = if mask == none { a } else { where(_per_head(mask), a, -1e30 * 1e30) }
  let a = _drop[dropout](softmax[-1](a))
  return einsum["b h i j, b h j d -> b i h d"](a, v) |> rearrange["b t h d -> b t (h d)"]
}

# a mask of three dimensions is one for each sample, [B, T, S]: the same for all its heads
fn _per_head(mask: bool[..]) -> bool[..] {
  let m = not mask      # a tensor, also of a mask that is written as a list
  return if len(m.shape) == 3 { unsqueeze[1](mask) } else { mask }
}

# `dropout` where a static of that name hides it
fn _drop[p: float](x: f32[..]) -> f32[..] { return dropout[p](x) }

# attention to oneself, to `memory` where it is given, then two linear layers; each with its residual
block TransformerLayer[heads: int, ff: int = none, dropout: float = 0.1, causal: bool = false, pre_norm: bool = true,
                       act: fn = gelu](x: f32[B, T, D], memory: f32[B, S, E] = none, mask: bool[..] = none) -> f32[B, T, D] {
  let self_attn = _SelfAttention[heads, causal, dropout]
  let multihead_attn = MultiHeadAttention[heads, dropout=dropout]
  let linear1 = Linear[if ff == none { 4 * D } else { ff }]
  let linear2 = Linear[D]
  let norm1 = LayerNorm
  let norm2 = LayerNorm
  let norm3 = LayerNorm
  let h = x
  let a = if pre_norm { norm1(h) } else { h }
  h = h + _drop[dropout](self_attn(a, mask))
  h = if pre_norm { h } else { norm1(h) }
  if memory != none {
    let c = if pre_norm { norm2(h) } else { h }
    h = h + _drop[dropout](multihead_attn(c, memory, memory))
    h = if pre_norm { h } else { norm2(h) }
  }
  let last_norm = if memory == none { norm2 } else { norm3 }
  let f = if pre_norm { last_norm(h) } else { h }
  h = h + _drop[dropout](f |> linear1 |> act |> _drop[dropout] |> linear2)
  return if pre_norm { h } else { last_norm(h) }
}
