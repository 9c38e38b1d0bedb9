//! A program for each function and block of the library.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::BTreeMap;

use dlm_core::elaborate::{self, CallRequest, Callable, NoWorld, Settings, Source, World};
use dlm_core::graph::eval::{self, Tensor};
use dlm_core::graph::{DType, Dim, InputKind, TensorType};
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::plan::{Plan, Port, interpret};
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use dlm_grammar::SourceMap;

/// Expressions over `x: f32[2, 4, 6]`, `p: f32[2, 4, 6]` in (0, 1), `y: i32[2, 4]` below 6, `i: f32[2, 4, 6, 6]`,
/// `s: f32[2]`, `c: i32[2]` of 0 and 1.
pub const EXPRESSIONS: &[&str] = &[
    "relu(x)",
    "sin(x) + cos(p)",
    "p ^ (x + 1)",
    "(x + 2.5) % p",
    "where(x <= 0 and not (p > 0.5) or unsqueeze[-1](y) == 1, x, p)",
    "min[axis=1](x) + prod[axis=-1](p)[:, 0:1]",
    "x * randn[4, 6]",
    "round(3 * x)",
    "leaky_relu(x)",
    "elu(x)",
    "selu(x)",
    "gelu(x)",
    "sigmoid(x)",
    "silu(x)",
    "softplus(x)",
    "mish(x)",
    "hard_sigmoid(x)",
    "hard_swish(x)",
    "softmax(x)",
    "log_softmax(x)",
    "glu(x)",
    "clamp[-1, 1](x)",
    "masked_fill[2](x, x > 0)",
    "causal_mask(x) |> softmax",
    "dropout(x)",
    "dropout2d(i)",
    "categorical(x)",
    "var(x)",
    "std[axis=0](x)",
    "logsumexp(x)",
    "logsumexp[axis=(0, 1), keep=true](x)",
    "topk[2](x)[0]",
    "topk[3, axis=1](x)[0]",
    "f32(cumsum[axis=1](y)) * mean(x)",
    "one_hot[6](y)",
    "upsample[2](i)",
    "upsample[3, mode=\"bilinear\"](i)",
    "upsample[(1, 2)](i)",
    "upsample[(2, 3), mode=\"bilinear\"](i)",
    "pixel_shuffle[2](i)",
    "pixel_shuffle[2](relu(i))",
    "reshape[x.shape[0], 1, 24](relu(x))",
    "nll(log_softmax(x), y)",
    "nll[ignore=2](log_softmax(x), y)",
    "cross_entropy(x, y)",
    "cross_entropy(x, softmax(x))",
    "cross_entropy[smoothing=0.1, weight=[1, 2, 3, 4, 5, 6]](x, y)",
    "cross_entropy[ignore=3](x, y)",
    "cross_entropy[axis=1](transpose[1, 2](x), y)",
    "bce(p, 1)",
    "bce_logits(x, p)",
    "bce_logits[pos_weight=2](x, p)",
    "bce_logits[pos_weight=[1, 2, 3, 0.5, 1, 4]](x, p)",
    "mse(x, p)",
    "mae(x, 0)",
    "huber(x, p)",
    "smooth_l1(x, p)",
    "kl_div(log_softmax(x), softmax(p))",
    "hinge(x, sign(x))",
    "focal(x, p)",
    "triplet(x, p, -x)",
    "cosine_embedding(x, p, ones[2, 4])",
    "poisson_nll(x, p)",
    "dice(p, p)",
    "max_pool1d[2](x)",
    "max_pool2d[2](i)",
    "max_pool3d[2](unsqueeze[0](i))",
    "avg_pool1d[2](x)",
    "avg_pool2d[2](i)",
    "avg_pool3d[2](unsqueeze[0](i))",
    "global_avg_pool(i)",
    "global_max_pool(i)",
    "adaptive_avg_pool2d[2, 4](i)",
    "accuracy(x, y)",
    "top_k[2](x, y)",
    "confusion(x, y)",
    "precision(x, y)",
    "recall(x, y)",
    "f1(x, y)",
    "auc(s, c)",
    "rmse(x, p)",
    "r2(x, p)",
    "perplexity(x, y)",
    "squeeze(unsqueeze[0](x))",
    "expand[3, -1, -1, -1](unsqueeze[0](x))",
    "roll[1, 2](x)",
    "roll[-5](x)",
    "flip[1](x)",
    "repeat[2, 1](x)",
    "arange[5]",
    "arange[2, 5]",
    "full[2.5, 3]",
    "cumsum(x)",
    "argmin[0](x)",
    // Of what is no number, and of nothing but infinity.
    "argmax[-1](sqrt(x - 1)) + argmin[-1](sqrt(x))",
    "topk[3](where(x > -1.5, -1e30 * 1e30, x))[1]",
    "topk[5, axis=none](x)[0]",
    "isnan(x)",
    "rearrange[\"a b c -> (c a) b\"](x)",
    "pow(p, 0.5)",
    "minimum(x, p)",
    "bool(y)",
    "concat[axis=1](x, p)",
];

