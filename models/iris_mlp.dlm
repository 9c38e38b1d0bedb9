# A table from a CSV file, its columns standardized, and a small perceptron.
# Reaches 29 of the 30 flowers that are held back, 97 % (100 epochs, less than a second).
data flowers = csv["data/iris.csv"] |> standardize |> split[0.8]

block Net(x: f32[B, n]) -> f32[B, 3] {
  return x |> Linear[16] |> tanh |> Linear[3]
}

train iris[epochs=100, seed=3] {
  let net = Net
  let opt = adam[lr=0.01](net)
  step (x, y) in flowers.train |> shuffle |> batch[16] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
  eval (x, y) in flowers.test |> batch[30] {
    let logits = net(x)
    report cross_entropy(logits, y), accuracy(logits, y), confusion(logits, y)
  }
}
