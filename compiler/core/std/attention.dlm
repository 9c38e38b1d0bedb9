# Attention  (Vaswani et al. 2017). Sequences are [B, T, D].

# heads times softmax(q k^T / sqrt(d)) v; `mask` is true where position i may attend to position j: [T, S] for all,
# [B, T, S] for each sample, [B, heads, T, S] for each head of each sample
block MultiHeadAttention[heads: int, causal: bool = false, dropout: float = 0](q: f32[B, T, D], k: f32[B, S, E],
                         v: f32[B, S, F], mask: bool[..] = none) -> f32[B, T, D] {
  let heads = D / _divided[D, heads, "features", "heads"]
  let q_proj = Linear[D]
  let k_proj = Linear[D]
  let v_proj = Linear[D]
  let out_proj = Linear[D]
  let qs = q_proj(q) |> rearrange["b t (h d) -> b h t d", h=heads]
  let ks = k_proj(k) |> rearrange["b t (h d) -> b h t d", h=heads]
  let vs = v_proj(v) |> rearrange["b t (h d) -> b h t d", h=heads]
  let a = einsum["b h i d, b h j d -> b h i j"](qs, ks) / sqrt(D / heads)
  let a = if causal { causal_mask(a) } else { a }
  let a = if mask == none { a } else { where(_per_head(mask), a, -1e30 * 1e30) }
  let a = _drop[dropout](softmax[-1](a))
  return einsum["b h i j, b h j d -> b i h d"](a, vs) |> rearrange["b t h d -> b t (h d)"] |> out_proj
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
  let attention = MultiHeadAttention[heads, causal=causal, dropout=dropout]
  let norm1 = LayerNorm
  let linear1 = Linear[if ff == none { 4 * D } else { ff }]
  let linear2 = Linear[D]
  let norm2 = LayerNorm
  let h = x
  let a = if pre_norm { norm1(h) } else { h }
  h = h + _drop[dropout](attention(a, a, a, mask))
  h = if pre_norm { h } else { norm1(h) }
  if memory != none {
    let cross = MultiHeadAttention[heads, dropout=dropout]
    let norm3 = LayerNorm
    let c = if pre_norm { norm3(h) } else { h }
    h = h + _drop[dropout](cross(c, memory, memory))
    h = if pre_norm { h } else { norm3(h) }
  }
  let f = if pre_norm { norm2(h) } else { h }
  h = h + _drop[dropout](f |> linear1 |> act |> _drop[dropout] |> linear2)
  return if pre_norm { h } else { norm2(h) }
}
