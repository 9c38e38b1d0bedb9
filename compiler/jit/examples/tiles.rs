//! How close the emitter's inner loops come to the machine's 128-bit peak: `cargo run --release --example tiles`.
//!
//! With an argument, prints the kernel of that name and its machine code instead. Stack accesses in the code are
//! counted as well: in these kernels each is a register too few.

use std::time::Instant;

use dlm_core::loops::{
    Access, Affine, Element, Kernel, KernelBuilder, LoopKind, Value, VectorBinary,
};
use dlm_jit::{Effort, Options, compile};

/// A kernel with the operations of one call and the elements of its buffers.
struct Case {
    name: &'static str,
    kernel: Kernel,
    operations: f64,
    elements: Vec<usize>,
}

/// 6 rows by 8 samples of a dense layer: `y[o][8] += w[o][i] * x[i][8]` over 256 inputs, 120 outputs.
fn dense() -> Case {
    const INPUTS: i64 = 256;
    const OUTPUTS: i64 = 120;
    let mut b = KernelBuilder::new("dense");
    let w = b.buffer("w", Element::F32, Access::Read);
    let x = b.buffer("x", Element::F32, Access::Read);
    let y = b.buffer("y", Element::F32, Access::Write);
    let (zero, outputs, inputs) = (b.index(0), b.index(OUTPUTS), b.index(INPUTS));
    b.for_loop(LoopKind::Domain, "o", (zero, outputs, 6), &[], |b, o, _| {
        let start = vec![b.float(0.0, 8); 6];
        let sums = b.for_loop(
            LoopKind::Reduction,
            "i",
            (zero, inputs, 1),
            &start,
            |b, i, sums| {
                let input = b.load(x, Affine::term(i, 8), 8);
                let row = |r: i64| {
                    Affine::term(o, INPUTS)
                        .add_term(i, 1)
                        .add_constant(r * INPUTS)
                };
                let weights: Vec<Value> = (0..6).map(|r| b.load_splat(w, row(r), 8)).collect();
                sums.iter()
                    .zip(weights)
                    .map(|(&sum, weight)| b.fma(weight, input, sum))
                    .collect()
            },
        );
        for (r, &sum) in sums.iter().enumerate() {
            b.store_at(y, Affine::term(o, 8).add_constant(8 * r as i64), sum);
        }
        vec![]
    });
    Case {
        name: "dense",
        kernel: b.finish().expect("well built"),
        operations: (2 * INPUTS * OUTPUTS * 8) as f64,
        elements: vec![
            (INPUTS * OUTPUTS) as usize,
            INPUTS as usize * 8,
            OUTPUTS as usize * 8,
        ],
    }
}

const CHANNELS: i64 = 6;
const SIZE: i64 = 12;
const OUT: i64 = 8;

