# train
data images = digits[]

train run[epochs=1] {
  let net = Linear[10]
  let opt = adm[lr=0.1](net)
  step (x, y) in images |> shuffle {
    let loss = cross_entropy(net(flatten(x)), y)
    minimize loss with opt
  }
}
