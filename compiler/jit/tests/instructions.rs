//! Every instruction of loop IR for every number of lanes, against the interpreter.

mod support;

use dlm_core::loops::types::LANES;
use dlm_core::loops::{
    Access, Comparison, Element, Instruction, IntOp, Kernel, KernelBuilder, LoadKind, LoopKind,
    MathOp, Value, VectorBinary, VectorUnary,
};
use support::{Words, check};

const COUNT: usize = 16 * 24;

/// Rounds that are unrolled, and a rest that is not: in neither anything is loaded behind a condition that does not hold. The
/// buffers lie beside pages that cannot be read.
#[test]
fn nothing_is_loaded_behind_a_condition_that_does_not_hold() {
    let kernel = support::parse(
        r#"kernel "guarded" {
  buffer b0 "x": f32 read
  buffer b1 "w": f32 read
  buffer b2 "y": f32 write
  scalar v0 "rounds"
  scalar v1 "holds"
  v2: index = const 0
  v3: f32x8 = const 0
  for v4 "i" in v2..v0 step 1 reduction carry v5: f32x8 = v3 {
    if v1 {
      v6: f32x8 = load b0[v4 * 8 + -65536]
      v7: f32x8 = load_splat b1[v4 + -65536]
      v8: f32x8 = fma v7, v6, v5
    } give v9: f32x8 = v8 else v5
    next v9
  } give v10
  store b2[0], v10
}
"#,
    );
    let buffers = [vec![0; 7 * 32], vec![0; 7 * 4], vec![0; 32]];
    check(&kernel, &buffers, &[7, 0]);
}

/// A kernel that applies `body` to vectors of `inputs` and stores what it gives.
fn mapped(
    lanes: u8,
    inputs: &[Element],
    output: Element,
    body: impl FnOnce(&mut KernelBuilder, &[Value]) -> Value,
) -> Kernel {
    let mut b = KernelBuilder::new("mapped");
    let buffers: Vec<_> = inputs
        .iter()
        .map(|&element| b.buffer("in", element, Access::Read))
        .collect();
    let out = b.buffer("out", output, Access::Write);
    let (zero, end) = (b.index(0), b.index(COUNT as i64));
    b.for_loop(
        LoopKind::Domain,
        "i",
        (zero, end, i64::from(lanes)),
        &[],
        |b, i, _| {
            let operands: Vec<Value> = buffers
                .iter()
                .map(|&buffer| b.load(buffer, i, lanes))
                .collect();
            let result = body(b, &operands);
            b.store_at(out, i, result);
            vec![]
        },
    );
    b.finish().expect("well built")
}

fn check_mapped(
    lanes: u8,
    inputs: &[Element],
    output: Element,
    body: impl FnOnce(&mut KernelBuilder, &[Value]) -> Value,
) {
    let kernel = dlm_core::loops::expand_math(&mapped(lanes, inputs, output, body));
    let mut words = Words(u64::from(lanes));
    let mut buffers: Vec<Vec<u8>> = inputs
        .iter()
        .map(|&element| words.bytes(element, COUNT))
        .collect();
    buffers.push(vec![0; COUNT * output.bytes()]);
    check(&kernel, &buffers, &[]);
}

fn unary_elements(op: VectorUnary) -> (Element, Element) {
    use VectorUnary as U;
    match op {
        U::Neg | U::Abs | U::Sqrt | U::Floor | U::Ceil | U::Round => (Element::F32, Element::F32),
        U::Not => (Element::Bool, Element::Bool),
        U::ToInt | U::FloatToBits => (Element::F32, Element::I32),
        U::ToFloat | U::BitsToFloat => (Element::I32, Element::F32),
        U::MaskToInt => (Element::Bool, Element::I32),
        U::IntToMask => (Element::I32, Element::Bool),
    }
}

