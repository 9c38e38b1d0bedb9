//! Short sums, whose rounds are written one after the other.

mod support;

use dlm_core::loops::{Access, Affine, Element, Kernel, KernelBuilder, LoopKind, Value};
use dlm_jit::wide::{Features, assemble, disassemble};
use support::{Words, check, parse};

/// Products of a round.
const PRODUCTS: i64 = 6;
/// Elements from a row to the next, which are the next rounds'.
const ROW: i64 = 32;

/// How a counter runs; `None` for what is a scalar of the kernel.
#[derive(Clone, Copy, Debug)]
struct Counter {
    begin: Option<i64>,
    end: Option<i64>,
    step: i64,
}

/// From zero on to what is known when the kernel runs.
const UP: Counter = Counter {
    begin: Some(0),
    end: None,
    step: 1,
};

/// The sums of `products` rows, each of single elements times vectors that lie `apart`, from `first` on.
fn sums(counter: Counter, products: i64, (first, apart): (i64, i64), lanes: u8) -> Kernel {
    let mut b = KernelBuilder::new("sums");
    let w = b.buffer("w", Element::F32, Access::Read);
    let x = b.buffer("x", Element::F32, Access::Read);
    let y = b.buffer("y", Element::F32, Access::Write);
    let mut bound = |name: &str, bound: Option<i64>| match bound {
        Some(number) => b.index(number),
        None => b.scalar(name),
    };
    let (begin, end) = (bound("begin", counter.begin), bound("end", counter.end));
    let start = vec![b.float(0.5, lanes); products as usize];
    let bounds = (begin, end, counter.step);
    let results = b.for_loop(LoopKind::Reduction, "i", bounds, &start, |b, i, sums| {
        let data = b.load(x, Affine::term(i, apart).add_constant(first), lanes);
        let add = |(row, &sum): (usize, &Value)| {
            let place = Affine::term(i, 1).add_constant(row as i64 * ROW);
            let weight = b.load_splat(w, place, lanes);
            b.fma(weight, data, sum)
        };
        sums.iter().enumerate().map(add).collect()
    });
    for (row, &sum) in results.iter().enumerate() {
        b.store_at(y, row as i64 * i64::from(lanes), sum);
    }
    b.finish().expect("well built")
}

fn floats(count: i64) -> Vec<u8> {
    let mut words = Words(count as u64);
    let float = |_| ((words.below(2001) as f32 - 1000.0) / 64.0).to_ne_bytes();
    (0..count).flat_map(float).collect()
}

/// Checks the sums from `begin` to `end` on buffers that hold no more than what these read.
fn check_sums(counter: Counter, (begin, end): (i64, i64), apart: i64, lanes: u8) {
    let rounds = (begin..end).step_by(counter.step as usize);
    let last = rounds.last().unwrap_or(0);
    let first = (-apart).max(0) * last;
    let kernel = sums(counter, PRODUCTS, (first, apart), lanes);
    let x = floats(apart.max(0) * last + first + i64::from(lanes));
    let w = floats((PRODUCTS - 1) * ROW + last + 1);
    let y = vec![0; 4 * PRODUCTS as usize * usize::from(lanes)];
    let scalars = [(counter.begin, begin), (counter.end, end)];
    let scalars = scalars.iter().filter(|own| own.0.is_none());
    let scalars: Vec<i64> = scalars.map(|own| own.1).collect();
    check(&kernel, &[w, x, y], &scalars);
}

#[test]
fn any_number_of_rounds_that_is_known_when_it_runs() {
    for lanes in [4, 8, 16] {
        for end in 0..=13 {
            check_sums(UP, (0, end), i64::from(lanes), lanes);
        }
    }
}

#[test]
fn counters_begin_anywhere_and_step_by_more_than_one() {
    for step in [1, 2, 3] {
        for (begin, end) in [(0, 16), (3, 20), (5, 5), (9, 4), (2, 3), (7, 14)] {
            let (from, to) = (Some(begin), Some(end));
            for (begin_known, end_known) in [(None, None), (from, to), (None, to)] {
                let counter = Counter {
                    begin: begin_known,
                    end: end_known,
                    step,
                };
                check_sums(counter, (begin, end), 8, 8);
            }
        }
    }
}

#[test]
fn vectors_lie_before_one_another_or_are_the_same() {
    for apart in [-16, -1, 0, 1, 2] {
        for end in [0, 3, 4, 7, 11] {
            check_sums(UP, (0, end), apart, 16);
        }
    }
}

