//! What the wide emitter's code looks like and how it keeps to the calling convention.

#![cfg(target_arch = "x86_64")]

mod support;

use dlm_core::loops::{
    Access, Affine, Element, Instruction, Kernel, KernelBuilder, LoadKind, LoopKind, MathOp, Value,
    VectorUnary,
};
use dlm_jit::wide::{Features, Unsupported, WideError, assemble, disassemble};
use dlm_jit::{Backend, Options, compile};
use support::parse;

const BOTH: [Features; 2] = [Features::AVX2, Features::AVX512];

/// Rounds of a short sum that are written one after the other.
const ROUNDS: usize = 4;

const DENSE: &str = r#"kernel "dense" {
  buffer b0 "w": f32 read
  buffer b1 "x": f32 read
  buffer b2 "y": f32 write
  scalar v0 "n"
  v1: index = const 0
  v2: f32x8 = const 0
  for v3 "k" in v1..v0 step 1 reduction carry v4: f32x8 = v2, v5: f32x8 = v2 {
    v6: f32x8 = load b1[v3 * 8]
    v7: f32x8 = load_splat b0[v3]
    v8: f32x8 = fma v7, v6, v4
    v9: f32x8 = load_splat b0[v3 + 100]
    v10: f32x8 = fma v9, v6, v5
    next v8, v10
  } give v11, v12
  v13: f32x8 = max_select v11, v2
  store b2[0], v13
  v14: maskx8 = gt v12, v2
  v15: f32x8 = select v14, v12, v11
  v16: f32x1 = reduce_add v15
  store b2[8], v16
}
"#;

/// A tile of `rows` x `vectors` accumulators of a dense layer.
fn tile(rows: i64, vectors: i64, lanes: u8) -> Kernel {
    tile_of(Element::F32, rows, vectors, lanes)
}

/// The same with weights of that type.
fn tile_of(element: Element, rows: i64, vectors: i64, lanes: u8) -> Kernel {
    let samples = vectors * i64::from(lanes);
    let mut b = KernelBuilder::new("tile");
    let w = b.buffer("w", element, Access::Read);
    let x = b.buffer("x", Element::F32, Access::Read);
    let y = b.buffer("y", Element::F32, Access::Write);
    let (zero, inputs) = (b.index(0), b.index(64));
    let start = vec![b.float(0.0, lanes); (rows * vectors) as usize];
    let bounds = (zero, inputs, 1);
    let sums = b.for_loop(LoopKind::Reduction, "i", bounds, &start, |b, i, sums| {
        let at = |v: i64| Affine::term(i, samples).add_constant(v * i64::from(lanes));
        let data: Vec<Value> = (0..vectors).map(|v| b.load(x, at(v), lanes)).collect();
        let mut sums = sums.to_vec();
        for (number, sum) in sums.iter_mut().enumerate() {
            let row = number as i64 / vectors;
            let mut weight = b.load_splat(w, Affine::term(i, 1).add_constant(row * 64), lanes);
            if element == Element::Bf16 {
                let word = b.define(Instruction::ShiftLeft(weight, 16), lanes);
                weight = b.unary(VectorUnary::BitsToFloat, word);
            }
            *sum = b.fma(weight, data[number % vectors as usize], *sum);
        }
        sums
    });
    for (number, &sum) in sums.iter().enumerate() {
        b.store_at(y, number as i64 * i64::from(lanes), sum);
    }
    b.finish().expect("well built")
}

/// A tile that adds up products of pairs of bf16; those of `w` are loaded into all lanes.
fn tile_of_pairs(rows: i64, vectors: i64, lanes: u8) -> Kernel {
    let samples = vectors * i64::from(lanes);
    let mut b = KernelBuilder::new("tile");
    let w = b.buffer("w", Element::Bf16, Access::Read);
    let x = b.buffer("x", Element::I32, Access::Read);
    let y = b.buffer("y", Element::F32, Access::Write);
    let (zero, pairs) = (b.index(0), b.index(32));
    let start = vec![b.float(0.0, lanes); (rows * vectors) as usize];
    let bounds = (zero, pairs, 1);
    let sums = b.for_loop(LoopKind::Reduction, "i", bounds, &start, |b, i, sums| {
        let at = |v: i64| Affine::term(i, samples).add_constant(v * i64::from(lanes));
        let data: Vec<Value> = (0..vectors).map(|v| b.load(x, at(v), lanes)).collect();
        let add = |(number, &sum): (usize, &Value)| {
            let row = number as i64 / vectors;
            let place = Affine::term(i, 2).add_constant(row * 64);
            let weights = b.load_as(w, place, LoadKind::SplatPair, lanes);
            b.dot_pairs(weights, data[number % vectors as usize], sum)
        };
        sums.iter().enumerate().map(add).collect()
    });
    for (number, &sum) in sums.iter().enumerate() {
        b.store_at(y, number as i64 * i64::from(lanes), sum);
    }
    b.finish().expect("well built")
}