#[test]
fn one_operand() {
    for lanes in LANES {
        for &op in VectorUnary::ALL {
            let (from, to) = unary_elements(op);
            check_mapped(lanes, &[from], to, |b, v| b.unary(op, v[0]));
        }
        for count in [0, 1, 13, 31] {
            let ints = [Element::I32];
            check_mapped(lanes, &ints, Element::I32, |b, v| {
                b.define(Instruction::ShiftLeft(v[0], count), lanes)
            });
            check_mapped(lanes, &ints, Element::I32, |b, v| {
                b.define(Instruction::ShiftRight(v[0], count), lanes)
            });
        }
    }
}

#[test]
fn two_operands() {
    for lanes in LANES {
        for &op in VectorBinary::ALL {
            let name = op.name();
            let element = match () {
                () if name.starts_with("int") => Element::I32,
                () if name.starts_with("mask") => Element::Bool,
                () => Element::F32,
            };
            check_mapped(lanes, &[element; 2], element, |b, v| {
                b.binary(op, v[0], v[1])
            });
        }
        for &comparison in Comparison::ALL {
            for element in [Element::F32, Element::I32] {
                check_mapped(lanes, &[element; 2], Element::Bool, |b, v| {
                    b.compare(comparison, v[0], v[1])
                });
            }
        }
    }
}

#[test]
fn three_operands() {
    for lanes in LANES {
        check_mapped(lanes, &[Element::F32; 3], Element::F32, |b, v| {
            b.fma(v[0], v[1], v[2])
        });
        check_mapped(lanes, &[Element::F32; 2], Element::F32, |b, v| {
            b.fma(v[0], v[0], v[1])
        });
        for element in [Element::F32, Element::I32, Element::Bool] {
            check_mapped(
                lanes,
                &[Element::Bool, element, element],
                element,
                |b, v| b.select(v[0], v[1], v[2]),
            );
            check_mapped(lanes, &[Element::F32, element, element], element, |b, v| {
                let zero = b.float(0.0, lanes);
                let mask = b.compare(Comparison::Gt, v[0], zero);
                b.select(mask, v[1], v[2])
            });
        }
    }
}

#[test]
fn lanes_and_constants() {
    for lanes in LANES {
        check_mapped(lanes, &[Element::I32], Element::I32, |b, v| {
            let iota = b.iota(lanes);
            b.binary(VectorBinary::IntAdd, v[0], iota)
        });
        for element in [Element::F32, Element::I32, Element::Bool] {
            for lane in 0..lanes {
                check_mapped(lanes, &[element], element, |b, v| {
                    let scalar = b.extract(v[0], lane);
                    b.splat(scalar, lanes)
                });
            }
        }
        for element in [Element::F32, Element::I32] {
            for (lower, upper) in [(0, 1), (1, 0), (1, 1)].into_iter().filter(|_| lanes >= 8) {
                check_mapped(lanes, &[element; 2], element, |b, v| {
                    let (lower, upper) = (b.half(v[0], lower), b.half(v[1], upper));
                    b.join(lower, upper)
                });
            }
            check_mapped(lanes, &[element], element, |b, v| {
                let sum = b.reduce_add(v[0]);
                b.splat(sum, lanes)
            });
        }
        check_mapped(lanes, &[Element::F32], Element::F32, |b, v| {
            let (third, nan) = (b.float(1.0 / 3.0, lanes), b.float(f32::NAN, lanes));
            let mask = b.mask(lanes > 2, lanes);
            let odd = b.compare(Comparison::Lt, v[0], third);
            let mask = b.binary(VectorBinary::MaskXor, mask, odd);
            b.select(mask, third, nan)
        });
        for element in [Element::U8, Element::Bf16] {
            check_mapped(lanes, &[element], element, |b, v| {
                let many = b.integer(-7, lanes);
                b.binary(VectorBinary::IntMul, v[0], many)
            });
        }
    }
}

#[test]
fn functions() {
    for lanes in LANES {
        for &op in MathOp::ALL {
            let element = match op {
                MathOp::IntRem | MathOp::IntDiv | MathOp::Threefry0 | MathOp::Threefry1 => {
                    Element::I32
                }
                _ => Element::F32,
            };
            check_mapped(
                lanes,
                &vec![element; op.operand_count()],
                element,
                |b, v| b.math(op, v),
            );
        }
    }
}