/// Counters below zero, within another loop, and a sum that goes on in a second loop.
#[test]
fn sums_go_on_from_loop_to_loop_within_others() {
    let kernel = parse(
        r#"kernel "twice" {
  buffer b0 "w": f32 read
  buffer b1 "x": f32 read
  buffer b2 "y": f32 write
  scalar v0 "end"
  v1: index = const 0
  v2: index = const 3
  v3: index = const -5
  v4: f32x8 = const 0.25
  for v5 "row" in v1..v2 step 1 domain {
    for v6 "below" in v3..v0 step 1 reduction carry v7: f32x8 = v4, v8: f32x8 = v4, v9: f32x8 = v4, v10: f32x8 = v4 {
      v11: f32x8 = load b1[v6 * 8 + 40]
      v12: f32x8 = load_splat b0[v5 * 16 + v6 + 5]
      v13: f32x8 = fma v11, v12, v7
      v14: f32x8 = fma v12, v11, v8
      v15: f32x8 = fma v11, v11, v9
      v16: f32x8 = fma v12, v12, v10
      next v13, v14, v15, v16
    } give v17, v18, v19, v20
    for v21 "above" in v1..v0 step 1 reduction carry v22: f32x8 = v17, v23: f32x8 = v18, v24: f32x8 = v19, v25: f32x8 = v20 {
      v26: f32x8 = load b1[v21 * 8]
      v27: f32x8 = load_splat b0[v5 * 16 + v21]
      v28: f32x8 = fma v26, v27, v22
      v29: f32x8 = fma v27, v26, v23
      v30: f32x8 = fma v26, v26, v24
      v31: f32x8 = fma v27, v27, v25
      next v28, v29, v30, v31
    } give v32, v33, v34, v35
    store b2[v5 * 32], v32
    store b2[v5 * 32 + 8], v33
    store b2[v5 * 32 + 16], v34
    store b2[v5 * 32 + 24], v35
  }
}
"#,
    );
    assert_eq!(
        products_by_loop(&kernel, Features::AVX2)[..4],
        [16, 4, 16, 4]
    );
    for end in [-5, -4, -1, 0, 1, 3, 8] {
        let rounds = 5 + end;
        let w = floats(32 + rounds.max(1));
        let x = floats(8 * rounds.max(1));
        check(&kernel, &[w, x, vec![0; 4 * 96]], &[end]);
    }
}

/// Multiply-adds up to each loop's jump back.
fn products_by_loop(kernel: &Kernel, features: Features) -> Vec<usize> {
    let code = assemble(kernel, features).expect("has code");
    let text = disassemble(&code);
    let mut loops: Vec<&str> = text.split("  jl ").collect();
    loops.pop();
    let count = |own: &&str| own.matches("vfmadd").count();
    loops.iter().map(count).collect()
}

#[test]
fn rounds_are_repeated_and_single_ones_are_left_where_they_may_be() {
    let of = |end: Option<i64>, products: i64| {
        let counter = Counter { end, ..UP };
        let kernel = sums(counter, products, (0, 8), 8);
        let [narrow, wide] =
            [Features::AVX2, Features::AVX512].map(|own| products_by_loop(&kernel, own));
        assert_eq!(narrow, wide);
        wide
    };
    assert_eq!(of(None, 12), [48, 12]);
    assert_eq!(of(None, PRODUCTS), [24, 6]);
    assert_eq!(of(Some(16), 12), [48]);
    assert_eq!(of(Some(15), 12), [48, 12]);
    // Fewer rounds than would be repeated; few products.
    assert_eq!(of(Some(3), 12), [12]);
    assert_eq!(of(None, 3), [3]);
}

/// A loop of six multiply-adds of what `line` defines as v20, and what else it does.
fn with(line: &str, stored: &str) -> Vec<usize> {
    let kernel = parse(&format!(
        r#"kernel "other" {{
  buffer b0 "w": f32 read
  buffer b1 "x": f32 read
  buffer b2 "y": f32 read_write
  scalar v0 "end"
  v1: index = const 0
  v2: f32x8 = const 0
  for v3 "i" in v1..v0 step 1 reduction carry v4: f32x8 = v2 {{
    v10: f32x8 = load b0[v3 * 8]
    {line}
    v21: f32x8 = fma v10, v20, v4
    v22: f32x8 = fma v10, v20, v21
    v23: f32x8 = fma v10, v20, v22
    v24: f32x8 = fma v10, v20, v23
    v25: f32x8 = fma v10, v20, v24
    v26: f32x8 = fma v10, v20, v25
    {stored}
    next v26
  }} give v30
  store b2[0], v30
}}
"#
    ));
    products_by_loop(&kernel, Features::AVX2)
}

#[test]
fn loops_that_do_more_than_add_up_are_left_as_they_are() {
    assert_eq!(with("v20: f32x8 = load b1[v3 * 8]", ""), [24, 6]);
    // An address that is computed in the round, and a store.
    let half = "v11: index = const 2\n    v12: index = div_floor v3, v11\n    v20: f32x8 = load b1[v12 * 8]";
    assert_eq!(with(half, ""), [6]);
    // A long round.
    let chain = (40..84).map(|own| format!("v{own}: f32x8 = fma v10, v10, v{}\n    ", own - 1));
    let chain: String = chain.collect();
    let long = format!("v39: f32x8 = load b1[v3 * 8]\n    {chain}v20: f32x8 = fma v10, v10, v83");
    assert_eq!(with(&long, ""), [51]);
    let stored = "store b2[v3 * 8 + 8], v21";
    assert_eq!(with("v20: f32x8 = load b1[v3 * 8]", stored), [6]);
}