#[test]
fn products_of_pairs_take_memory_and_stay_in_their_registers() {
    for (rows, vectors, lanes, from_memory) in [(24, 1, 16, 24), (6, 4, 16, 0), (12, 1, 8, 12)] {
        let kernel = tile_of_pairs(rows, vectors, lanes);
        let code = assemble(&kernel, Features::AVX512_BF16).expect("has code");
        let text = disassemble(&code);
        assert_eq!(code.spills, [0_u32; 0], "{text}");
        let body = loop_body(&text);
        let products = body.lines().filter(|line| line.contains("vdpbf16ps"));
        let products: Vec<&str> = products.collect();
        let splats = products.iter().filter(|line| line.contains("{1to"));
        let counts = (products.len(), splats.count());
        let expected = ((rows * vectors) as usize * ROUNDS, from_memory * ROUNDS);
        assert_eq!(counts, expected, "{text}");
        let moves = body.lines().filter(|line| is_register_move(line)).count();
        assert_eq!(moves, 0, "{text}");
    }
    let kernel = tile_of_pairs(2, 1, 8);
    for features in BOTH {
        let error = assemble(&kernel, features).expect_err("no code");
        let what = Unsupported::Pairs;
        let kernel = "tile".to_owned();
        assert_eq!(error, WideError::Unsupported { kernel, what });
    }
}

#[test]
fn code_of_a_small_kernel() {
    let kernel = parse(DENSE);
    let code = BOTH.map(|features| {
        let code = assemble(&kernel, features).expect("has code");
        format!("{features:?}\n{}", disassemble(&code))
    });
    insta::assert_snapshot!(format!("{DENSE}\n{}", code.join("\n")));
}

#[test]
fn tiles_that_fit_the_registers_do_not_spill() {
    let fitting = [
        (
            Features::AVX2,
            [(6, 2, 8), (4, 3, 8), (12, 1, 8), (6, 1, 16)],
        ),
        (
            Features::AVX512,
            [(6, 4, 16), (12, 2, 16), (14, 2, 8), (28, 1, 16)],
        ),
    ];
    for (features, tiles) in fitting {
        for (rows, vectors, lanes) in tiles {
            let code = assemble(&tile(rows, vectors, lanes), features).expect("has code");
            let text = disassemble(&code);
            assert_eq!(
                code.spills, [0_u32; 0],
                "{features:?} {rows}x{vectors}x{lanes}\n{text}"
            );
            let body = loop_body(&text);
            let sums = body
                .lines()
                .filter(|line| line.contains("vfmadd231ps"))
                .count();
            let moves = body.lines().filter(|line| is_register_move(line)).count();
            let parts = if features.avx512 || lanes < 16 { 1 } else { 2 };
            assert_eq!(
                (sums, moves),
                ((rows * vectors) as usize * parts * ROUNDS, 0),
                "{text}"
            );
        }
    }
}

#[test]
fn innermost_loops_begin_at_lines_of_code() {
    let mut seen = std::collections::BTreeSet::new();
    for features in BOTH {
        for rows in 1..=6 {
            let code = assemble(&tile(rows, 1, 8), features).expect("has code");
            let text = disassemble(&code);
            let target = text.lines().find_map(|line| line.split("jl ").nth(1));
            let target = target.expect("a loop").trim().trim_end_matches('h');
            let begin = u64::from_str_radix(target, 16).expect("an address");
            assert_eq!(begin % 64, 0, "{text}");
            let before = text
                .lines()
                .take_while(|line| !line.contains("nop"))
                .count();
            seen.insert(before);
        }
    }
    // Of loops that would begin at different places.
    assert!(seen.len() > 3, "{seen:?}");
}

#[test]
fn a_splat_is_loaded_once_for_both_halves_of_its_lanes() {
    let code = assemble(&tile(6, 1, 16), Features::AVX2).expect("has code");
    let text = disassemble(&code);
    let body = loop_body(&text);
    let loads = body.lines().filter(|line| line.contains("vbroadcastss"));
    assert_eq!(loads.count(), 6 * ROUNDS, "{text}");
}