#[test]
fn loads_and_stores() {
    for lanes in LANES {
        for &element in Element::ALL {
            for (kind, stride) in [
                (LoadKind::Contiguous, 1),
                (LoadKind::Splat, 1),
                (LoadKind::Strided(3), 1),
                (LoadKind::Strided(2), 1),
                (LoadKind::Contiguous, 3),
                (LoadKind::Strided(1), 2),
                (LoadKind::Strided(0), 1),
                (LoadKind::Strided(-2), -1),
            ] {
                let mut b = KernelBuilder::new("move");
                let x = b.buffer("x", element, Access::Read);
                let y = b.buffer("y", element, Access::ReadWrite);
                let n = b.scalar("n");
                let zero = b.index(0);
                b.for_loop(LoopKind::Domain, "i", (zero, n, 1), &[], |b, i, _| {
                    let at = dlm_core::loops::Affine::value(i).add_constant(40);
                    let value = b.load_as(x, at.clone(), kind, lanes);
                    b.store_strided(at.address(y), value, stride);
                    vec![]
                });
                let kernel = b.finish().expect("well built");
                let mut words = Words(7);
                check(
                    &kernel,
                    &[words.bytes(element, 100), words.bytes(element, 100)],
                    &[9],
                );
            }
        }
    }
}

/// Neighbours whose lanes lie so far apart that they are turned in registers, up to the last element of memory; and nearer,
/// where the later store counts.
#[test]
fn neighbours_with_lanes_apart() {
    for lanes in LANES {
        for element in [Element::F32, Element::I32] {
            for count in 2..9_i64 {
                for stride in [-7, -4, 2, 4, 5, 9, 16] {
                    let rows = (i64::from(lanes) - 1) * stride;
                    let (first, length) = ((-rows).max(0), rows.abs() + count);
                    let mut b = KernelBuilder::new("turn");
                    let x = b.buffer("x", element, Access::Read);
                    let y = b.buffer("y", element, Access::ReadWrite);
                    let at = |column: i64| dlm_core::loops::Affine::constant(first + column);
                    let kind = LoadKind::Strided(stride);
                    let columns: Vec<_> = (0..count)
                        .map(|column| b.load_as(x, at(column), kind, lanes))
                        .collect();
                    for (column, value) in (0..count).zip(columns) {
                        b.store_strided(at(column).address(y), value, stride);
                    }
                    let kernel = b.finish().expect("well built");
                    let mut words = Words(11);
                    let mut bytes = || words.bytes(element, length as usize);
                    check(&kernel, &[bytes(), bytes()], &[]);
                }
            }
        }
    }
}

/// The lanes of several vectors, summed one after the other.
#[test]
fn sums_of_lanes_side_by_side() {
    for lanes in LANES {
        for element in [Element::F32, Element::I32] {
            for count in 2..10_i64 {
                let mut b = KernelBuilder::new("sums");
                let x = b.buffer("x", element, Access::Read);
                let y = b.buffer("y", element, Access::Write);
                let at = |number: i64| dlm_core::loops::Affine::constant(number * i64::from(lanes));
                let vectors: Vec<_> = (0..count)
                    .map(|number| b.load(x, at(number), lanes))
                    .collect();
                let sums: Vec<_> = vectors.iter().map(|&vector| b.reduce_add(vector)).collect();
                for (number, sum) in (0..count).zip(sums) {
                    b.store_at(y, number, sum);
                }
                let kernel = b.finish().expect("well built");
                let mut words = Words(13);
                let x = words.bytes(element, count as usize * usize::from(lanes));
                check(&kernel, &[x, words.bytes(element, count as usize)], &[]);
            }
        }
    }
}

