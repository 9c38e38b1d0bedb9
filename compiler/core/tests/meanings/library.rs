//! **Library details that the references fix.**

use crate::support::{
    Given, X, agree, check, gives, good, initial, outputs, passed, paths, refused, shape,
};
use dlm_core::graph::DType;
use dlm_core::graph::eval::{self, Tensor};
use std::collections::BTreeMap;

const X_ROWS: [[f64; 3]; 2] = [[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]];

fn softmax(row: &[f64]) -> Vec<f64> {
    let total: f64 = row.iter().map(|value| value.exp()).sum();
    row.iter().map(|value| value.exp() / total).collect()
}

/// "`var`, `std` divide by n."
#[test]
fn var_and_std_divide_by_n() {
    gives("var[axis=-1](x)", &[38.0 / 9.0, 206.0 / 9.0]);
    gives(
        "std[axis=-1](x)",
        &[(38.0_f64 / 9.0).sqrt(), (206.0_f64 / 9.0).sqrt()],
    );
    gives("var(x)", &[91.0 / 6.0 - 0.25]);
}

/// "`kl_div(log_p, q)` is summed, then divided by the first axis."
#[test]
fn kl_div_is_summed_then_divided_by_the_first_axis() {
    let q = 1.0 / 3.0;
    let rows = X_ROWS.iter().map(|row| {
        softmax(row)
            .iter()
            .map(|p| q * (f64::ln(q) - p.ln()))
            .sum::<f64>()
    });
    gives(
        "kl_div(log_softmax(x), full[1 / 3, 2, 3])",
        &[rows.sum::<f64>() / 2.0],
    );
}

const Y: Given<'static> = ("y", DType::I32, &[2], &[2.0, 1.0]);

/// Both arguments of a loss of classes.
fn with_labels(expr: &str) -> String {
    format!("fn case(x: f32[2, 3], y: i32[2]) {{ return {expr} }}")
}

/// "`cross_entropy[axis=-1]`, `nll`, `accuracy` take classes on the last axis (images: `axis=1`)."
#[test]
fn losses_of_classes_take_them_on_the_last_axis() {
    let losses = [-softmax(&X_ROWS[0])[2].ln(), -softmax(&X_ROWS[1])[1].ln()];
    let mean = (losses[0] + losses[1]) / 2.0;
    for expr in [
        "cross_entropy(x, y)",
        "cross_entropy[axis=-1](x, y)",
        "nll(log_softmax(x), y)",
        "cross_entropy[axis=0](transpose(x), y)",
        "nll[axis=0](log_softmax[0](transpose(x)), y)",
        "cross_entropy[axis=1](reshape[1, 3, 1, 2](transpose(x)), reshape[1, 1, 2](y))",
    ] {
        check(&with_labels(expr), &[X, Y], &[mean]);
    }
    check(&with_labels("accuracy(x, y)"), &[X, Y], &[1.0]);
    check(&with_labels("accuracy(-x, y)"), &[X, Y], &[0.0]);
    check(
        &with_labels("accuracy[axis=0](transpose(x), y)"),
        &[X, Y],
        &[1.0],
    );
}

/// "`weight` gives the weighted mean, `ignore` leaves elements out."
#[test]
fn weight_gives_the_weighted_mean_and_ignore_leaves_out() {
    let losses = [-softmax(&X_ROWS[0])[2].ln(), -softmax(&X_ROWS[1])[0].ln()];
    let y: Given<'_> = ("y", DType::I32, &[2], &[2.0, 0.0]);
    let weighted = (5.0 * losses[0] + losses[1]) / 6.0;
    for expr in [
        "cross_entropy[weight=[1, 2, 5]](x, y)",
        "nll[weight=[1, 2, 5]](log_softmax(x), y)",
    ] {
        check(&with_labels(expr), &[X, y], &[weighted]);
    }
    check(
        &with_labels("cross_entropy[ignore=2](x, y)"),
        &[X, y],
        &[losses[1]],
    );
    check(
        &with_labels("cross_entropy[ignore=0, weight=[1, 2, 5]](x, y)"),
        &[X, y],
        &[losses[0]],
    );
    let outside: Given<'_> = ("y", DType::I32, &[2], &[-100.0, 0.0]);
    check(
        &with_labels("cross_entropy[ignore=-100](x, y)"),
        &[X, outside],
        &[losses[1]],
    );
}