#[test]
fn an_element_of_two_bytes_is_widened_once_for_all_lanes() {
    for (features, sums) in [(Features::AVX2, 2), (Features::AVX512, 1)] {
        let kernel = tile_of(Element::Bf16, 6, 1, 16);
        let code = assemble(&kernel, features).expect("has code");
        let text = disassemble(&code);
        let body = loop_body(&text);
        let count = |name: &str| body.lines().filter(|line| line.contains(name)).count();
        let counts = ["vpbroadcastw", "vpslld", "vfmadd231ps"].map(count);
        let expected = [6, 6, 6 * sums].map(|of_round| of_round * ROUNDS);
        assert_eq!(counts, expected, "{text}");
        let moves = body.lines().filter(|line| is_register_move(line)).count();
        assert_eq!((moves, count("movzx")), (0, 0), "{text}");
    }
}

/// Rows of an image whose ends have rounds of their own: `sums` go through three loops, the first and the last of which
/// leave some of them as they are, within a loop over rows.
#[test]
fn sums_that_go_on_in_the_next_loop_stay_in_their_registers() {
    const ROWS: i64 = 3;
    const CHANNELS: i64 = 8;
    for (features, sums, lanes) in [(Features::AVX2, 12, 8), (Features::AVX512, 24, 16)] {
        let mut b = KernelBuilder::new("rows");
        let w = b.buffer("w", Element::F32, Access::Read);
        let x = b.buffer("x", Element::F32, Access::Read);
        let y = b.buffer("y", Element::F32, Access::Write);
        let [zero, rows, channels] = [0, ROWS, CHANNELS].map(|number| b.index(number));
        let start = vec![b.float(0.0, lanes); sums];
        let ends = [1..sums, 0..sums, 0..sums - 1];
        let results = b.for_loop(
            LoopKind::Reduction,
            "row",
            (zero, rows, 1),
            &start,
            |b, row, sums| {
                let mut sums = sums.to_vec();
                for own in &ends {
                    let bounds = (zero, channels, 1);
                    sums = b.for_loop(LoopKind::Reduction, "c", bounds, &sums, |b, c, sums| {
                        let place = Affine::term(c, 1).add(&Affine::term(row, CHANNELS));
                        let data = b.load(x, place.scale(i64::from(lanes)), lanes);
                        let mut sums = sums.to_vec();
                        for number in own.clone() {
                            let place = place.add_constant(number as i64 * ROWS * CHANNELS);
                            let weight = b.load_splat(w, place, lanes);
                            sums[number] = b.fma(weight, data, sums[number]);
                        }
                        sums
                    });
                }
                sums
            },
        );
        for (number, &sum) in results.iter().enumerate() {
            b.store_at(y, number as i64 * i64::from(lanes), sum);
        }
        let code = assemble(&b.finish().expect("well built"), features).expect("has code");
        let text = disassemble(&code);
        assert_eq!(code.spills, [0_u32; 0], "{text}");
        let moves = text.lines().filter(|line| is_register_move(line)).count();
        assert_eq!(moves, 0, "{text}");
    }
}

/// A weight gradient whose tile ends in an update: what the update reads is asked for before the sums, to be written; what
/// the next pixel reads for all lanes, before this one's samples.
#[test]
fn what_stands_behind_sums_and_the_next_pixel_are_asked_for_ahead() {
    let kernel = parse(
        r#"kernel "gradient" {
  buffer b0 "g": f32 read
  buffer b1 "x": f32 read
  buffer b2 "w": f32 read_write
  buffer b3 "m": f32 read
  v0: index = const 0
  v1: index = const 4
  v2: index = const 16
  v3: f32x16 = const 0
  for v4 "i" in v0..v1 step 1 domain {
    for v5 "pixel" in v0..v1 step 1 reduction carry v6: f32x16 = v3 {
      for v7 "sample" in v0..v2 step 1 reduction carry v8: f32x16 = v6 {
        v9: f32x16 = load b0[v5 * 256 + v7 * 16]
        v10: f32x16 = load_splat b1[v5 * 64 + v4 * 16 + v7]
        v11: f32x16 = fma v9, v10, v8
        next v11
      } give v12
      next v12
    } give v13
    v14: f32x16 = load b2[v4 * 16]
    v15: f32x16 = load b3[v4 * 16]
    v16: f32x16 = fma v13, v15, v14
    store b2[v4 * 16], v16
  }
}
"#,
    );
    let code = assemble(&kernel, Features::AVX512).expect("has code");
    let text = disassemble(&code);
    let at = |name: &str| {
        let lines = text.lines().enumerate();
        let found = lines.filter(|(_, line)| line.contains(name));
        found.map(|(number, _)| number).collect::<Vec<_>>()
    };
    let (written, read, sums) = (at("prefetchw"), at("prefetcht0"), at("vfmadd231ps"));
    assert_eq!((written.len(), read.len()), (1, 2), "{text}");
    assert!(written[0] < sums[0] && read[1] < sums[0], "{text}");
    assert!(
        text.lines()
            .any(|line| line.contains("prefetcht0") && line.contains("+100h")),
        "{text}"
    );
}

