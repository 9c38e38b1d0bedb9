# train
data d = digits[]

train run[steps=1] {
  let net = Linear[10]
  let opt = adam[learning_rate=0.1](net)
  step (x, y) in d.train |> batch[4] {
    minimize cross_entropy(net(flatten(x)), y) with opt
  }
}
