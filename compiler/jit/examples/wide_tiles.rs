//! How close the wide emitter's inner loops come to the machine's peak: `cargo run --example wide_tiles`.
//!
//! Cases are register tiles of outputs x vectors of some lanes. With a case's name as an argument, prints the kernel
//! and its machine code instead. Spills are instructions in loops that exist for want of registers.

use std::hint::black_box;
use std::time::Instant;

use dlm_core::loops::{
    Access, Affine, Element, Kernel, KernelBuilder, LoopKind, MathOp, Value, VectorBinary,
    expand_math,
};
use dlm_jit::{Backend, Options, compile, wide};

/// A kernel with the operations of one call and the elements of its buffers.
struct Case {
    name: String,
    kernel: Kernel,
    operations: i64,
    elements: Vec<i64>,
}

/// `y[o][s] += w[o][i] * x[i][s]`: `rows` outputs by `vectors` of `lanes` samples, 256 inputs.
fn dense(rows: i64, vectors: i64, lanes: u8) -> Case {
    const INPUTS: i64 = 256;
    let outputs = rows * 10;
    let samples = vectors * i64::from(lanes);
    let mut b = KernelBuilder::new("dense");
    let w = b.buffer("w", Element::F32, Access::Read);
    let x = b.buffer("x", Element::F32, Access::Read);
    let y = b.buffer("y", Element::F32, Access::Write);
    let (zero, end, inputs) = (b.index(0), b.index(outputs), b.index(INPUTS));
    let (o, _) = b.begin_loop(LoopKind::Domain, "o", zero, end, rows, &[]);
    let start = vec![b.float(0.0, lanes); (rows * vectors) as usize];
    let bounds = (zero, inputs, 1);
    let sums = b.for_loop(LoopKind::Reduction, "i", bounds, &start, |b, i, sums| {
        let at = |v: i64| Affine::term(i, samples).add_constant(v * i64::from(lanes));
        let data: Vec<Value> = (0..vectors).map(|v| b.load(x, at(v), lanes)).collect();
        let mut sums = sums.to_vec();
        for r in 0..rows {
            let row = Affine::term(o, INPUTS).add_term(i, 1);
            let weight = b.load_splat(w, row.add_constant(r * INPUTS), lanes);
            for v in 0..vectors {
                let sum = &mut sums[(r * vectors + v) as usize];
                *sum = b.fma(weight, data[v as usize], *sum);
            }
        }
        sums
    });
    for (number, &sum) in sums.iter().enumerate() {
        let at = Affine::term(o, samples).add_constant(number as i64 * i64::from(lanes));
        b.store_at(y, at, sum);
    }
    b.end_loop(&[]);
    Case {
        name: format!("dense-{rows}x{vectors}x{lanes}"),
        kernel: b.finish().expect("well built"),
        operations: 2 * INPUTS * outputs * samples,
        elements: vec![INPUTS * outputs, INPUTS * samples, outputs * samples],
    }
}

const CHANNELS: i64 = 6;
const SIZE: i64 = 12;
const OUT: i64 = 8;

