# train
data images = digits[]

train run[epochs=1] {
  let net = Linear[10]
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[8] {
    let n = sum(y)
    for i in 0..n { report i }
    let loss = cross_entropy(net(flatten(x)), y) + sum(zeros[n])
    minimize loss with opt
  }
}
