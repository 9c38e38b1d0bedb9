use super::*;
use crate::loops::{Access, Element, interpret};

/// Evaluates `op` on columns of 32-bit words.
fn run(op: MathOp, element: Element, columns: &[Vec<u32>]) -> Vec<u32> {
    let count = columns[0].len();
    let mut b = KernelBuilder::new(op.name());
    let inputs: Vec<_> = (0..columns.len())
        .map(|k| b.buffer(format!("in{k}"), element, Access::Read))
        .collect();
    let out = b.buffer("out", element, Access::Write);
    let (zero, end) = (b.index(0), b.index(count as i64));
    b.for_loop(
        crate::loops::LoopKind::Domain,
        "i",
        (zero, end, 1),
        &[],
        |b, i, _| {
            let operands: Vec<Value> = inputs.iter().map(|&buffer| b.load(buffer, i, 1)).collect();
            let result = b.math(op, &operands);
            b.store_at(out, i, result);
            vec![]
        },
    );
    let kernel = b.finish().expect("well built");
    assert!(has_math(&kernel));
    let expanded = expand_math(&kernel);
    assert!(!has_math(&expanded), "{expanded}");
    let bytes = |words: &Vec<u32>| words.iter().flat_map(|w| w.to_ne_bytes()).collect();
    let mut buffers: Vec<Vec<u8>> = columns.iter().map(bytes).collect();
    buffers.push(vec![0; count * 4]);
    interpret(&expanded, &mut buffers, &[]).expect("in bounds");
    let words = buffers[columns.len()].chunks_exact(4);
    words
        .map(|w| u32::from_ne_bytes([w[0], w[1], w[2], w[3]]))
        .collect()
}

fn floats(op: MathOp, columns: &[&[f32]]) -> Vec<f32> {
    let bits = |column: &&[f32]| column.iter().map(|x| x.to_bits()).collect();
    let columns: Vec<Vec<u32>> = columns.iter().map(bits).collect();
    run(op, Element::F32, &columns)
        .into_iter()
        .map(f32::from_bits)
        .collect()
}

fn ints(op: MathOp, columns: &[Vec<i32>]) -> Vec<i32> {
    let bits = |column: &Vec<i32>| column.iter().map(|&x| x as u32).collect();
    let columns: Vec<Vec<u32>> = columns.iter().map(bits).collect();
    run(op, Element::I32, &columns)
        .into_iter()
        .map(|x| x as i32)
        .collect()
}