/// A 5x5 convolution of 6 x 12 x 12 to 16 x 8 x 8 on 4 samples: tiles of `channels` x `pixels`, taps of kx unrolled.
fn convolution(name: &'static str, channels: i64, pixels: i64, lanes: u8) -> Case {
    let samples = i64::from(lanes);
    let mut b = KernelBuilder::new(name);
    let w = b.buffer("w", Element::F32, Access::Read);
    let x = b.buffer("x", Element::F32, Access::Read);
    let y = b.buffer("y", Element::F32, Access::Write);
    let (zero, sixteen, out) = (b.index(0), b.index(16), b.index(OUT));
    let (depth, five) = (b.index(CHANNELS), b.index(5));
    let (co, _) = b.begin_loop(LoopKind::Domain, "co", zero, sixteen, channels, &[]);
    let (oy, _) = b.begin_loop(LoopKind::Domain, "oy", zero, out, 1, &[]);
    let (ox, _) = b.begin_loop(LoopKind::Domain, "ox", zero, out, pixels, &[]);
    let start = vec![b.float(0.0, lanes); (channels * pixels) as usize];
    let sums = b.for_loop(
        LoopKind::Reduction,
        "c",
        (zero, depth, 1),
        &start,
        |b, c, sums| {
            b.for_loop(
                LoopKind::Reduction,
                "ky",
                (zero, five, 1),
                sums,
                |b, ky, sums| {
                    let mut sums = sums.to_vec();
                    for kx in 0..5 {
                        for p in 0..pixels {
                            let at = Affine::term(c, SIZE * SIZE)
                                .add_term(oy, SIZE)
                                .add_term(ky, SIZE)
                                .add_term(ox, 1);
                            let input = b.load(x, at.add_constant(p + kx).scale(samples), lanes);
                            for o in 0..channels {
                                let at = Affine::term(co, CHANNELS * 25)
                                    .add_term(c, 25)
                                    .add_term(ky, 5);
                                let weight =
                                    b.load_splat(w, at.add_constant(o * CHANNELS * 25 + kx), lanes);
                                let sum = &mut sums[(o * pixels + p) as usize];
                                *sum = b.fma(weight, input, *sum);
                            }
                        }
                    }
                    sums
                },
            )
        },
    );
    for (number, &sum) in sums.iter().enumerate() {
        let (o, p) = (number as i64 / pixels, number as i64 % pixels);
        let at = Affine::term(co, OUT * OUT)
            .add_term(oy, OUT)
            .add_term(ox, 1);
        b.store_at(y, at.add_constant(o * OUT * OUT + p).scale(samples), sum);
    }
    for _ in 0..3 {
        b.end_loop(&[]);
    }
    Case {
        name,
        kernel: b.finish().expect("well built"),
        operations: (2 * 16 * OUT * OUT * CHANNELS * 25 * samples) as f64,
        elements: vec![
            (16 * CHANNELS * 25) as usize,
            (CHANNELS * SIZE * SIZE * samples) as usize,
            (16 * OUT * OUT * samples) as usize,
        ],
    }
}

/// The weight gradient of that convolution: accumulators for 2 channels x 5 taps over y and x, lanes summed at last.
fn weight_gradient() -> Case {
    let mut b = KernelBuilder::new("gradient");
    let x = b.buffer("x", Element::F32, Access::Read);
    let g = b.buffer("g", Element::F32, Access::Read);
    let dw = b.buffer("dw", Element::F32, Access::ReadWrite);
    let (zero, sixteen, out) = (b.index(0), b.index(16), b.index(OUT));
    let (depth, five) = (b.index(CHANNELS), b.index(5));
    let (co, _) = b.begin_loop(LoopKind::Domain, "co", zero, sixteen, 2, &[]);
    let (c, _) = b.begin_loop(LoopKind::Domain, "c", zero, depth, 1, &[]);
    let (ky, _) = b.begin_loop(LoopKind::Domain, "ky", zero, five, 1, &[]);
    let start = vec![b.float(0.0, 4); 10];
    let sums = b.for_loop(
        LoopKind::Reduction,
        "y",
        (zero, out, 1),
        &start,
        |b, y, sums| {
            b.for_loop(
                LoopKind::Reduction,
                "x",
                (zero, out, 1),
                sums,
                |b, px, sums| {
                    let mut sums = sums.to_vec();
                    for o in 0..2 {
                        let at = Affine::term(co, OUT * OUT).add_term(y, OUT).add_term(px, 1);
                        let gradient = b.load(g, at.add_constant(o * OUT * OUT).scale(4), 4);
                        for kx in 0..5 {
                            let at = Affine::term(c, SIZE * SIZE)
                                .add_term(y, SIZE)
                                .add_term(ky, SIZE)
                                .add_term(px, 1);
                            let input = b.load(x, at.add_constant(kx).scale(4), 4);
                            let sum = &mut sums[(o * 5 + kx) as usize];
                            *sum = b.fma(input, gradient, *sum);
                        }
                    }
                    sums
                },
            )
        },
    );
    for (number, &sum) in sums.iter().enumerate() {
        let (o, kx) = (number as i64 / 5, number as i64 % 5);
        let at = Affine::term(co, CHANNELS * 25)
            .add_term(c, 25)
            .add_term(ky, 5);
        let at = at.add_constant(o * CHANNELS * 25 + kx);
        let (total, old) = (b.reduce_add(sum), b.load(dw, at.clone(), 1));
        let total = b.binary(VectorBinary::Add, total, old);
        b.store_at(dw, at, total);
    }
    for _ in 0..3 {
        b.end_loop(&[]);
    }
    Case {
        name: "gradient",
        kernel: b.finish().expect("well built"),
        operations: (2 * 16 * CHANNELS * 25 * OUT * OUT * 4) as f64,
        elements: vec![
            (CHANNELS * SIZE * SIZE * 4) as usize,
            (16 * OUT * OUT * 4) as usize,
            (16 * CHANNELS * 25) as usize,
        ],
    }
}

