# Schedules: factors to multiply a base rate by. They count in `iter`; per="epoch" makes it `epoch`.

# what a schedule counts in
fn _clock[per: str] -> schedule {
  let per = _require["per", per == "iter" or per == "epoch", "is \"iter\" or \"epoch\""]
  return if per == "epoch" { epoch } else { iter }
}

# what a schedule counts up to
fn _end[total: schedule = none, per: str = "iter"] -> schedule {
  let total = _require["total", total == none or total > 0, "is above 0"]
  let whole = if per == "epoch" { epochs } else { steps }
  return if total == none { whole } else { total }
}

# gamma ^ floor(n / every)
fn staircase[every: int, gamma: float = 0.1, per: str = "iter"] -> schedule {
  let every = _require["every", every >= 1, "is at least 1"]
  let gamma = _require["gamma", gamma >= 0, "is at least 0"]
  return gamma ^ floor(_clock[per] / every)
}

# gamma for each of the milestones passed
fn multistep[at: [int], gamma: float = 0.1, per: str = "iter"] -> schedule {
  let gamma = _require["gamma", gamma >= 0, "is at least 0"]
  let factor = 1
  for milestone in at { factor = factor * where(_clock[per] >= milestone, gamma, 1) }
  return factor
}

# gamma ^ n
fn exponential[gamma: float, per: str = "iter"] -> schedule {
  let gamma = _require["gamma", gamma >= 0, "is at least 0"]
  return gamma ^ _clock[per]
}

# 1 / (1 + gamma n) ^ power
fn inverse[gamma: float, power: float = 1, per: str = "iter"] -> schedule {
  let gamma = _require["gamma", gamma >= 0, "is at least 0"]
  return 1 / (1 + gamma * _clock[per]) ^ power
}

# (1 - n / total) ^ power, 0 after it
fn polynomial[power: float = 1, total: schedule = none, per: str = "iter"] -> schedule {
  let end = _end[total, per]
  let power = _require["power", power >= 0, "is at least 0"]
  return maximum(1 - _clock[per] / end, 0) ^ power
}

# half a cosine from 1 to 0  (Loshchilov, Hutter 2016)
fn cosine[total: schedule = none, per: str = "iter"] -> schedule {
  let end = _end[total, per]
  return 0.5 * (1 + cos(3.141592653589793 * minimum(_clock[per] / end, 1)))
}

# the same, again and again
fn cosine_restarts[period: int, per: str = "iter"] -> schedule {
  let period = _require["period", period >= 1, "is at least 1"]
  return 0.5 * (1 + cos(3.141592653589793 * (_clock[per] % period) / period))
}

# from 1 / n to 1 in n updates
fn warmup[n: int, per: str = "iter"] -> schedule {
  let n = _require["n", n >= 1, "is at least 1"]
  return minimum((_clock[per] + 1) / n, 1)
}

# up from 1 / 25 to 1 in the first 0.3, then down to 1 / 250000, along cosines: PyTorch's OneCycleLR  (Smith 2018)
fn one_cycle[total: schedule = none, per: str = "iter"] -> schedule {
  let end = _end[total, per]
  let n = _clock[per]
  let top = 0.3 * end - 1
  let rise = n / maximum(top, 1e-6)
  let fall = minimum((n - top) / maximum(end - 1 - top, 1e-6), 1)
  let up = 0.04 + 0.48 * (1 - cos(3.141592653589793 * rise))
  let down = 4e-6 + 0.499998 * (1 + cos(3.141592653589793 * fall))
  return where(n <= top, up, down)
}

# times `factor` whenever a metric of an `eval` has not got better for more than `patience` evaluations; mode="min" or
# "max" says what is better, where the metric's name (`accuracy`, `f1` … or another) does not
fn plateau[metric: str, factor: float = 0.1, patience: int = 10, threshold: float = 1e-4, mode: str = none] -> schedule {
  let factor = _require["factor", factor > 0 and factor < 1, "is above 0 and below 1"]
  let patience = _require["patience", patience >= 0, "is at least 0"]
  let threshold = _require["threshold", threshold >= 0, "is at least 0"]
  return _plateau[metric, factor, patience, threshold, mode]
}
