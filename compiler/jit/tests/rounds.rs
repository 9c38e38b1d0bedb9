//! Short sums, whose rounds are written one after the other.

mod support;

use dlm_core::loops::{Access, Affine, Element, Kernel, KernelBuilder, LoopKind, Value};
use dlm_jit::wide::{Features, assemble, disassemble};
use support::{Words, check};

/// Products of a round.
const PRODUCTS: i64 = 4;
/// Elements from a row to the next, which are the next rounds'.
const ROW: i64 = 32;

/// How a counter runs; `None` for what is a scalar of the kernel.
#[derive(Clone, Copy, Debug)]
struct Counter {
    begin: Option<i64>,
    end: Option<i64>,
    step: i64,
}

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
    let counter = Counter {
        begin: Some(0),
        end: None,
        step: 1,
    };
    for lanes in [4, 8, 16] {
        for end in 0..=13 {
            check_sums(counter, (0, end), i64::from(lanes), lanes);
        }
    }
}

#[test]
fn counters_begin_anywhere_and_step_by_more_than_one() {
    for step in [1, 2, 3] {
        for (begin, end) in [(0, 16), (3, 20), (5, 5), (9, 4), (2, 3)] {
            let counter = Counter {
                begin: None,
                end: None,
                step,
            };
            check_sums(counter, (begin, end), 8, 8);
            let counter = Counter {
                begin: Some(begin),
                end: Some(end),
                step,
            };
            check_sums(counter, (begin, end), 8, 8);
            let counter = Counter {
                begin: None,
                end: Some(end),
                step,
            };
            check_sums(counter, (begin, end), 8, 8);
        }
    }
}

#[test]
fn vectors_lie_before_one_another_or_are_the_same() {
    let counter = Counter {
        begin: Some(0),
        end: None,
        step: 1,
    };
    for apart in [-16, -1, 0, 1, 2] {
        for end in [0, 3, 4, 7, 11] {
            check_sums(counter, (0, end), apart, 16);
        }
    }
}

/// Multiply-adds between the loops' jumps, by loop.
fn products_by_loop(kernel: &Kernel) -> Vec<usize> {
    let code = assemble(kernel, Features::AVX2).expect("has code");
    let text = disassemble(&code);
    let mut loops: Vec<&str> = text.split("  jl ").collect();
    loops.pop();
    let count = |own: &&str| own.matches("vfmadd").count();
    loops.iter().map(count).collect()
}

#[test]
fn rounds_are_repeated_and_single_ones_are_left_where_they_may_be() {
    let of = |end: Option<i64>, products: i64| {
        let counter = Counter {
            begin: Some(0),
            end,
            step: 1,
        };
        products_by_loop(&sums(counter, products, (0, 8), 8))
    };
    assert_eq!(of(None, 12), [48, 12]);
    assert_eq!(of(Some(16), 12), [48]);
    assert_eq!(of(Some(15), 12), [48, 12]);
    // Fewer rounds than would be repeated; few products; a long round.
    assert_eq!(of(Some(3), 12), [12]);
    assert_eq!(of(None, 3), [3]);
    assert_eq!(of(None, 30), [30]);
}