/// Nothing but 12 independent chains: the peak.
fn peak() -> Case {
    let mut b = KernelBuilder::new("peak");
    let x = b.buffer("x", Element::F32, Access::Read);
    let y = b.buffer("y", Element::F32, Access::Write);
    let (zero, rounds) = (b.index(0), b.index(10_000));
    let factor = b.load(x, 0, 4);
    let start: Vec<Value> = (0..12).map(|k| b.load(x, 4 * k, 4)).collect();
    let sums = b.for_loop(
        LoopKind::Reduction,
        "k",
        (zero, rounds, 1),
        &start,
        |b, _, sums| sums.iter().map(|&sum| b.fma(sum, factor, factor)).collect(),
    );
    for (k, &sum) in sums.iter().enumerate() {
        b.store_at(y, 4 * k as i64, sum);
    }
    Case {
        name: "peak",
        kernel: b.finish().expect("well built"),
        operations: 2.0 * 12.0 * 4.0 * 10_000.0,
        elements: vec![48, 48],
    }
}

/// Billions of operations a second, the best of several tries.
fn measure(case: &Case, effort: Effort) -> (f64, String, f64) {
    let options = Options {
        listings: true,
        effort: Some(effort),
        backend: Some(dlm_jit::Backend::Cranelift),
    };
    let started = Instant::now();
    let code = compile(std::slice::from_ref(&case.kernel), &options).expect("compiles");
    let compiled = started.elapsed().as_secs_f64() * 1e3;
    let mut buffers: Vec<Vec<f32>> = case.elements.iter().map(|&n| vec![1e-3; n + 16]).collect();
    let arguments: Vec<u64> = buffers
        .iter_mut()
        .map(|buffer| buffer.as_mut_ptr() as u64)
        .collect();
    let entry = code.entry(0).expect("one kernel");
    let mut best = f64::INFINITY;
    for _ in 0..40 {
        let started = Instant::now();
        let calls = 20;
        for _ in 0..calls {
            // SAFETY: a pointer for each buffer, each as long as the kernel's loops reach; there are no scalars.
            unsafe { entry(arguments.as_ptr()) };
        }
        best = best.min(started.elapsed().as_secs_f64() / f64::from(calls));
    }
    let assembly = code.listing(0).expect("listings are on").assembly.clone();
    (case.operations / best * 1e-9, assembly, compiled)
}

fn main() {
    let cases = [
        peak(),
        dense(),
        convolution("convolution 2x4x4", 2, 4, 4),
        convolution("convolution 4x2x4", 4, 2, 4),
        convolution("convolution 2x4x8", 2, 4, 8),
        weight_gradient(),
    ];
    if let Some(name) = std::env::args().nth(1) {
        for case in cases.iter().filter(|case| case.name == name) {
            println!("{}\n{}", case.kernel, measure(case, Effort::Keep).1);
        }
        return;
    }
    for case in &cases {
        for effort in [Effort::Keep, Effort::Rewrite] {
            let (rate, assembly, compiled) = measure(case, effort);
            let stack = assembly
                .lines()
                .filter(|line| line.contains("(%rsp)"))
                .count();
            let moves = assembly
                .lines()
                .filter(|line| line.contains("vmovaps") || line.contains("vmovdqa"))
                .count();
            let products = assembly.lines().filter(|line| line.contains("vfm")).count();
            println!(
                "{:18} {effort:7?} {rate:6.1} GFLOP/s, {products} fma, {moves} moves, {stack} on the stack, {compiled:.1} ms to compile",
                case.name,
            );
        }
    }
}