/// "`poisson_nll` takes logs."
#[test]
fn poisson_nll_takes_logs() {
    gives(
        "poisson_nll(x[0], 2)",
        &[[1.0_f64, -2.0, 3.0]
            .iter()
            .map(|x| x.exp() - 2.0 * x)
            .sum::<f64>()
            / 3.0],
    );
}

/// "`gather(x, ids)` takes rows of axis 0; `one_hot` gives f32; `flatten` keeps axis 0; `global_avg_pool` gives [B, C]."
#[test]
fn gather_one_hot_flatten_and_global_avg_pool() {
    let ids: Given<'_> = ("ids", DType::I32, &[2, 2], &[1.0, 0.0, 1.0, 1.0]);
    let text = "fn case(x: f32[2, 3], ids: i32[2, 2]) { return gather(x, ids) }";
    assert_eq!(shape(text, &[X, ids]), [2, 2, 3]);
    let rows = [X_ROWS[1], X_ROWS[0], X_ROWS[1], X_ROWS[1]].concat();
    check(text, &[X, ids], &rows);
    let y: Given<'_> = ("y", DType::I32, &[2], &[2.0, 0.0]);
    check(
        "fn case(y: i32[2]) -> f32[2, 3] { return one_hot[3](y) }",
        &[y],
        &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0],
    );
    assert_eq!(
        shape(
            "fn case(x: f32[2, 3]) { return flatten(ones[2, 3, 4, 5]) }",
            &[X]
        ),
        [2, 60]
    );
    let text = "fn case(x: f32[2, 3]) { return global_avg_pool(unsqueeze[-1](unsqueeze[-1](x)) + [[1, 2], [3, 6]]) }";
    assert_eq!(shape(text, &[X]), [2, 3]);
    check(text, &[X], &[4.0, 1.0, 6.0, -1.0, 8.0, -3.0]);
}

/// "`pad`'s pairs are for the last axes, in axis order."
#[test]
fn pads_pairs_are_for_the_last_axes_in_axis_order() {
    gives("pad[(1, 0)](x)[0]", &[0.0, 1.0, -2.0, 3.0]);
    let text = "fn case(x: f32[2, 3]) { return pad[(1, 2), (0, 1)](x) }";
    assert_eq!(shape(text, &[X]), [5, 4]);
    gives("pad[(1, 2), (0, 1)](x)[1]", &[1.0, -2.0, 3.0, 0.0]);
}

/// "`upsample` has corners unaligned."
#[test]
fn upsample_has_corners_unaligned() {
    let row = |mode: &str| {
        let text = format!(
            "fn case(x: f32[2, 3]) {{ return upsample[2, mode=\"{mode}\"](reshape[1, 1, 1, 3](x[0]))[0, 0, 0] }}"
        );
        outputs(&text, &[X], true)["out"].data.clone()
    };
    agree(
        "nearest",
        &row("nearest"),
        &[1.0, 1.0, -2.0, -2.0, 3.0, 3.0],
    );
    agree(
        "bilinear",
        &row("bilinear"),
        &[1.0, 0.25, -1.25, -0.75, 1.75, 3.0],
    );
}