/// Bodies of a block over the same.
pub const BLOCKS: &[&str] = &[
    "let f = Linear[3]\n return f(x)",
    "let f = Embedding[6, 3]\n return f(y)",
    "let f = PReLU\n return f(x)",
    "let f = Conv1d[3, 3]\n return f(x)",
    "let f = Conv2d[3, 3, pad=\"same\"]\n return f(i)",
    "let f = Conv3d[3, 2]\n return f(unsqueeze[0](i))",
    "let f = ConvTranspose1d[3, 3, stride=2]\n return f(x)",
    "let f = ConvTranspose2d[3, 3, stride=2, output_pad=1]\n return f(i)",
    "let f = SeparableConv2d[3, 3]\n return f(i)",
    "let f = BatchNorm\n return f(i)",
    "let f = LayerNorm\n return f(x)",
    "let f = RMSNorm\n return f(x)",
    "let f = GroupNorm[2]\n return f(i)",
    "let f = InstanceNorm\n return f(i)",
    "let f = Lstm[3, states=true]\n let y, h, c = f(x)\n return y",
    "let f = Gru[3, states=true]\n let y, h = f(x)\n return y",
    "let f = Rnn[3]\n return f(x)",
    "let f = LstmCell[6]\n let h, c = f(x[:, 0], x[:, 1], x[:, 2])\n return h",
    "let f = GruCell[6]\n return f(x[:, 0], x[:, 1])",
    "let f = MultiHeadAttention[2, causal=true]\n return f(x, x, x)",
    "let f = MultiHeadAttention[2]\n return f(x, p, p, ones[4, 4] > 0)",
    "let f = TransformerLayer[2]\n return f(x, p)",
    "let f = TransformerLayer[3, ff=5, pre_norm=false, act=relu]\n return f(x)",
    "param wa: f32[4, 6] = trunc_normal[0.02]\n param wb: f32[4, 6] = xavier_uniform\n param wc: f32[4, 6] = xavier_normal\n return x * wa + wb + wc",
    "param wa: f32[4, 6] = kaiming_uniform\n param wb: f32[4, 6] = kaiming_normal\n param wc: f32[4, 6] = lecun_uniform\n return x * wa + wb + wc",
    "param wa: f32[4, 6] = lecun_normal\n param wb: f32[4, 6] = uniform[0.1]\n param wc: f32[4, 6] = constant[2]\n return x * wa + wb + wc",
    "param wa: f32[4, 6] = fan_in_uniform\n param wb: f32[4, 6] = normal[0.1]\n param wc: f32[6, 6] = orthogonal\n return (x * wa + wb) @ wc",
];

/// Bodies that have no plan, or a wrong one, where a schedule forgets something.
pub const TWISTED: &[&str] = &[
    // The gradient of a parameter's parts, of which each is a sum over samples.
    "param w: f32[18] = zeros\n let a, b, c = split[0, 3](w)\n return (x + a) * (p + b) * (p * c)",
    "param w: f32[18] = zeros\n let a, b, c = split[0, 3](w)\n let v = einsum[\"b i t, b j t -> b i j\"](x + a, p + b)\n return softmax(v) @ (p + c)",
    // A padding at the end of what another kernel makes.
    "return pad[(0, 0), (0, 2)](sum[axis=-1](i)) + pad[(0, 0), (0, 2)](sum[axis=-2](i * i))",
    "return pad[(0, 3)](einsum[\"b i t, b j t -> b i j\"](x, p)) * 2",
    // Samples that read other samples.
    "return flip[0](x) + x",
    "return roll[1, 0](x) * p",
    "return x @ transpose(x[0, :3, :])",
    "return reshape[6, -1](transpose[0, 2](x)) |> cumsum",
    "return rearrange[\"a (b c) d -> b (a d) c\", b=2](x) |> relu",
    "let d = unsqueeze[0](x) - unsqueeze[1](p)\n return sqrt(sum[axis=(-1, -2)](d ^ 2) + 0.01)",
    "return 0.3 * x + 0.7 * flip[0](p) |> softmax",
    // Diagonals and traces, of samples too.
    "return einsum[\"b c i i -> b c i\"](i)",
    "return einsum[\"b c i i -> b c\"](i)",
    "return einsum[\"b c i i, b c i -> b i\"](i, x)",
    "return einsum[\"i i -> i\"](x[0, :, :4])",
    "return einsum[\"i i ->\"](x[0, :, :4] * 2)",
    "return einsum[\"i i -> i\"](einsum[\"a i j, b i j -> a b\"](x, p))",
    "return einsum[\"i i ->\"](einsum[\"a i j, b i j -> a b\"](p, p))",
    "return einsum[\"i i j -> i j\"](einsum[\"a i j, b i j -> a b j\"](x, p))",
    // Several positions of a running sum.
    "return glu(cumsum(x))",
    "let y = cumsum(x * p)\n return y[.., :3] * y[.., 3:] + y[.., 1:4]",
    "return cumsum[axis=1](x)[:, 1:] - cumsum[axis=1](x)[:, :-1]",
    "let y = cumsum(x)\n return concat[axis=-1](y, flip[-1](y), x)",
    "let y = cumsum(x)\n return max_pool1d[2](y) + sum[axis=-1, keep=true](y)",
];

