use super::super::{LoopKind, VectorBinary};
use super::*;

fn builder() -> (KernelBuilder, Buffer, Buffer) {
    let mut builder = KernelBuilder::new("test");
    let x = builder.buffer("x", Element::F32, Access::Read);
    let y = builder.buffer("y", Element::F32, Access::ReadWrite);
    (builder, x, y)
}

#[test]
fn equal_computations_are_one_value() {
    let (mut b, x, y) = builder();
    let i = b.scalar("i");
    let first = b.load(x, i, 8);
    let second = b.load(x, Affine::value(i).add_constant(0), 8);
    assert_eq!(first, second);
    let mine = b.load(y, 0, 8);
    assert_eq!(mine, b.load(y, 0, 8));
    b.store_at(y, 8, first);
    assert_ne!(
        mine,
        b.load(y, 0, 8),
        "a store ends what loads of the buffer are worth"
    );
}

#[test]
fn a_written_buffer_is_loaded_again_in_each_round() {
    let (mut b, x, y) = builder();
    let (zero, n) = (b.index(0), b.index(9));
    let outside = (b.load(x, 0, 4), b.load(y, 0, 4));
    b.begin_loop(LoopKind::Domain, "i", zero, n, 1, &[]);
    let inside = (b.load(x, 0, 4), b.load(y, 0, 4));
    assert_eq!(outside.0, inside.0);
    assert_ne!(outside.1, inside.1);
}

#[test]
fn what_does_not_vary_leaves_the_loop() {
    let (mut b, x, y) = builder();
    let (zero, n) = (b.index(0), b.index(16));
    let scale = b.load(x, 0, 4);
    b.for_loop(LoopKind::Domain, "i", (zero, n, 4), &[], |b, i, _| {
        let half = b.float(0.5, 4);
        let scaled = b.binary(VectorBinary::Mul, scale, half);
        b.store_at(y, i, scaled);
        vec![]
    });
    let kernel = b.finish().expect("well built");
    let Some(Statement::Loop(last)) = kernel.body.statements.last() else {
        panic!("ends with the loop")
    };
    assert_eq!(last.body.statements.len(), 1, "only the store stays");
}

#[test]
fn division_folds_by_range() {
    let (mut b, _, _) = builder();
    let (zero, n, four) = (b.index(0), b.scalar("n"), b.index(4));
    let (block, _) = b.begin_loop(LoopKind::Domain, "block", zero, n, 1, &[]);
    let (lane, _) = b.begin_loop(LoopKind::Domain, "lane", zero, four, 1, &[]);
    let flat = Affine::term(block, 4).add_term(lane, 1).add_constant(8);
    assert_eq!(b.div_floor(&flat, 4), Affine::value(block).add_constant(2));
    assert_eq!(b.mod_floor(&flat, 4), Affine::value(lane));
    let shifted = flat.add_constant(1);
    assert_eq!(b.div_floor(&shifted, 4).terms().len(), 2, "cannot be known");
}

#[test]
fn sums_through_values_are_taken_apart() {
    let (mut b, x, _) = builder();
    let i = b.scalar("i");
    let two = b.index(2);
    let twice = b.define(Instruction::Int(IntOp::Mul, i, two), 1);
    let sum = b.define(Instruction::Int(IntOp::Add, twice, two), 1);
    assert_eq!(b.affine(sum), Affine::term(i, 2).add_constant(2));
    let back = b.define(Instruction::Int(IntOp::Sub, sum, twice), 1);
    assert_eq!(b.index_constant(back), Some(2));
    assert_eq!(
        b.load(x, sum, 1),
        b.load(x, Affine::term(i, 2).add_constant(2), 1)
    );
}

#[test]
fn conditions_known_by_range_vanish() {
    let (mut b, x, y) = builder();
    let (zero, n) = (b.index(0), b.index(8));
    b.for_loop(LoopKind::Domain, "i", (zero, n, 1), &[], |b, i, _| {
        let inside = b.condition(IntOp::Less, &Affine::value(i), &Affine::constant(8));
        let fill = b.float(0.0, 1);
        let value = b.if_then(inside, &[fill], |b| vec![b.load(x, i, 1)]);
        b.store_at(y, i, value[0]);
        vec![]
    });
    let kernel = b.finish().expect("well built");
    assert_eq!(kernel.body.size(), 5, "two bounds, the loop, load, store");
}

#[test]
fn a_loop_of_one_round_is_no_loop() {
    let (mut b, x, y) = builder();
    let (two, three) = (b.index(2), b.index(3));
    let start = b.float(1.0, 1);
    let sums = b.for_loop(
        LoopKind::Reduction,
        "k",
        (two, three, 1),
        &[start],
        |b, k, sums| {
            let term = b.load(x, k, 1);
            vec![b.binary(VectorBinary::Add, sums[0], term)]
        },
    );
    b.store_at(y, 0, sums[0]);
    let kernel = b.finish().expect("well built");
    assert!(
        !kernel
            .body
            .statements
            .iter()
            .any(|s| matches!(s, Statement::Loop(_)))
    );
}

#[test]
fn dead_carried_values_vanish() {
    let (mut b, _, y) = builder();
    let (zero, n) = (b.index(0), b.index(8));
    let one = b.float(1.0, 1);
    let results = b.for_loop(
        LoopKind::Reduction,
        "k",
        (zero, n, 1),
        &[one, one],
        |b, _, c| {
            let unused = b.binary(VectorBinary::Mul, c[1], c[1]);
            vec![b.binary(VectorBinary::Add, c[0], one), unused]
        },
    );
    b.store_at(y, 0, results[0]);
    let kernel = b.finish().expect("well built");
    let carried = kernel.body.statements.iter().find_map(|s| match s {
        Statement::Loop(statement) => Some(statement.carried.len()),
        _ => None,
    });
    assert_eq!(carried, Some(1));
}

#[test]
fn constants_fold_bit_for_bit() {
    let (mut b, x, _) = builder();
    let v = b.load(x, 0, 8);
    let (one, zero) = (b.float(1.0, 8), b.float(0.0, 8));
    assert_eq!(b.binary(VectorBinary::Mul, v, one), v);
    assert_ne!(b.binary(VectorBinary::Add, v, zero), v, "-0 + 0 is 0");
    let negative_zero = b.float(-0.0, 8);
    assert_eq!(b.binary(VectorBinary::Add, v, negative_zero), v);
    let three = b.binary(VectorBinary::Add, one, one);
    assert_eq!(three, b.float(2.0, 8));
    let mask = b.mask(true, 8);
    assert_eq!(b.select(mask, v, zero), v);
}

#[test]
fn misuse_is_reported_by_finish() {
    let (mut b, x, _) = builder();
    let (v, w) = (b.load(x, 0, 8), b.load(x, 0, 4));
    b.binary(VectorBinary::Add, v, w);
    let error = b.finish().expect_err("lanes differ");
    assert_eq!(
        error.to_string(),
        "kernel `test`: expects f32x8, found v1: f32x4"
    );
    let (mut b, _, _) = builder();
    b.end_loop(&[]);
    assert!(b.finish().is_err());
}