/// "Norms' eps is 1e-5."
#[test]
fn norms_have_eps_1e_5() {
    // Of values as small as sqrt(eps), eps is as much as what is normalized.
    let small = 1e-5_f64.sqrt();
    let of = |norm: &str, wanted: f64| {
        let text = format!(
            "block Case(x: f32[2, 3]) {{ let y = {small} * sign(x[:, :2]) * [[1, 1], [1, 1]]\n return {norm} }}"
        );
        let got = outputs(&text, &[X], true)["out"].data.clone();
        agree(norm, &got, &[wanted, -wanted, -wanted, wanted]);
    };
    let half = 0.5_f64.sqrt();
    of("y |> LayerNorm", half);
    of("y |> RMSNorm", half);
    of("y |> BatchNorm", half);
    of("unsqueeze[1](y) |> GroupNorm[1] |> squeeze[1]", half);
    of("unsqueeze[1](y) |> InstanceNorm |> squeeze[1]", half);
}

/// "`softmax`, `log_softmax`, `cumsum` default to axis -1, `concat`, `stack` to 0; reductions to all axes."
#[test]
fn default_axes() {
    let rows: Vec<f64> = X_ROWS.iter().flat_map(|row| softmax(row)).collect();
    gives("softmax(x)", &rows);
    gives("exp(log_softmax(x))", &rows);
    gives("cumsum(x)", &[1.0, -1.0, 2.0, -4.0, 1.0, -5.0]);
    gives("cumsum[0](x)", &[1.0, -2.0, 3.0, -3.0, 3.0, -3.0]);
    let made = |expr: &str| shape(&format!("fn case(x: f32[2, 3]) {{ return {expr} }}"), &[X]);
    assert_eq!(made("concat(x, x)"), [4, 3]);
    assert_eq!(made("stack(x, x, x)"), [3, 2, 3]);
    for (name, wanted) in [
        ("sum", -3.0),
        ("mean", -0.5),
        ("max", 5.0),
        ("min", -6.0),
        ("prod", -720.0),
        ("argmax", 4.0),
        ("argmin", 5.0),
    ] {
        gives(&format!("{name}(x)"), &[wanted]);
    }
    let all: f64 = X_ROWS.concat().iter().map(|value| value.exp()).sum();
    gives("logsumexp(x)", &[all.ln()]);
    assert_eq!(made("sum[0](x)"), [3]);
    assert_eq!(made("max[axis=1, keep=true](x)"), [2, 1]);
}

/// "`causal_mask` puts minus infinity where j > i on the last two axes."
#[test]
fn causal_mask_puts_minus_infinity_after_the_diagonal() {
    let minus = f64::NEG_INFINITY;
    gives("causal_mask(x)", &[1.0, minus, minus, -4.0, 5.0, minus]);
}

/// "`Lstm[hidden, states=true](x, h, c)` returns y, h, c (h, c optional; `Gru`, `Rnn` h only); `LstmCell(x, h, c)` returns
/// h, c."
#[test]
fn recurrent_layers_return_their_states() {
    let case =
        |body: &str| format!("block Case(x: f32[2, 3]) {{ let s = reshape[2, 3, 1](x)\n {body} }}");
    for (layer, states) in [("Lstm", "y, h, c"), ("Gru", "y, h"), ("Rnn", "y, h")] {
        let last =
            format!("let f = {layer}[4, states=true]\n let {states} = f(s)\n return y[:, -1] - h");
        check(&case(&last), &[X], &[0.0; 8]);
        assert_eq!(
            shape(&case(&format!("return s |> {layer}[4]")), &[X]),
            [2, 3, 4],
            "{layer}"
        );
        // In two halves with the states between, as in one.
        let given = states.replace("y, ", "");
        let halves = format!(
            "let f = {layer}[4, states=true]\n let {states} = f(s[:, :2])\n let last = f(s[:, 2:], {given})\n return last[0][:, 0] - f(s)[0][:, 2]"
        );
        check(&case(&halves), &[X], &[0.0; 8]);
    }
    let cell = "let f = LstmCell[4]\n let h, c = f(s[:, 0], zeros[2, 4], zeros[2, 4])\n return concat(h, c)";
    assert_eq!(shape(&case(cell), &[X]), [4, 4]);
}

