# train
data images = digits[]

train run[epochs=1] {
  let net = Linear[10]
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[8] {
    let loss = cross_entropy(net(flatten(x)), y)
    let before = grad(loss, net.weight)
    minimize loss with opt
    let after = grad(loss, net.weight)
    let again = grad(cross_entropy(net(flatten(x)), y), net.weight)
    report loss, a = sum(before), b = sum(after), c = sum(again)
  }
}