/// A tile of rows, so many bytes apart, that nothing is read of.
fn rows_written(apart: i64) -> String {
    let kernel = parse(&format!(
        r#"kernel "gradient" {{
  buffer b0 "g": f32 read
  buffer b1 "w": f32 write
  v0: index = const 0
  v1: index = const 4
  v2: index = const 16
  v3: f32x16 = const 0
  for v4 "i" in v0..v1 step 1 domain {{
    for v5 "sample" in v0..v2 step 1 reduction carry v6: f32x16 = v3, v7: f32x16 = v3 {{
      v8: f32x16 = load b0[v5 * 16]
      v9: f32x16 = add v8, v6
      v10: f32x16 = fma v8, v8, v7
      next v9, v10
    }} give v11, v12
    store b1[v4 * 16], v11
    store b1[v4 * 16 + {elements}], v12
  }}
}}
"#,
        elements = apart / 4
    ));
    disassemble(&assemble(&kernel, Features::AVX2).expect("has code"))
}

/// Lines that lie far from each other, to which a tile's sums are stored, are asked for before the sums.
#[test]
fn rows_that_a_tile_is_stored_to_are_asked_for_ahead() {
    let text = rows_written(4096);
    let at = |name: &str| {
        let lines = text.lines().enumerate();
        let found = lines.filter(|(_, line)| line.contains(name));
        found.map(|(number, _)| number).collect::<Vec<_>>()
    };
    let (asked, sums) = (at("prefetchw"), at("vfmadd"));
    assert_eq!(asked.len(), 2, "{text}");
    assert!(asked[1] < sums[0], "{text}");
    // Neighbours are one stream.
    assert!(!rows_written(64).contains("prefetchw"));
}

/// Neighbours whose lanes lie apart: a store for each row of the tile, none for each lane.
#[test]
fn neighbours_are_turned_in_registers() {
    for (features, lanes, columns, stores) in [
        (Features::AVX2, 8, 4, 8),
        (Features::AVX2, 8, 3, 24),
        (Features::AVX512, 16, 4, 16),
        (Features::AVX512, 16, 3, 16),
        (Features::AVX512, 16, 7, 32),
    ] {
        let mut b = KernelBuilder::new("turn");
        let x = b.buffer("x", Element::F32, Access::Read);
        let y = b.buffer("y", Element::F32, Access::Write);
        let at = |column: i64| Affine::constant(column * i64::from(lanes));
        let loaded: Vec<Value> = (0..columns)
            .map(|column| b.load(x, at(column), lanes))
            .collect();
        for (column, value) in (0..columns).zip(loaded) {
            b.store_strided(Affine::constant(column).address(y), value, 20);
        }
        let kernel = b.finish().expect("well built");
        let text = disassemble(&assemble(&kernel, features).expect("has code"));
        let to_memory = |line: &&str| {
            line.split_once(',')
                .is_some_and(|parts| parts.0.contains("[r"))
        };
        let found = text.lines().filter(to_memory).count();
        assert_eq!(found, stores, "{columns} columns of {lanes}:\n{text}");
    }
}

fn loop_body(text: &str) -> String {
    let jump = text
        .lines()
        .rfind(|line| line.contains("  jl "))
        .expect("a loop");
    let target = jump
        .split_whitespace()
        .last()
        .expect("a target")
        .trim_end_matches('h');
    let target = format!(
        "{:6x} ",
        usize::from_str_radix(target, 16).expect("a number")
    );
    let lines = text.lines().skip_while(|line| !line.starts_with(&target));
    lines
        .take_while(|line| *line != jump)
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_register_move(line: &str) -> bool {
    line.contains("vmov") && !line.contains('[')
}

#[test]
fn tiles_that_do_not_fit_spill_and_say_so() {
    let code = assemble(&tile(9, 2, 8), Features::AVX2).expect("has code");
    assert!(
        code.spills.len() == 2 && code.spills[1] > 0,
        "{:?}",
        code.spills
    );
}

#[test]
fn avx2_code_is_only_avx2() {
    for lanes in [1, 2, 4, 8, 16] {
        let code = assemble(&tile(3, 3, lanes), Features::AVX2).expect("has code");
        let text = disassemble(&code);
        assert!(!text.contains("zmm") && !text.contains('{'), "{text}");
        let numbers = text.split("mm").skip(1);
        let numbers = numbers.filter_map(|rest| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse::<u32>().ok()
        });
        assert!(numbers.max().is_some_and(|most| most < 16), "{text}");
        assert!(text.contains("vfmadd"), "{text}");
    }
}