/// A 5x5 convolution of 6 x 12 x 12 to 16 x 8 x 8: tiles of `channels` x `pixels`, taps of kx unrolled.
fn convolution(channels: i64, pixels: i64, lanes: u8) -> Case {
    let samples = i64::from(lanes);
    let outputs = 48;
    let mut b = KernelBuilder::new("convolution");
    let w = b.buffer("w", Element::F32, Access::Read);
    let x = b.buffer("x", Element::F32, Access::Read);
    let y = b.buffer("y", Element::F32, Access::Write);
    let (zero, end, out) = (b.index(0), b.index(outputs), b.index(OUT));
    let (depth, five) = (b.index(CHANNELS), b.index(5));
    let (co, _) = b.begin_loop(LoopKind::Domain, "co", zero, end, channels, &[]);
    let (oy, _) = b.begin_loop(LoopKind::Domain, "oy", zero, out, 1, &[]);
    let (ox, _) = b.begin_loop(LoopKind::Domain, "ox", zero, out, pixels, &[]);
    let start = vec![b.float(0.0, lanes); (channels * pixels) as usize];
    let bounds = (zero, depth, 1);
    let sums = b.for_loop(LoopKind::Reduction, "c", bounds, &start, |b, c, sums| {
        let bounds = (zero, five, 1);
        b.for_loop(LoopKind::Reduction, "ky", bounds, sums, |b, ky, sums| {
            let mut sums = sums.to_vec();
            for kx in 0..5 {
                let base = Affine::term(c, SIZE * SIZE).add_term(oy, SIZE);
                let base = base.add_term(ky, SIZE).add_term(ox, 1);
                let input = |p: i64| base.add_constant(p + kx).scale(samples);
                let data: Vec<Value> = (0..pixels).map(|p| b.load(x, input(p), lanes)).collect();
                for o in 0..channels {
                    let at = Affine::term(co, CHANNELS * 25)
                        .add_term(c, 25)
                        .add_term(ky, 5);
                    let at = at.add_constant(o * CHANNELS * 25 + kx);
                    let weight = b.load_splat(w, at, lanes);
                    for p in 0..pixels {
                        let sum = &mut sums[(o * pixels + p) as usize];
                        *sum = b.fma(weight, data[p as usize], *sum);
                    }
                }
            }
            sums
        })
    });
    for (number, &sum) in sums.iter().enumerate() {
        let (o, p) = (number as i64 / pixels, number as i64 % pixels);
        let at = Affine::term(co, OUT * OUT)
            .add_term(oy, OUT)
            .add_term(ox, 1);
        b.store_at(y, at.add_constant(o * OUT * OUT + p).scale(samples), sum);
    }
    (0..3).for_each(|_| drop(b.end_loop(&[])));
    Case {
        name: format!("convolution-{channels}x{pixels}x{lanes}"),
        kernel: b.finish().expect("well built"),
        operations: 2 * outputs * OUT * OUT * CHANNELS * 25 * samples,
        elements: vec![
            outputs * CHANNELS * 25,
            CHANNELS * SIZE * SIZE * samples,
            outputs * OUT * OUT * samples,
        ],
    }
}

/// The weight gradient of that convolution: accumulators for `channels` x 5 taps, lanes summed at last.
fn gradient(channels: i64, lanes: u8) -> Case {
    let samples = i64::from(lanes);
    let outputs = 48;
    let mut b = KernelBuilder::new("gradient");
    let x = b.buffer("x", Element::F32, Access::Read);
    let g = b.buffer("g", Element::F32, Access::Read);
    let dw = b.buffer("dw", Element::F32, Access::Write);
    let (zero, end, out) = (b.index(0), b.index(outputs), b.index(OUT));
    let (depth, five) = (b.index(CHANNELS), b.index(5));
    let (co, _) = b.begin_loop(LoopKind::Domain, "co", zero, end, channels, &[]);
    let (c, _) = b.begin_loop(LoopKind::Domain, "c", zero, depth, 1, &[]);
    let (ky, _) = b.begin_loop(LoopKind::Domain, "ky", zero, five, 1, &[]);
    let start = vec![b.float(0.0, lanes); (channels * 5) as usize];
    let bounds = (zero, out, 1);
    let sums = b.for_loop(LoopKind::Reduction, "y", bounds, &start, |b, y, sums| {
        b.for_loop(LoopKind::Reduction, "x", bounds, sums, |b, px, sums| {
            let mut sums = sums.to_vec();
            let at = Affine::term(co, OUT * OUT).add_term(y, OUT).add_term(px, 1);
            let from = |o: i64| at.add_constant(o * OUT * OUT).scale(samples);
            let gradients: Vec<Value> = (0..channels).map(|o| b.load(g, from(o), lanes)).collect();
            for kx in 0..5 {
                let at = Affine::term(c, SIZE * SIZE).add_term(y, SIZE);
                let at = at.add_term(ky, SIZE).add_term(px, 1);
                let input = b.load(x, at.add_constant(kx).scale(samples), lanes);
                for o in 0..channels {
                    let sum = &mut sums[(o * 5 + kx) as usize];
                    *sum = b.fma(input, gradients[o as usize], *sum);
                }
            }
            sums
        })
    });
    for (number, &sum) in sums.iter().enumerate() {
        let (o, kx) = (number as i64 / 5, number as i64 % 5);
        let at = Affine::term(co, CHANNELS * 25)
            .add_term(c, 25)
            .add_term(ky, 5);
        let total = b.reduce_add(sum);
        b.store_at(dw, at.add_constant(o * CHANNELS * 25 + kx), total);
    }
    (0..3).for_each(|_| drop(b.end_loop(&[])));
    Case {
        name: format!("gradient-{channels}x5x{lanes}"),
        kernel: b.finish().expect("well built"),
        operations: 2 * outputs * CHANNELS * 25 * OUT * OUT * samples,
        elements: vec![
            CHANNELS * SIZE * SIZE * samples,
            outputs * OUT * OUT * samples,
            outputs * CHANNELS * 25,
        ],
    }
}

