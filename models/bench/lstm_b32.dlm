# A character LSTM, batches of 32 sequences of 64 characters: one training step with Adam on random characters.
data text = synthetic[256, "i32[64] 0..65", "i32[64] 0..65"]

block CharLstm(ids: i32[B, T]) -> f32[B, T, 65] {
  return ids |> Embedding[65, 128] |> Lstm[256] |> Linear[65]
}

train lstm_b32[epochs=1] {
  let net = CharLstm
  let opt = adam(net)
  step (x, y) in text.train |> batch[32] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