/// "With `layers` or `bidirectional` the parameter names take PyTorch's suffixes."
#[test]
fn layers_and_directions_have_pytorchs_suffixes() {
    let case = |layer: &str| {
        format!("block Case(x: f32[2, 3]) {{ let f = {layer}\n return f(reshape[2, 3, 1](x)) }}")
    };
    let plain = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
    let named = |suffixes: &[&str]| -> Vec<String> {
        suffixes
            .iter()
            .flat_map(|suffix| plain.map(|name| format!("f.{name}{suffix}")))
            .collect()
    };
    for layer in ["Lstm", "Gru", "Rnn"] {
        assert_eq!(
            paths(&case(&format!("{layer}[4]"))),
            named(&[""]),
            "{layer}"
        );
        assert_eq!(
            paths(&case(&format!("{layer}[4, layers=2]"))),
            named(&["_l0", "_l1"]),
            "{layer}"
        );
        assert_eq!(
            paths(&case(&format!("{layer}[4, bidirectional=true]"))),
            named(&["_l0", "_l0_reverse"]),
            "{layer}"
        );
        assert_eq!(
            paths(&case(&format!("{layer}[4, layers=2, bidirectional=true]"))),
            named(&["_l0", "_l0_reverse", "_l1", "_l1_reverse"]),
            "{layer}"
        );
        assert_eq!(
            shape(
                &case(&format!("{layer}[4, layers=2, bidirectional=true]")),
                &[X]
            ),
            [2, 3, 8]
        );
    }
}

/// "`MultiHeadAttention(q, k, v, mask)`: true may be attended."
#[test]
fn where_a_mask_is_true_may_be_attended() {
    let text = |mask: &str| {
        format!(
            "block Case(x: f32[2, 3]) {{
          let s = reshape[1, 3, 2](x)
          let f = MultiHeadAttention[1]
          return f(s, s, s, {mask})[0]
        }}"
        )
    };
    let rows = |mask: &str| outputs(&text(mask), &[X], true)["out"].data.clone();
    let first = rows("[[true, false, false], [true, false, false], [true, false, false]]");
    assert!(
        first[..2] == first[2..4] && first[..2] == first[4..6],
        "all attend the first alone: {first:?}"
    );
    assert_eq!(rows("ones[3, 3] > 0"), rows("none"));
    assert_ne!(rows("ones[3, 3] > 0"), first);
    let causal = "block Case(x: f32[2, 3]) { let s = reshape[1, 3, 2](x)\n let f = MultiHeadAttention[1, causal=true]\n return f(s, s, s)[0] }";
    agree(
        "the first sees itself",
        &outputs(causal, &[X], true)["out"].data[..2],
        &first[..2],
    );
}

