# LeNet-5 on handwritten digits: those inside the binary, or  --data 'images=mnist["path"] |> normalize[0.1307, 0.3081]'
# Reaches 96 % on the 360 digits that are held back (20 epochs, a second), 99 % on MNIST's test images (5 epochs).
data images = digits[] |> resize[28, 28] |> normalize[0.31, 0.37]

block LeNet[classes: int](x: f32[B, 1, 28, 28]) -> f32[B, classes] {
  return x |> Conv2d[6, 5]  |> relu |> max_pool2d[2]
           |> Conv2d[16, 5] |> relu |> max_pool2d[2]
           |> flatten |> Linear[120] |> relu |> Linear[84] |> relu |> Linear[classes]
}

train lenet[epochs=20, seed=42] {
  let net = LeNet[10]
  let opt = sgd[lr=0.02 * cosine[], momentum=0.9, decay=5e-4](net)
  step (x, y) in images.train |> random_crop[2] |> shuffle |> batch[32] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
  eval (x, y) in images.test |> batch[100] {
    let logits = net(x)
    report cross_entropy(logits, y), accuracy(logits, y), confusion(logits, y)
  }
}
