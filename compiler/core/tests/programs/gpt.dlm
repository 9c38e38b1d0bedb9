data words = synthetic[64]

block Attention[heads: int](x: f32[B, T, D]) -> f32[B, T, D] {
  let q, k, v = x |> Linear[3 * D, bias=false]
                  |> rearrange["b t (n h d) -> n b h t d", n=3, h=heads]
  let a = einsum["b h i d, b h j d -> b h i j"](q, k) / sqrt(D / heads)
          |> causal_mask |> softmax[axis=-1] |> dropout[0.1]
  return einsum["b h i j, b h j d -> b i h d"](a, v) |> rearrange["b t h d -> b t (h d)"] |> Linear[D]
}

block Gpt[vocab: int, ctx: int, d: int = 128, layers: int = 4](ids: i32[B, T]) -> f32[B, T, vocab] {
  let tok = Embedding[vocab, d]
  param pos: f32[ctx, d] = normal[0.02]
  let h = tok(ids) + pos[0:T]
  for i in 0..layers { h = h |> TransformerLayer[4, causal=true] }
  return einsum["b t d, v d -> b t v"](h |> LayerNorm, tok.weight)
}

train gpt[steps=10] {
  let net = Gpt[65, 32, d=16, layers=2]
  let opt = adamw[lr=1e-3 * warmup[100] * cosine, clip_norm=1.0](net)
  step (x, y) in words.train |> batch[4] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