/// "`TransformerLayer[heads, ff, dropout=0.1, causal=false, pre_norm=true, act=gelu](x, memory, mask)`: `ff` defaults to 4
/// times the width; `memory` adds cross-attention."
#[test]
fn transformer_layers_widen_four_times_and_attend_memory() {
    let case = |layer: &str, arguments: &str| {
        format!(
            "block Case(x: f32[2, 3]) {{ let s = reshape[1, 3, 2](x)\n let f = TransformerLayer{layer}\n return f({arguments}) }}"
        )
    };
    let widths = |layer: &str| {
        let callable = good(&case(layer, "s"), &[X], true);
        let parameter = callable
            .parameters
            .iter()
            .find(|each| each.path == "f.linear1.weight");
        parameter.expect("a first linear layer").ty.to_string()
    };
    assert_eq!(widths("[1]"), "f32[8, 2]");
    assert_eq!(widths("[1, 5]"), "f32[5, 2]");
    assert_eq!(widths("[1, ff=7]"), "f32[7, 2]");
    let crosses = |text: &str| {
        paths(text)
            .iter()
            .any(|path| path.starts_with("f.multihead_attn."))
    };
    assert!(!crosses(&case("[1]", "s")));
    assert!(crosses(&case("[1]", "s, s")));
    let plain = case("[1, dropout=0]", "s");
    let default = case("[1, dropout=0, causal=false, pre_norm=true, act=gelu]", "s");
    assert_eq!(outputs(&plain, &[X], true), outputs(&default, &[X], true));
    for other in [
        "[1, dropout=0, causal=true]",
        "[1, dropout=0, pre_norm=false]",
        "[1, dropout=0, act=relu]",
        "[1, dropout=0.1]",
        "[1]",
    ] {
        assert_ne!(
            outputs(&plain, &[X], true)["out"],
            outputs(&case(other, "s"), &[X], true)["out"],
            "{other}"
        );
    }
    assert_eq!(
        outputs(&plain, &[X], false)["out"],
        outputs(&case("[1]", "s"), &[X], false)["out"]
    );
    // A mask keeps each position to itself.
    let own = case(
        "[1, dropout=0]",
        "s, none, [[true, false, false], [false, true, false], [false, false, true]]",
    );
    assert_ne!(
        outputs(&plain, &[X], true)["out"],
        outputs(&own, &[X], true)["out"]
    );
}

/// `pixel_shuffle` puts `r r` channels side by side, down to one channel.
#[test]
fn pixel_shuffle_goes_down_to_one_channel() {
    let text = "fn case(x: f32[2, 3]) { return pixel_shuffle[2](reshape[1, 4, 1, 1](x[.., :2])) }";
    assert_eq!(shape(text, &[X]), [1, 1, 2, 2]);
    check(text, &[X], &[1.0, -2.0, -4.0, 5.0]);
    refused(
        "fn case(x: f32[2, 3]) { return pixel_shuffle[2](reshape[2, 3, 1, 1](x)) }",
        &[X],
        &["3"],
    );
}

/// What a block gives where the parameters of some of its instances are those of others: each pair is a path's beginning
/// and ending, and the path that takes its place.
fn with_weights_of(text: &str, same: &[(&str, &str, &str)]) -> BTreeMap<String, Tensor> {
    let callable = good(text, &[X], true);
    let mut values = initial(&callable.init, 5.0);
    for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] {
        for (whole, suffix, part) in same {
            let taken = values[&format!("{whole}.{name}{suffix}")].clone();
            values.insert(format!("{part}.{name}"), taken);
        }
    }
    values.insert("x".into(), Tensor::new(X.2, X.3.to_vec()));
    let found = eval::evaluate(&passed(&callable.graph), 1, &values).expect("an evaluation");
    found.into_iter().collect()
}