/// Halves that are loads: of one place twice, of one place once and again, and of two places.
#[test]
fn loads_are_joined() {
    for half in [4, 8] {
        for element in [Element::F32, Element::I32] {
            for apart in [0, 1, 23] {
                for kept in [false, true] {
                    let mut b = KernelBuilder::new("join");
                    let x = b.buffer("x", element, Access::Read);
                    let [y, z] = ["y", "z"].map(|name| b.buffer(name, element, Access::Write));
                    let (zero, n) = (b.index(0), b.scalar("n"));
                    b.for_loop(LoopKind::Domain, "i", (zero, n, 1), &[], |b, i, _| {
                        let at = dlm_core::loops::Affine::term(i, 3);
                        let lower = b.load(x, at.clone(), half);
                        let upper = match apart {
                            0 => lower,
                            apart => b.load(x, at.add_constant(apart), half),
                        };
                        let both = b.join(lower, upper);
                        let out = dlm_core::loops::Affine::term(i, 2 * i64::from(half));
                        b.store_at(y, out.clone(), both);
                        if kept {
                            b.store_at(z, out, lower);
                        }
                        vec![]
                    });
                    let kernel = b.finish().expect("well built");
                    let mut words = Words(5);
                    check(
                        &kernel,
                        &[60, 100, 100].map(|count| words.bytes(element, count)),
                        &[5],
                    );
                }
            }
        }
    }
}

/// A long round whose loads move on by lines, one of them at rows that the round itself looks up.
#[test]
fn long_rounds_load_from_rows_that_they_look_up() {
    let lanes = 16;
    let mut b = KernelBuilder::new("rows");
    let ids = b.buffer("ids", Element::U8, Access::Read);
    let [x, table] = ["x", "table"].map(|name| b.buffer(name, Element::F32, Access::Read));
    let out = b.buffer("out", Element::F32, Access::Write);
    let (zero, n) = (b.index(0), b.scalar("n"));
    b.for_loop(LoopKind::Domain, "i", (zero, n, 1), &[], |b, i, _| {
        let at = dlm_core::loops::Affine::term(i, i64::from(lanes));
        let id = b.load(ids, dlm_core::loops::Affine::value(i), 1);
        let row = b.int_to_index(id);
        let mut value = b.load(x, at.clone(), lanes);
        let place = dlm_core::loops::Affine::from_terms([(row, 80), (i, i64::from(lanes))], 0);
        let element = b.load(table, place, lanes);
        for _ in 0..50 {
            value = b.fma(value, element, value);
        }
        b.store_at(out, at, value);
        vec![]
    });
    let kernel = b.finish().expect("well built");
    let mut words = Words(3);
    let ids = (0..5).map(|number| [3, 0, 2, 1, 3][number]).collect();
    let floats = [80, 4 * 80, 80].map(|count| words.bytes(Element::F32, count));
    let [x, table, out] = floats;
    check(&kernel, &[ids, x, table, out], &[5]);
}

/// A kernel whose only use of a load, which may become the memory operand of an instruction, is at a place that is
/// aligned to nothing but its element.
fn unaligned(
    lanes: u8,
    body: impl FnOnce(&mut KernelBuilder, Value, Value) -> Value,
) -> (Kernel, usize) {
    let mut b = KernelBuilder::new("unaligned");
    let [x, y] = ["x", "y"].map(|name| b.buffer(name, Element::F32, Access::Read));
    let out = b.buffer("out", Element::F32, Access::Write);
    let (zero, n) = (b.index(0), b.scalar("n"));
    b.for_loop(LoopKind::Domain, "i", (zero, n, 1), &[], |b, i, _| {
        let at = dlm_core::loops::Affine::term(i, i64::from(lanes));
        let kept = b.load(y, at.clone(), lanes);
        let load = b.load(x, at.clone().add_constant(1), lanes);
        let result = body(b, kept, load);
        b.store_at(out, at, result);
        vec![]
    });
    (b.finish().expect("well built"), usize::from(lanes) * 5 + 1)
}

fn check_unaligned(lanes: u8, body: impl FnOnce(&mut KernelBuilder, Value, Value) -> Value) {
    let (kernel, count) = unaligned(lanes, body);
    let mut words = Words(u64::from(lanes));
    let data = [0; 3].map(|_| words.bytes(Element::F32, count));
    check(&kernel, &data, &[5]);
}