/// A function of each of 4096 elements; each counts as one operation, so that the speed is in elements.
fn mapped(name: &str, lanes: u8, body: impl Fn(&mut KernelBuilder, Value) -> Value) -> Case {
    const COUNT: i64 = 4096;
    let mut b = KernelBuilder::new(name);
    let x = b.buffer("x", Element::F32, Access::Read);
    let y = b.buffer("y", Element::F32, Access::Write);
    let (zero, end) = (b.index(0), b.index(COUNT));
    let (i, _) = b.begin_loop(LoopKind::Domain, "i", zero, end, i64::from(lanes), &[]);
    let value = b.load(x, i, lanes);
    let value = body(&mut b, value);
    b.store_at(y, i, value);
    b.end_loop(&[]);
    Case {
        name: format!("{name}-{lanes}"),
        kernel: expand_math(&b.finish().expect("well built")),
        operations: COUNT,
        elements: vec![COUNT, COUNT],
    }
}

fn gelu(b: &mut KernelBuilder, x: Value) -> Value {
    let lanes = b.lanes_of(x);
    let (scale, one, half) = (
        b.float(0.707_106_77, lanes),
        b.float(1.0, lanes),
        b.float(0.5, lanes),
    );
    let scaled = b.binary(VectorBinary::Mul, x, scale);
    let erf = b.math(MathOp::Erf, &[scaled]);
    let factor = b.binary(VectorBinary::Add, erf, one);
    let halved = b.binary(VectorBinary::Mul, x, half);
    b.binary(VectorBinary::Mul, halved, factor)
}

/// Nothing but independent chains: the peak.
fn peak(lanes: u8) -> Case {
    let width = i64::from(lanes);
    let mut b = KernelBuilder::new("peak");
    let x = b.buffer("x", Element::F32, Access::Read);
    let y = b.buffer("y", Element::F32, Access::Write);
    let (zero, rounds) = (b.index(0), b.index(10_000));
    let factor = b.load(x, 0, lanes);
    let start: Vec<Value> = (0..12).map(|k| b.load(x, width * k, lanes)).collect();
    let bounds = (zero, rounds, 1);
    let sums = b.for_loop(LoopKind::Reduction, "k", bounds, &start, |b, _, sums| {
        let next = |b: &mut KernelBuilder, &sum: &Value| b.fma(factor, factor, sum);
        sums.iter().map(|sum| next(b, sum)).collect()
    });
    for (k, &sum) in sums.iter().enumerate() {
        b.store_at(y, width * k as i64, sum);
    }
    Case {
        name: format!("peak-{lanes}"),
        kernel: b.finish().expect("well built"),
        operations: 2 * 12 * width * 10_000,
        elements: vec![12 * width, 12 * width],
    }
}

