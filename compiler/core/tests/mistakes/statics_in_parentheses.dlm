# x: f32[2, 3]
fn twice(x: f32[..]) { return twice(x) * 2 }

fn case(x: f32[2, 3]) {
  let p = 0.5
  let a = softmax(x, dim=1)
  let b = dropout(x, p)
  let c = max(x, 0)
  let d = reshape(x, 3, 2)
  let e = zeros(3)
  let f = concat(x, x, axis=1)
  let g = sum[dim=1](x)
  let h = mean[keepdim=true](x, axis=1)
  let i = max_pool2d(x, 2)
  let j = x.mean()
  let k = x.detach()
  let l = x.T
  let m = x.view(3, 2)
  let n = x.size(0)
  let o = None
  let p = True
  let q = cat(x, x)
  return twice(x)
}