#[test]
fn operands_in_memory_at_any_place() {
    for lanes in LANES {
        for &op in VectorBinary::ALL {
            if op.name().starts_with("int") || op.name().starts_with("mask") {
                continue;
            }
            check_unaligned(lanes, |b, kept, load| b.binary(op, kept, load));
            check_unaligned(lanes, |b, kept, load| b.binary(op, load, kept));
        }
        for op in [VectorUnary::Neg, VectorUnary::Sqrt, VectorUnary::Floor] {
            check_unaligned(lanes, |b, _, load| b.unary(op, load));
        }
        check_unaligned(lanes, |b, kept, load| b.fma(kept, load, kept));
        check_unaligned(lanes, |b, kept, load| b.fma(kept, kept, load));
        for &comparison in Comparison::ALL {
            check_unaligned(lanes, |b, kept, load| {
                let mask = b.compare(comparison, kept, load);
                let one = b.float(1.0, lanes);
                b.select(mask, one, kept)
            });
        }
        for bound in [0.0, f32::INFINITY] {
            for other in [0.0, 2.0] {
                check_unaligned(lanes, |b, kept, load| {
                    let [bound, other] = [bound, other].map(|value| b.float(value, lanes));
                    let mask = b.compare(Comparison::Lt, kept, bound);
                    b.select(mask, load, other)
                });
            }
        }
    }
}

/// An element of two bytes in every lane, shifted: what is shifted, how often and how far decides how it is loaded.
#[test]
fn elements_of_two_bytes_in_every_lane() {
    for lanes in LANES {
        for (shift, other) in [
            (16, None),
            (13, None),
            (0, None),
            (16, Some(16)),
            (16, Some(3)),
        ] {
            let mut b = KernelBuilder::new("halves");
            let x = b.buffer("x", Element::Bf16, Access::Read);
            let [y, z] = ["y", "z"].map(|name| b.buffer(name, Element::I32, Access::Write));
            let (zero, n) = (b.index(0), b.scalar("n"));
            b.for_loop(LoopKind::Domain, "i", (zero, n, 1), &[], |b, i, _| {
                let half = b.load_as(x, i, LoadKind::Splat, lanes);
                let at = dlm_core::loops::Affine::term(i, i64::from(lanes));
                let word = b.define(Instruction::ShiftLeft(half, shift), lanes);
                b.store_at(y, at.clone(), word);
                if let Some(other) = other {
                    let word = b.define(Instruction::ShiftLeft(half, other), lanes);
                    b.store_at(z, at, word);
                }
                vec![]
            });
            let kernel = b.finish().expect("well built");
            let left = vec![0; 7 * 4 * usize::from(lanes)];
            let given = Words(3).bytes(Element::Bf16, 7);
            check(&kernel, &[given, left.clone(), left], &[7]);
        }
    }
}

/// Words whose halves are numbers of bf16 of every kind: special ones, any bits, and small and subnormal ones, near which
/// sums underflow.
fn pairs(words: &mut Words, count: usize) -> Vec<u8> {
    let mut half = || match words.below(3) {
        0 => words.special() >> 16,
        1 => words.next() & 0xffff,
        _ => words.next() & 0x803f | (words.below(130) << 7),
    };
    (0..count)
        .flat_map(|_| (half() << 16 | half()).to_ne_bytes())
        .collect()
}

/// Floats of every kind, many of them near the least normal one.
fn sums_of(words: &mut Words, count: usize) -> Vec<u8> {
    let mut float = || match words.below(3) {
        0 => words.special(),
        1 => words.next(),
        _ => (words.next() & 0x8000_000f) | (0x007f_fff8 + (words.below(4) << 3)),
    };
    (0..count).flat_map(|_| float().to_ne_bytes()).collect()
}

/// Products of pairs, by the machine's instruction and written out, with the bits of the interpreter.
#[test]
fn products_of_pairs() {
    for lanes in LANES {
        let inputs = [Element::I32, Element::I32, Element::F32];
        let kernel = mapped(lanes, &inputs, Element::F32, |b, v| {
            b.dot_pairs(v[0], v[1], v[2])
        });
        for seed in 0..20 {
            let words = &mut Words(seed);
            let mut buffers = vec![pairs(words, COUNT), pairs(words, COUNT)];
            buffers.push(sums_of(words, COUNT));
            buffers.push(vec![0; COUNT * 4]);
            check(&kernel, &buffers, &[]);
        }
    }
}

