# A character GPT of six layers, batches of 16 texts of 128: one training step with AdamW on random ids.
data texts = synthetic[64, "i32[128] 0..65", "i32[128] 0..65"]

block Attention[heads: int](x: f32[B, T, D]) -> f32[B, T, D] {
  let q, k, v = x |> Linear[3 * D] |> rearrange["b t (n h d) -> n b h t d", n=3, h=heads]
  let a = einsum["b h i d, b h j d -> b h i j"](q, k) / sqrt(D / heads) |> causal_mask
                                                                        |> softmax[axis=-1]
  return einsum["b h i j, b h j d -> b i h d"](a, v) |> rearrange["b t h d -> b t (h d)"]
                                                     |> Linear[D]
}

block Layer[heads: int](x: f32[B, T, D]) -> f32[B, T, D] {
  let h = x + (x |> LayerNorm |> Attention[heads])
  return h + (h |> LayerNorm |> Linear[4 * D] |> gelu |> Linear[D])
}

block Gpt[vocab: int, width: int, heads: int, layers: int](ids: i32[B, T]) -> f32[B, T, vocab] {
  let h = ids |> Embedding[vocab, width]
  param pos: f32[T, width] = normal[0.02]
  h = h + pos
  for i in 0..layers { h = h |> Layer[heads] }
  return h |> LayerNorm |> Linear[vocab]
}

train gpt[epochs=1] {
  let net = Gpt[65, 192, 6, 6]
  let opt = adamw[lr=1e-3](net)
  step (x, y) in texts.train |> batch[16] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