/// The program of each row, for `samples` along axis 0, and its entry's name.
pub fn cases(samples: i64) -> Vec<(String, &'static str)> {
    let n = samples;
    let signature = format!(
        "(x: f32[{n}, 4, 6], p: f32[{n}, 4, 6], y: i32[{n}, 4], i: f32[{n}, 4, 6, 6], s: f32[{n}], c: i32[{n}])"
    );
    let ones = format!("ones[{n}, 4]");
    let function = |row: &&str| {
        let row = row.replace("ones[2, 4]", &ones);
        (format!("fn case{signature} {{ return {row} }}"), "case")
    };
    let block = |row: &&str| (format!("block Case{signature} {{ {row} }}"), "Case");
    let functions = EXPRESSIONS.iter().map(function);
    let blocks = BLOCKS.iter().chain(TWISTED).map(block);
    functions.chain(blocks).collect()
}

/// The arguments' types and shapes.
pub fn arguments(samples: i64) -> [(&'static str, DType, Vec<i64>); 6] {
    [
        ("x", DType::F32, vec![samples, 4, 6]),
        ("p", DType::F32, vec![samples, 4, 6]),
        ("y", DType::I32, vec![samples, 4]),
        ("i", DType::F32, vec![samples, 4, 6, 6]),
        ("s", DType::F32, vec![samples]),
        ("c", DType::I32, vec![samples]),
    ]
}

/// Pseudo-random values in an argument's range: around 0, in (0, 1) for `p`, classes for `y` and `c`.
pub fn values(name: &str, shape: &[i64], seed: u64) -> Tensor {
    let mut state =
        seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ name.bytes().map(u64::from).sum::<u64>();
    Tensor::from_fn(shape, |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let unit = ((state >> 40) as f64 + 0.5) / f64::from(1 << 24);
        match name {
            "y" => (unit * 6.0).floor(),
            "c" => (unit * 2.0).floor(),
            "p" => f64::from((0.05 + 0.9 * unit) as f32),
            _ => f64::from((4.0 * unit - 2.0) as f32),
        }
    })
}

/// Rows that are refused with bf16 in place of f32: what brackets and random generators make is f32, and does not mix.
pub const MIXED: &[&str] = &[
    "x * randn[4, 6]",
    "cosine_embedding(x, p, ones[",
    "f32(cumsum[axis=1](y)) * mean(x)",
];

/// The same program with bf16 in place of f32.
pub fn halved(text: &str) -> String {
    text.replace(": f32[", ": bf16[")
}

/// The same inputs, each of a value that bf16 has.
pub fn rounded(mut inputs: eval::Inputs) -> eval::Inputs {
    for value in inputs.values_mut().flat_map(|tensor| &mut tensor.data) {
        *value = f64::from(eval::round_bf16(*value as f32));
    }
    inputs
}

/// The program with the gradients of everything, for arguments of that float type.
///
/// # Errors
/// What its mistakes are.
pub fn elaborated(text: &str, entry: &str, samples: i64, float: DType) -> Result<Callable, String> {
    let arguments = arguments(samples).into_iter().filter(|(name, ..)| {
        text.contains(&format!("({name}: ")) || text.contains(&format!(", {name}: "))
    });
    let types = arguments.map(|(name, dtype, shape)| {
        let dtype = if dtype == DType::F32 { float } else { dtype };
        let shape: Vec<Dim> = shape.iter().map(|&extent| Dim::fixed(extent)).collect();
        (name.to_owned(), TensorType::new(dtype, shape))
    });
    with_gradients(text, entry, types.collect())
}