#[test]
fn what_has_no_code_is_an_error() {
    let mut b = KernelBuilder::new("k");
    let y = b.buffer("y", Element::F32, Access::ReadWrite);
    let x = b.load(y, 0, 8);
    let x = b.math(MathOp::Exp, &[x]);
    b.store_at(y, 0, x);
    let kernel = b.finish().expect("well built");
    for features in BOTH {
        let error = assemble(&kernel, features).expect_err("no code");
        let what = Unsupported::Math(MathOp::Exp);
        let kernel = "k".to_owned();
        assert_eq!(error, WideError::Unsupported { kernel, what });
    }
}

std::arch::global_asm!(
    ".globl dlm_test_probe",
    "dlm_test_probe:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 8",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rbx, 1111",
    "mov rbp, 2222",
    "mov r12, 3333",
    "mov r13, 4444",
    "mov r14, 5555",
    "mov r15, 6666",
    "call rax",
    "xor eax, eax",
    "cmp rbx, 1111",
    "jne 2f",
    "cmp rbp, 2222",
    "jne 2f",
    "cmp r12, 3333",
    "jne 2f",
    "cmp r13, 4444",
    "jne 2f",
    "cmp r14, 5555",
    "jne 2f",
    "cmp r15, 6666",
    "jne 2f",
    "mov eax, 1",
    "2:",
    "add rsp, 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
);

unsafe extern "C" {
    /// Calls `entry` with known callee-saved registers; 1 if it kept them.
    fn dlm_test_probe(entry: dlm_jit::Entry, arguments: *const u64) -> u64;
}

/// More pointers than there are registers, all live in one loop, and more sums.
fn crowded() -> Kernel {
    let mut b = KernelBuilder::new("crowded");
    let inputs: Vec<_> = (0..20)
        .map(|_| b.buffer("x", Element::F32, Access::Read))
        .collect();
    let y = b.buffer("y", Element::F32, Access::Write);
    let (zero, n) = (b.index(0), b.scalar("n"));
    let start = vec![b.float(0.0, 8); 40];
    let bounds = (zero, n, 1);
    let sums = b.for_loop(LoopKind::Reduction, "i", bounds, &start, |b, i, sums| {
        let data = inputs.iter().map(|&x| b.load(x, Affine::term(i, 8), 8));
        let data: Vec<Value> = data.collect();
        let pairs = sums.iter().enumerate();
        pairs
            .map(|(k, &sum)| b.fma(data[k % 20], data[(k + 7) % 20], sum))
            .collect()
    });
    for (k, &sum) in sums.iter().enumerate() {
        b.store_at(y, k as i64 * 8, sum);
    }
    b.finish().expect("well built")
}

#[test]
fn the_calling_convention_is_kept() {
    let kernel = crowded();
    let data = vec![1.5_f32; 64];
    for backend in Backend::available() {
        let options = Options {
            backend: Some(backend),
            listings: true,
            ..Options::default()
        };
        let code = compile(std::slice::from_ref(&kernel), &options).expect("compiles");
        let mut sums = vec![0.0_f32; 320];
        let mut arguments = vec![data.as_ptr() as u64; 20];
        arguments.push(sums.as_mut_ptr() as u64);
        arguments.push(8);
        let entry = code.entry(0).expect("one kernel");
        // SAFETY: 20 buffers that are only read, of 64 elements, one of 320 that is written, and the count 8.
        let kept = unsafe { dlm_test_probe(entry, arguments.as_ptr()) };
        assert_eq!(kept, 1, "{backend:?}");
        assert_eq!(sums, [18.0; 320], "{backend:?}");
        if backend == Backend::Cranelift {
            continue;
        }
        let text = &code.listing(0).expect("a listing").assembly;
        let end: Vec<&str> = text.lines().rev().take(9).collect();
        assert!(end[0].ends_with("ret"), "{end:?}");
        assert!(
            end.iter().any(|line| line.ends_with("vzeroupper")),
            "{end:?}"
        );
        assert!(
            text.contains("push rbx") && text.contains("and rsp,"),
            "{text}"
        );
    }
}