/// Layers stand on each other, and directions side by side; states are those of all, forwards before backwards.
#[test]
fn layers_and_directions_are_layers_of_their_own() {
    for (layer, states) in [("Lstm", 2), ("Gru", 1), ("Rnn", 1)] {
        let results = |suffix: &str| {
            let names = ["y", "h", "c"].iter().take(1 + states);
            names
                .map(|name| format!("{name}{suffix}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let stacked = |name: &str| format!("{name}w - stack({name}0, {name}1, {name}2, {name}3)");
        let differences = ["h", "c"][..states]
            .iter()
            .map(|name| format!("flatten({})", stacked(name)));
        let text = format!(
            "block Case(x: f32[2, 3]) {{
              let s = reshape[2, 3, 1](x)
              let w = {layer}[2, layers=2, bidirectional=true, states=true]
              let a = {layer}[2, states=true]
              let b = {layer}[2, states=true]
              let c = {layer}[2, states=true]
              let d = {layer}[2, states=true]
              let {} = w(s)
              let {} = a(s)
              let {} = b(flip[1](s))
              let m = concat[axis=-1](y0, flip[1](y1))
              let {} = c(m)
              let {} = d(flip[1](m))
              return flatten(yw - concat[axis=-1](y2, flip[1](y3))), {}, max(abs(yw)), w.bias_hh_l1_reverse
            }}",
            results("w"),
            results("0"),
            results("1"),
            results("2"),
            results("3"),
            differences.collect::<Vec<_>>().join(", ")
        );
        let same = [
            ("w", "_l0", "a"),
            ("w", "_l0_reverse", "b"),
            ("w", "_l1", "c"),
            ("w", "_l1_reverse", "d"),
        ];
        let outputs = with_weights_of(&text, &same);
        for index in 0..=states {
            let data = &outputs[&format!("out.{index}")].data;
            assert!(
                data.iter().all(|value| value.abs() < 1e-6),
                "{layer}, {index}: {data:?}"
            );
        }
        assert!(
            outputs[&format!("out.{}", states + 1)].data[0] > 0.05,
            "{layer} gives something"
        );
    }
    refused(
        "block Case(x: f32[2, 3]) { let f = Rnn[2, layers=2]\n let y = f(reshape[2, 3, 1](x))\n return f.bias_hh }",
        &[X],
        &["`bias_hh`", "did you mean"],
    );
}

/// PyTorch's `clamp` has the gradient 1 at its bounds, as inside.
#[test]
fn clamp_has_a_gradient_at_its_bounds() {
    gives("clamp[-2, 3](x)", &[1.0, -2.0, 3.0, -2.0, 3.0, -2.0]);
    gives(
        "grad(sum(clamp[-2, 3](x)), x)",
        &[1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
    );
}

#[test]
fn masked_fill_takes_integers() {
    check(
        "fn case(y: i32[2]) -> i32[2] { return masked_fill[-1](y, y > 1) }",
        &[Y],
        &[-1.0, 1.0],
    );
    let text = "fn case(y: i32[2]) { return masked_fill[0.5](y, y > 1) }";
    refused(text, &[Y], &["0.5"]);
}

/// A mask of three dimensions is one for each sample, also where there are as many samples as heads.
#[test]
fn a_mask_of_three_dimensions_is_of_samples() {
    let with = |mask: &str| {
        format!(
            "block Case(x: f32[2, 3]) {{ let a = MultiHeadAttention[2]\n \
             let s = stack([x, -x])\n let s = concat[-1](s, s[:, :, :1])\n \
             let first = stack([ones[2, 2] > 0, causal_mask(zeros[2, 2]) == 0])\n \
             return a(s, s, s, {mask}) }}"
        )
    };
    let samples = outputs(&with("first"), &[X], false);
    let both = "stack[1]([first, first])";
    let written_out = outputs(&with(both), &[X], false);
    agree("samples", &samples["out"].data, &written_out["out"].data);
    let heads = outputs(&with("stack([first, first])"), &[X], false);
    assert_ne!(samples["out"].data, heads["out"].data);
    good(&with("first[0]"), &[X], false);
}

/// Labels that are one class for each row, and nothing that would broadcast to it.
#[test]
fn labels_have_the_shape_of_the_rows() {
    let column: Given<'_> = ("y", DType::I32, &[2, 1], &[2.0, 1.0]);
    let row: Given<'_> = ("y", DType::I32, &[1], &[2.0]);
    for expr in [
        "nll(log_softmax(x), y)",
        "cross_entropy(x, y)",
        "cross_entropy[smoothing=0.1, ignore=1](x, y)",
        "accuracy(x, y)",
        "top_k[2](x, y)",
        "confusion(x, y)",
        "precision(x, y)",
        "recall(x, y)",
        "f1(x, y)",
        "perplexity(x, y)",
    ] {
        let case = format!("fn case(x: f32[2, 3], y: i32[..]) {{ return {expr} }}");
        refused(&case, &[X, column], &["i32[2, 1]", "are i32[2]", "squeeze"]);
        refused(&case, &[X, row], &["i32[1]", "are i32[2]"]);
        good(&case, &[X, Y], true);
    }
    let floats: Given<'_> = ("y", DType::F32, &[2, 1], &[2.0, 1.0]);
    let case = "fn case(x: f32[2, 3], y: f32[..]) { return cross_entropy(x, y) }";
    refused(
        case,
        &[X, floats],
        &["f32[2, 1]", "probabilities", "i32(…)"],
    );
    let case = "fn case(x: f32[2, 3], y: i32[2, 3]) { return cross_entropy(x, y) }";
    let one_hot: Given<'_> = ("y", DType::I32, &[2, 3], &[0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    refused(case, &[X, one_hot], &["i32[2, 3]", "argmax"]);
}

/// Classes that neither samples have nor are said to have are left out of the mean, as torchmetrics' macro averages do:
/// of five classes two occur, and a third is said to.
#[test]
fn absent_classes_do_not_count() {
    let logits: Given<'_> = (
        "x",
        DType::F32,
        &[3, 5],
        &[
            2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0,
        ],
    );
    let labels: Given<'_> = ("y", DType::I32, &[3], &[0.0, 1.0, 1.0]);
    for (metric, value) in [("precision", 2.0 / 3.0), ("recall", 0.5), ("f1", 5.0 / 9.0)] {
        let case = format!("fn case(x: f32[3, 5], y: i32[3]) {{ return {metric}(x, y) }}");
        check(&case, &[logits, labels], &[value]);
    }
}

/// A weight by class is a value for each class.
#[test]
fn weights_of_classes_are_one_for_each() {
    for weight in ["[1, 2]", "[1, 2, 3, 4]", "2", "[[1, 2, 3]]"] {
        let expr = format!("cross_entropy[weight={weight}](x, y)");
        refused(&with_labels(&expr), &[X, Y], &["`weight`", "each of the 3"]);
    }
    let expr = "bce_logits[pos_weight=[1, 2]](x, 1)";
    refused(
        &with_labels(expr),
        &[X, Y],
        &["`pos_weight`", "each of the 3"],
    );
}

/// `topk` gives each place once, also where only minus infinity is left.
#[test]
fn topk_gives_each_place_once() {
    let low = "where(x > -3, -1e30 * 1e30, x)";
    gives(
        &format!("topk[3]({low})[1]"),
        &[0.0, 1.0, 2.0, 0.0, 2.0, 1.0],
    );
    gives("topk[3](x)[1]", &[2.0, 0.0, 1.0, 1.0, 0.0, 2.0]);
    gives("topk[2, axis=none](x)[0]", &[5.0, 3.0]);
    gives("topk[2, axis=none](x)[1]", &[4.0, 2.0]);
    gives("topk[1, keep=true](x)[0]", &[3.0, 5.0]);
}

/// Without an axis all elements are rolled in their order, as by PyTorch.
#[test]
fn roll_without_an_axis_is_of_all_elements() {
    gives("roll[1](x)", &[-6.0, 1.0, -2.0, 3.0, -4.0, 5.0]);
    gives("roll[1, 1](x)", &[3.0, 1.0, -2.0, -6.0, -4.0, 5.0]);
}

/// NaN is beyond every number, as for PyTorch.
#[test]
fn the_extremum_is_where_the_first_nan_is() {
    gives("argmax[-1](sqrt(x))", &[1.0, 0.0]);
    gives("argmin[-1](sqrt(-x))", &[0.0, 1.0]);
}

/// Statics that no formula has a meaning for are refused where they stand, with what would have one.
#[test]
fn statics_out_of_range_are_refused() {
    for (expr, says) in [
        ("dropout[1.5](x)", "`p` is a probability, from 0 to 1"),
        ("dropout2d[-0.1](i)", "`p` is a probability, from 0 to 1"),
        (
            "max_pool2d[2, pad=2](i)",
            "`pad` is at most half of the window: 2 is too much for 2",
        ),
        ("avg_pool2d[(2, 3), pad=(1, 2)](i)", "2 is too much for 3"),
        ("upsample[0](i)", "`k` is at least 1"),
        ("upsample[2, mode=\"linear\"](i)", "\"bilinear\""),
        ("upsample[2](x)", "one to three axes"),
        (
            "topk[4](x)",
            "`k` is at least 1, and no more than the axis has",
        ),
        ("topk[0](x)", "`k` is at least 1"),
        ("top_k[4](x, y)", "no more than there are classes"),
        ("glu(x)", "3 elements of the axis do not divide into 2"),
        ("gelu[approx=\"tan\"](x)", "\"none\" or \"tanh\""),
        ("huber[0](x, 0)", "`delta` is above 0"),
        ("focal[alpha=2](x, 0)", "`alpha` is a share"),
        (
            "cross_entropy[smoothing=-0.1](x, y)",
            "`smoothing` is a share",
        ),
        (
            "cross_entropy[ignore=1](x, x)",
            "`ignore` is for labels that are classes",
        ),
        ("i32(x) % 0", "divided by 0"),
    ] {
        let case = format!(
            "fn case(x: f32[2, 3], y: i32[2]) {{ let i = reshape[1, 1, 2, 3](x) return {expr} }}"
        );
        refused(&case, &[X, Y], &[says]);
    }
    let case =
        "block Case(x: f32[1, 2, 3]) { return x |> ConvTranspose1d[1, 3, stride=2, output_pad=2] }";
    let x: Given<'_> = ("x", DType::F32, &[1, 2, 3], &[0.0; 6]);
    refused(case, &[x], &["`output_pad` is smaller than the stride"]);
}

/// `dropout` of everything leaves zeros, and gradients of zero.
#[test]
fn dropout_of_everything_leaves_zeros() {
    gives("dropout[1](x)", &[0.0; 6]);
    gives("grad(sum(dropout[1](x)), x)", &[0.0; 6]);
}

/// `upsample` is of images, sequences and volumes.
#[test]
fn upsample_takes_one_to_three_axes() {
    let text = |expr: &str| format!("fn case(x: f32[2, 3]) {{ return {expr} }}");
    let row = "unsqueeze[0](x[0:1])";
    check(
        &text(&format!("upsample[2]({row})")),
        &[X],
        &[1.0, 1.0, -2.0, -2.0, 3.0, 3.0],
    );
    check(
        &text(&format!("upsample[2, mode=\"linear\"]({row})")),
        &[X],
        &[1.0, 0.25, -1.25, -0.75, 1.75, 3.0],
    );
    let volume = "reshape[1, 1, 1, 2, 3](x)";
    let found = shape(
        &text(&format!(
            "upsample[(2, 1, 3), mode=\"trilinear\"]({volume})"
        )),
        &[X],
    );
    assert_eq!(found, [1, 1, 2, 2, 9]);
    let same = format!(
        "upsample[(2, 2), mode=\"bilinear\"]({volume}[:, 0]) - upsample[(1, 2, 2), mode=\"trilinear\"]({volume})[:, 0]"
    );
    check(&text(&same), &[X], &[0.0; 24]);
}

/// What a saturated sigmoid gives has a loss of at most 100, and no gradient.
#[test]
fn bce_of_a_saturated_sigmoid_has_a_gradient() {
    let x: Given<'_> = ("x", DType::F32, &[4], &[400.0, -400.0, 400.0, 0.0]);
    let y: Given<'_> = ("y", DType::F32, &[4], &[1.0, 0.0, 0.0, 1.0]);
    let case = |expr: &str| format!("fn case(x: f32[4], y: f32[4]) {{ return {expr} }}");
    let value = (0.0 + 0.0 + 100.0 + 2.0_f64.ln()) / 4.0;
    check(&case("bce(sigmoid(x), y)"), &[x, y], &[value]);
    check(
        &case("grad(bce(sigmoid(x), y), x)"),
        &[x, y],
        &[0.0, 0.0, 0.0, -0.125],
    );
}