/// Sums a little below 2^-126 that round to it where exponents end there, and to less where they do not.
#[test]
fn products_of_pairs_that_underflow() {
    let kernel = mapped(
        16,
        &[Element::I32, Element::I32, Element::F32],
        Element::F32,
        |b, v| b.dot_pairs(v[0], v[1], v[2]),
    );
    for shift in [0, 16] {
        let number = |bits: u32| (bits << shift).to_ne_bytes();
        // From -2^-151 on, in steps of 2^-158.
        let factor = |at: u32| 0x8000 | ((127 - 75) << 7) | (at % 128);
        let a = (0..COUNT as u32)
            .flat_map(|at| number(factor(at)))
            .collect();
        let b = (0..COUNT).flat_map(|_| number((127 - 76) << 7)).collect();
        let c = (0..COUNT)
            .flat_map(|_| f32::MIN_POSITIVE.to_ne_bytes())
            .collect();
        check(&kernel, &[a, b, c, vec![0; COUNT * 4]], &[]);
    }
}

/// Two elements of two bytes in every lane, at any place up to the end of memory, as what the machine multiplies or
/// for itself.
#[test]
fn pairs_of_elements_in_every_lane() {
    for lanes in LANES {
        for multiplied in [false, true] {
            let mut b = KernelBuilder::new("pairs");
            let x = b.buffer("x", Element::Bf16, Access::Read);
            let [y, z] = ["y", "z"].map(|name| b.buffer(name, Element::I32, Access::ReadWrite));
            let sums = b.buffer("sums", Element::F32, Access::ReadWrite);
            let (zero, n) = (b.index(0), b.scalar("n"));
            b.for_loop(LoopKind::Domain, "i", (zero, n, 1), &[], |b, i, _| {
                let at = dlm_core::loops::Affine::term(i, i64::from(lanes));
                let pair = b.load_as(x, i, LoadKind::SplatPair, lanes);
                if multiplied {
                    let other = b.load(y, at.clone(), lanes);
                    let sum = b.load(sums, at.clone(), lanes);
                    let sum = b.dot_pairs(other, pair, sum);
                    b.store_at(sums, at, sum);
                } else {
                    b.store_at(z, at, pair);
                }
                vec![]
            });
            let kernel = b.finish().expect("well built");
            let words = &mut Words(5);
            let (few, all) = (words.bytes(Element::Bf16, 8), 7 * usize::from(lanes));
            let given = [
                few,
                pairs(words, all),
                pairs(words, all),
                sums_of(words, all),
            ];
            check(&kernel, &given, &[7]);
        }
    }
}

#[test]
fn index_arithmetic() {
    let mut b = KernelBuilder::new("index");
    let y = b.buffer("y", Element::I32, Access::Write);
    let (p, q) = (b.scalar("p"), b.scalar("q"));
    let mut place = 0;
    for &op in IntOp::ALL {
        let divisors: &[i64] = match op {
            IntOp::DivFloor | IntOp::ModFloor => &[1, 2, 3, 7, 8, 1 << 40],
            _ => &[0],
        };
        for &divisor in divisors {
            let right = if divisor == 0 { q } else { b.index(divisor) };
            let result = b.define(Instruction::Int(op, p, right), 1);
            let low = b.index_to_int(result, 1);
            let back = b.int_to_index(low);
            let again = b.index_to_int(back, 1);
            b.store_at(y, place, again);
            place += 1;
        }
    }
    let kernel = b.finish().expect("well built");
    for p in [
        0,
        1,
        -1,
        7,
        -7,
        8,
        -8,
        1_000_003,
        -1_000_003,
        i64::MAX,
        i64::MIN,
    ] {
        for q in [0, 1, -1, 7, -8, i64::MAX, i64::MIN] {
            check(&kernel, &[vec![0; place as usize * 4]], &[p, q]);
        }
    }
}