/// How far `found` is from `exact`, in steps of floats of that size.
fn ulps(found: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if found.to_bits() == rounded.to_bits() || (found.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    if !found.is_finite() || !rounded.is_finite() {
        return f64::INFINITY;
    }
    let exponent = rounded.abs().max(f32::MIN_POSITIVE).log2().floor();
    let step = 2f64.powf(f64::from(exponent) - 23.0);
    (f64::from(found) - exact).abs() / step
}

fn range(from: f32, to: f32, count: usize) -> Vec<f32> {
    (0..=count)
        .map(|k| from + (to - from) * (k as f32 / count as f32))
        .collect()
}

/// Positive floats of every size.
fn all_sizes() -> Vec<f32> {
    (1..0x7f80_0000u32)
        .step_by(60_013)
        .map(f32::from_bits)
        .collect()
}

fn worst(op: MathOp, inputs: &[f32], exact: fn(f64) -> f64) -> f64 {
    let found = floats(op, &[inputs]);
    let errors = inputs
        .iter()
        .zip(found)
        .map(|(&x, y)| ulps(y, exact(f64::from(x))));
    errors.fold(0.0, f64::max)
}

#[test]
fn accuracy_in_ulps() {
    let small = range(-1.0, 1.0, 20_000);
    assert!(worst(MathOp::Exp, &range(-87.3, 88.7, 40_000), f64::exp) < 2.0);
    assert!(worst(MathOp::Exp, &small, f64::exp) < 2.0);
    assert!(worst(MathOp::Log, &all_sizes(), f64::ln) < 2.0);
    assert!(worst(MathOp::Log, &range(0.5, 2.0, 40_000), f64::ln) < 2.0);
    assert!(worst(MathOp::Tanh, &range(-12.0, 12.0, 40_000), f64::tanh) < 2.0);
    assert!(worst(MathOp::Tanh, &small, f64::tanh) < 2.0);
    assert!(worst(MathOp::Tanh, &all_sizes(), f64::tanh) < 2.0);
}

/// erf by its series, or by the continued fraction of its complement.
fn exact_erf(x: f64) -> f64 {
    if x.abs() < 3.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..120 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let fraction = (1..80)
        .rev()
        .fold(x.abs(), |f, k| x.abs() + f64::from(k) / 2.0 / f);
    let complement = (-x * x).exp() / fraction / std::f64::consts::PI.sqrt();
    (1.0 - complement).copysign(x)
}

#[test]
fn erf_in_ulps() {
    assert!(worst(MathOp::Erf, &range(-6.0, 6.0, 40_000), exact_erf) < 2.0);
    assert!(worst(MathOp::Erf, &range(-1e-3, 1e-3, 2_000), exact_erf) < 2.0);
}

#[test]
fn waves_within_a_millionth() {
    for inputs in [range(-10.0, 10.0, 40_000), range(-1e5, 1e5, 100_000)] {
        for (op, exact) in [
            (MathOp::Sin, f64::sin as fn(f64) -> f64),
            (MathOp::Cos, f64::cos),
        ] {
            for (&x, y) in inputs.iter().zip(floats(op, &[&inputs])) {
                assert!(
                    (f64::from(y) - exact(f64::from(x))).abs() < 1e-6,
                    "{} {x} {y}",
                    op.name()
                );
            }
        }
    }
    for y in floats(MathOp::Sin, &[&all_sizes()]) {
        assert!(y.abs() <= 1.0, "{y}");
    }
}

fn check_special(op: MathOp, cases: &[(f32, f32)]) {
    let inputs: Vec<f32> = cases.iter().map(|case| case.0).collect();
    for (&(x, expected), found) in cases.iter().zip(floats(op, &[&inputs])) {
        let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
        assert!(same, "{}({x}) is {found}, not {expected}", op.name());
    }
}

#[test]
fn infinities_and_nan() {
    const INF: f32 = f32::INFINITY;
    const NAN: f32 = f32::NAN;
    let odd_nan = f32::from_bits(0x7fc0_01ff);
    check_special(
        MathOp::Exp,
        &[
            (INF, INF),
            (-INF, 0.0),
            (NAN, NAN),
            (odd_nan, NAN),
            (0.0, 1.0),
            (-0.0, 1.0),
            (89.0, INF),
            (-88.0, 0.0),
            (1e30, INF),
            (-1e30, 0.0),
            (1e-40, 1.0),
        ],
    );
    check_special(
        MathOp::Log,
        &[
            (INF, INF),
            (-INF, NAN),
            (NAN, NAN),
            (0.0, -INF),
            (-0.0, -INF),
            (-1.0, NAN),
            (1.0, 0.0),
            (-1e-40, NAN),
        ],
    );
    check_special(
        MathOp::Tanh,
        &[
            (INF, 1.0),
            (-INF, -1.0),
            (NAN, NAN),
            (0.0, 0.0),
            (-0.0, -0.0),
            (odd_nan, NAN),
        ],
    );
    check_special(
        MathOp::Erf,
        &[
            (INF, 1.0),
            (-INF, -1.0),
            (NAN, NAN),
            (0.0, 0.0),
            (-0.0, -0.0),
            (1e20, 1.0),
        ],
    );
    check_special(
        MathOp::Sin,
        &[
            (INF, NAN),
            (-INF, NAN),
            (NAN, NAN),
            (0.0, 0.0),
            (-0.0, -0.0),
        ],
    );
    check_special(MathOp::Cos, &[(INF, NAN), (NAN, NAN), (0.0, 1.0)]);
}

const SPECIAL: [f32; 21] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -2.0,
    3.0,
    -3.0,
    7.25,
    -7.25,
    1e30,
    -1e30,
    1e-40,
    1e-30,
    16_777_217.0,
    f32::MAX,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

fn special_pairs() -> (Vec<f32>, Vec<f32>) {
    SPECIAL
        .iter()
        .flat_map(|&x| SPECIAL.iter().map(move |&y| (x, y)))
        .unzip()
}

#[test]
fn powers() {
    let (x, y) = special_pairs();
    for ((x, y), found) in x.iter().zip(&y).zip(floats(MathOp::Pow, &[&x, &y])) {
        let mut exact = f64::from(*x).powf(f64::from(*y));
        if (exact as f32).abs() < f32::MIN_POSITIVE {
            exact = 0f64.copysign(exact);
        }
        assert!(ulps(found, exact) < 16.0, "{x}^{y} is {found}, not {exact}");
    }
    for y in [-20.0, -2.5, 0.1, 0.5, 0.999, 1.5, 10.0, 30.0] {
        let x = range(0.1, 18.0, 5_000);
        let found = floats(MathOp::Pow, &[&x, &vec![y; x.len()]]);
        for (&x, found) in x.iter().zip(found) {
            let exact = f64::from(x).powf(f64::from(y));
            if exact > 1e-37 && exact < 3e38 {
                assert!(ulps(found, exact) < 16.0, "{x}^{y} is {found}, not {exact}");
            }
        }
    }
}

/// Python's `%`.
fn exact_rem(x: f32, y: f32) -> f32 {
    let rest = x % y;
    match rest != 0.0 && (rest < 0.0) != (y < 0.0) {
        true => rest + y,
        false => rest.abs().copysign(y),
    }
}

#[test]
fn float_remainders_are_exact() {
    let (mut x, mut y) = special_pairs();
    let sizes = all_sizes();
    for (k, &size) in sizes.iter().enumerate() {
        x.push(if k % 2 == 0 { size } else { -size });
        y.push(sizes[(k * 7919) % sizes.len()] * if k % 3 == 0 { -1.0 } else { 1.0 });
    }
    for ((&x, &y), found) in x.iter().zip(&y).zip(floats(MathOp::Rem, &[&x, &y])) {
        let expected = exact_rem(x, y);
        let same = found.to_bits() == expected.to_bits() || (found.is_nan() && (x % y).is_nan());
        assert!(same, "{x:e} % {y:e} is {found:e}, not {expected:e}");
    }
}

#[test]
fn integer_division_is_exact() {
    let mut values: Vec<i32> = vec![
        0,
        1,
        -1,
        2,
        -2,
        3,
        7,
        -7,
        10,
        1 << 24,
        (1 << 24) + 1,
        -(1 << 30),
        i32::MAX,
        i32::MIN,
    ];
    values.extend([
        i32::MAX - 1,
        i32::MIN + 1,
        46_341,
        -46_341,
        65_535,
        99_991,
        1_000_003,
        0x4000_0001,
    ]);
    for k in 0..60u32 {
        values.push((k.wrapping_mul(0x9e37_79b9) ^ (k << 7)) as i32 >> (k % 29));
    }
    let (a, b): (Vec<i32>, Vec<i32>) = values
        .iter()
        .flat_map(|&a| values.iter().map(move |&b| (a, b)))
        .unzip();
    let quotients = ints(MathOp::IntDiv, &[a.clone(), b.clone()]);
    let rests = ints(MathOp::IntRem, &[a.clone(), b.clone()]);
    for (((a, b), quotient), rest) in a.into_iter().zip(b).zip(quotients).zip(rests) {
        let expected = if b == 0 { 0 } else { a.wrapping_div(b) };
        assert_eq!(quotient, expected, "{a} / {b}");
        let expected = if b == 0 {
            0
        } else {
            i64::from(a) - i64::from(b) * (i64::from(a) as f64 / f64::from(b)).floor() as i64
        };
        assert_eq!(i64::from(rest), expected as i32 as i64, "{a} % {b}");
    }
}

/// The known answers that Random123 publishes (`kat_vectors`, threefry2x32 with 20 rounds).
#[test]
fn threefry_matches_published_vectors() {
    for (counter, key, expected) in [
        ([0, 0], [0, 0], [0x6b20_0159u32, 0x99ba_4efe]),
        ([u32::MAX; 2], [u32::MAX; 2], [0x1cb9_96fc, 0xbb00_2be7]),
        (
            [0x243f_6a88, 0x85a3_08d3],
            [0x1319_8a2e, 0x0370_7344],
            [0xc492_3a9c, 0x483d_f7a0],
        ),
    ] {
        let columns: Vec<Vec<u32>> = [counter[0], counter[1], key[0], key[1]]
            .iter()
            .map(|&word| vec![word])
            .collect();
        assert_eq!(
            run(MathOp::Threefry0, Element::I32, &columns),
            [expected[0]]
        );
        assert_eq!(
            run(MathOp::Threefry1, Element::I32, &columns),
            [expected[1]]
        );
    }
}

/// `a[i] / b` for each `a`, with a `b` that is loaded in the loop, or is a constant.
fn quotients(a: &[f32], divisor: f32, constant: bool) -> Vec<f32> {
    let mut b = KernelBuilder::new("quotients");
    let (from, by) = (
        b.buffer("a", Element::F32, Access::Read),
        b.buffer("b", Element::F32, Access::Read),
    );
    let to = b.buffer("out", Element::F32, Access::Write);
    let (zero, end) = (b.index(0), b.index(a.len() as i64));
    let bounds = (zero, end, 8);
    b.for_loop(
        crate::loops::LoopKind::Domain,
        "i",
        bounds,
        &[],
        |b, i, _| {
            let dividend = b.load(from, i, 8);
            let divisor = match constant {
                true => b.float(divisor, 8),
                false => b.load_splat(by, zero, 8),
            };
            let quotient = b.binary(VectorBinary::Div, dividend, divisor);
            b.store_at(to, i, quotient);
            vec![]
        },
    );
    let expanded = expand_math(&b.finish().expect("well built"));
    let body = expanded.to_string();
    let inside = body.split_once("for ").expect("a loop").1;
    assert!(!inside.contains(" = div "), "{expanded}");
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_ne_bytes()).collect();
    let mut buffers: Vec<Vec<u8>> = vec![bytes(a), bytes(&[divisor]), vec![0; 4 * a.len()]];
    interpret(&expanded, &mut buffers, &[]).expect("in bounds");
    let words = buffers[2].chunks_exact(4);
    words
        .map(|word| f32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
        .collect()
}

#[test]
fn quotients_by_what_does_not_change_are_those_of_division() {
    let specials = [
        0.0,
        1.0,
        3.0,
        1e-30,
        5.656_854_4,
        f32::MAX,
        f32::MIN_POSITIVE,
        2.0,
    ];
    let mut state = 9u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits(state ^ state >> 15)
    };
    let mut values: Vec<f32> = (0..4_000).map(|_| next()).collect();
    values.extend(specials.iter().flat_map(|&x| [x, -x]));
    values.extend([
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        1e38,
        -1e38,
        0.1,
        0.7,
        1e-3,
    ]);
    let divisors = specials.iter().flat_map(|&x| [x, -x]);
    let divisors = divisors.chain([f32::INFINITY, f32::NAN, 1e-40, 1e38, 0.1, 7.0, 192.0]);
    for divisor in divisors {
        for constant in [false, true] {
            for (a, found) in values.iter().zip(quotients(&values, divisor, constant)) {
                let wanted = a / divisor;
                let same = found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan();
                // What is left of a smaller quotient is no normal number.
                let small = wanted.abs() < 2f32.powi(-102);
                let near = ulps(found, f64::from(*a) / f64::from(divisor)) <= 2.0;
                assert!(
                    same || small && near,
                    "{a:e} / {divisor:e}: {found:e}, not {wanted:e}"
                );
            }
        }
    }
}

#[test]
fn a_divisor_that_changes_is_divided_by() {
    let mut b = KernelBuilder::new("quotients");
    let from = b.buffer("a", Element::F32, Access::Read);
    let to = b.buffer("out", Element::F32, Access::ReadWrite);
    let bounds = (b.index(0), b.index(16), 8);
    b.for_loop(
        crate::loops::LoopKind::Domain,
        "i",
        bounds,
        &[],
        |b, i, _| {
            let (a, own) = (b.load(from, i, 8), b.load(to, i, 8));
            let quotient = b.binary(VectorBinary::Div, a, own);
            // Written in the loop: not the same in each round.
            let first = b.load_splat(to, bounds.0, 8);
            let other = b.binary(VectorBinary::Div, quotient, first);
            b.store_at(to, i, other);
            vec![]
        },
    );
    let kernel = b.finish().expect("well built");
    let divisions = |kernel: &Kernel| kernel.to_string().matches(" = div ").count();
    assert_eq!(
        (divisions(&kernel), divisions(&expand_math(&kernel))),
        (2, 2)
    );
}