/// Billions of operations a second, the best of several tries.
fn measure(case: &Case, backend: Backend) -> f64 {
    let options = Options {
        backend: Some(backend),
        ..Options::default()
    };
    let code = compile(std::slice::from_ref(&case.kernel), &options).expect("compiles");
    let buffers = case.elements.iter();
    let mut buffers: Vec<Vec<f32>> = buffers.map(|&n| vec![1e-3; n as usize + 16]).collect();
    let arguments = buffers.iter_mut().map(|buffer| {
        let address = buffer.as_mut_ptr() as usize;
        address.next_multiple_of(64) as u64
    });
    let arguments: Vec<u64> = arguments.collect();
    let entry = code.entry(0).expect("one kernel");
    let mut best = f64::INFINITY;
    let calls = 2_000_000 / case.operations + 1;
    for _ in 0..60 {
        let started = Instant::now();
        for _ in 0..calls {
            // SAFETY: a pointer for each buffer, which is as long as the case says.
            unsafe { entry(black_box(arguments.as_ptr())) };
        }
        best = best.min(started.elapsed().as_secs_f64() / calls as f64);
    }
    black_box(&buffers);
    case.operations as f64 / best / 1e9
}

/// Microseconds to make the code, and spills in loops.
fn assembly(case: &Case, features: wide::Features) -> (f64, u32) {
    let mut best = f64::INFINITY;
    let mut spills = 0;
    for _ in 0..20 {
        let started = Instant::now();
        let code = wide::assemble(&case.kernel, features).expect("has code");
        best = best.min(started.elapsed().as_secs_f64() * 1e6);
        spills = code.spills.get(1..).unwrap_or_default().iter().sum();
    }
    (best, spills)
}

fn cases() -> Vec<Case> {
    let mut cases = vec![peak(4), peak(8), peak(16)];
    for (rows, vectors, lanes) in [
        (6, 1, 16),
        (6, 2, 8),
        (12, 1, 8),
        (4, 3, 8),
        (12, 2, 8),
        (14, 2, 8),
        (8, 3, 8),
        (12, 1, 16),
        (12, 2, 16),
        (14, 2, 16),
        (8, 3, 16),
        (24, 1, 16),
        (6, 4, 16),
    ] {
        cases.push(dense(rows, vectors, lanes));
    }
    for (channels, pixels, lanes) in [
        (3, 4, 8),
        (6, 2, 8),
        (6, 4, 8),
        (4, 4, 8),
        (6, 2, 16),
        (4, 4, 16),
        (6, 4, 16),
        (3, 8, 16),
        (12, 2, 16),
    ] {
        cases.push(convolution(channels, pixels, lanes));
    }
    for (channels, lanes) in [(2, 8), (3, 8), (4, 8), (2, 16), (3, 16), (4, 16)] {
        cases.push(gradient(channels, lanes));
    }
    for lanes in [4, 8, 16] {
        cases.push(mapped("gelu", lanes, gelu));
        cases.push(mapped("exp", lanes, |b, x| b.math(MathOp::Exp, &[x])));
        cases.push(mapped("tanh", lanes, |b, x| b.math(MathOp::Tanh, &[x])));
    }
    cases
}

fn main() {
    let wanted = std::env::args().nth(1);
    let mut backends = Backend::available();
    backends.retain(|backend| !backend.is_interpreted());
    for case in cases() {
        if wanted.as_ref().is_some_and(|name| *name == case.name) {
            let features = wide::Features::detect().expect("a wide machine");
            let code = wide::assemble(&case.kernel, features).expect("has code");
            println!(
                "{}{}{:?}",
                case.kernel,
                wide::disassemble(&code),
                code.spills
            );
        }
        if wanted.is_some() {
            continue;
        }
        print!("{:20}", case.name);
        for &backend in &backends {
            let features = wide::Features {
                avx512: matches!(backend, Backend::Avx512 | Backend::Avx512Bf16),
                pairs: backend == Backend::Avx512Bf16,
            };
            if backend == Backend::Cranelift {
                print!("  {backend:?}: {:6.1}", measure(&case, backend));
                continue;
            }
            let (microseconds, spills) = assembly(&case, features);
            let speed = measure(&case, backend);
            print!("  {backend:?}: {speed:6.1} GFLOP/s, {spills:3} spills, {microseconds:5.0} us");
        }
        println!();
    }
}