/// A program with arguments of these types and the gradients of everything.
///
/// # Errors
/// What its mistakes are.
pub fn with_gradients(
    text: &str,
    entry: &str,
    arguments: BTreeMap<String, TensorType>,
) -> Result<Callable, String> {
    compiled(text, entry, arguments, true)
}

/// A program with arguments of these types, in training with the gradients of everything, or forward alone.
///
/// # Errors
/// What its mistakes are.
pub fn compiled(
    text: &str,
    entry: &str,
    arguments: BTreeMap<String, TensorType>,
    training: bool,
) -> Result<Callable, String> {
    let request = CallRequest {
        arguments,
        training,
        gradients: training,
    };
    let settings = Settings::default();
    let world = World {
        loader: &NoWorld,
        catalog: &NoWorld,
        settings: &settings,
    };
    let mut sources = SourceMap::new();
    let main = Source {
        name: "case.dlm",
        text,
    };
    let elaborated = elaborate::callable(&mut sources, main, world, entry, &request);
    let rendered = sources.render_all(&elaborated.diagnostics);
    elaborated.value.ok_or(rendered)
}

/// The program with the gradients of everything.
///
/// # Panics
/// When it does not elaborate.
pub fn callable(text: &str, entry: &str, samples: i64) -> Callable {
    elaborated(text, entry, samples, DType::F32).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

/// Values of all inputs of a program.
///
/// # Panics
/// When its initial values cannot be computed.
pub fn inputs(callable: &Callable, samples: i64, seed: u64) -> eval::Inputs {
    let mut given = eval::Inputs::new();
    given.insert("seed".into(), Tensor::scalar(0.0));
    given.insert("counter".into(), Tensor::scalar(0.0));
    let initial = eval::evaluate_single(&callable.init, 1, &given).expect("initial values");
    given.extend(initial);
    for (name, _, shape) in arguments(samples) {
        given.insert(name.to_owned(), values(name, &shape, seed));
    }
    if let Some(result) = callable.results.first() {
        let shape: Vec<i64> = result.shape.iter().map(|dim| dim.at(1)).collect();
        given.insert("cotangent".to_owned(), values("cotangent", &shape, seed));
    }
    given
}

/// The plan of a program over `x` of that shape with its gradients, of which each output is the graph's.
///
/// # Errors
/// What goes wrong, or the first output that differs.
pub fn planned(callable: &Callable, x: &[i64], target: &Target) -> Result<Plan, String> {
    let graph =
        run_passes(&callable.graph, PASSES, |_, _| {}).map_err(|error| error.to_string())?;
    let mut given = eval::Inputs::new();
    given.insert("seed".into(), Tensor::scalar(0.0));
    given.insert("counter".into(), Tensor::scalar(0.0));
    let initial = eval::evaluate_single(&callable.init, 1, &given).expect("initial values");
    given.extend(initial);
    given.insert("x".into(), values("x", x, 1));
    let dims = callable.results[0].shape.iter();
    let shape: Vec<i64> = dims.map(|dim| dim.at(1)).collect();
    given.insert("cotangent".into(), values("cotangent", &shape, 2));
    let wanted = eval::evaluate(&graph, 1, &given).map_err(|error| error.to_string())?;
    let plan = schedule(&graph, target, 1, &PersistentLayout::of(&graph));
    let plan = plan.map_err(|error| error.to_string())?;
    let port = |port: &Port<InputKind>| ((port.kind, port.name.clone()), given[&port.name].clone());
    let ports: BTreeMap<_, Tensor> = plan.inputs.iter().map(port).collect();
    let found = interpret(&plan, plan.batch, &ports).map_err(|error| error.to_string())?;
    for ((name, want), (_, got)) in wanted.iter().zip(&found) {
        agree(name, &got.data, &want.data)?;
    }
    Ok(plan)
}

/// Whether values are as wanted, but for f32's rounding in another order of sums.
///
/// # Errors
/// The first element that is not.
pub fn agree(name: &str, got: &[f64], want: &[f64]) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{name}: {} values, not {}", got.len(), want.len()));
    }
    let scale = want
        .iter()
        .fold(1.0_f64, |scale, value| scale.max(value.abs()));
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        let near = got == want || (got - want).abs() <= 2e-5 * scale + 2e-4 * want.abs();
        if !near {
            return Err(format!("{name}[{index}] is {got}, not {want}"));
        }
    }
    Ok(())
}
