//! Joined kernels as text, and that they store what the two store one after the other.

use super::{Side, ask_for_rows, join_rows};
use crate::loops::text::parse_kernels;
use crate::loops::{Kernel, interpret, verify};

/// `z[i] = 2 * x[i]`, row by row: 8 rows of 4.
const DOUBLE: &str = r#"kernel "double" {
  buffer b0 "x": f32 read
  buffer b1 "z": f32 write
  v0: index = const 0
  v1: index = const 8
  for v2 "i" in v0..v1 step 1 domain {
    v3: f32x4 = load b0[v2 * 4]
    v4: f32x4 = add v3, v3
    store b1[v2 * 4], v4
  }
}
"#;

/// `y[i] = z[i - 1] + z[i] + z[i + 1]` of the rows that there are.
const WINDOW: &str = r#"kernel "window" {
  buffer b0 "z": f32 read
  buffer b1 "y": f32 write
  v0: index = const 0
  v1: index = const 8
  v2: f32x4 = const 0.0
  v3: index = const -1
  v4: index = const 2
  v5: index = const 7
  for v6 "i" in v0..v1 step 1 domain {
    v7: index = add v6, v3
    v8: index = max v7, v0
    v9: index = add v6, v4
    v10: index = min v9, v1
    for v11 "r" in v8..v10 step 1 reduction carry v12: f32x4 = v2 {
      v13: f32x4 = load b0[v11 * 4]
      v14: f32x4 = add v12, v13
      next v14
    } give v15
    store b1[v6 * 4], v15
  }
}
"#;

/// `y[i] = z[2 * i]`: the last row of `z` is read by none.
const EVERY_OTHER: &str = r#"kernel "every_other" {
  buffer b0 "z": f32 read
  buffer b1 "y": f32 write
  v0: index = const 0
  v1: index = const 4
  for v2 "i" in v0..v1 step 1 domain {
    v3: f32x4 = load b0[v2 * 8]
    store b1[v2 * 4], v3
  }
}
"#;

/// `y[i] = z[i] + z[i]`.
const SAME_ROW: &str = r#"kernel "same_row" {
  buffer b0 "z": f32 read
  buffer b1 "y": f32 write
  v0: index = const 0
  v1: index = const 8
  for v2 "i" in v0..v1 step 1 domain {
    v3: f32x4 = load b0[v2 * 4]
    v4: f32x4 = add v3, v3
    store b1[v2 * 4], v4
  }
}
"#;

/// The sum of all rows.
const TOTAL: &str = r#"kernel "total" {
  buffer b0 "z": f32 read
  buffer b1 "y": f32 write
  v0: index = const 0
  v1: index = const 8
  v2: f32x4 = const 0.0
  for v3 "i" in v0..v1 step 1 reduction carry v4: f32x4 = v2 {
    v5: f32x4 = load b0[v3 * 4]
    v6: f32x4 = add v4, v5
    next v6
  } give v7
  store b1[v0], v7
}
"#;

/// Every row reads the last one.
const LAST: &str = r#"kernel "last" {
  buffer b0 "z": f32 read
  buffer b1 "y": f32 write
  v0: index = const 0
  v1: index = const 8
  for v2 "i" in v0..v1 step 1 domain {
    v3: f32x4 = load b0[28]
    store b1[v2 * 4], v3
  }
}
"#;

fn kernel(text: &str) -> Kernel {
    let kernel = parse_kernels(text).expect("reads").remove(0);
    verify(&kernel).expect("verifies");
    kernel
}

/// The first's buffers are `x` and `z`; the second's are these of `x`, `z` and `y`.
fn join(first: &Kernel, second: &Kernel, buffers: &[usize]) -> Option<Kernel> {
    let side = |kernel, buffers| Side {
        kernel,
        buffers,
        scalars: &[],
        known: &[],
    };
    join_rows(side(first, &[0, 1]), side(second, buffers))
}

/// What `z` and `y` hold after these kernels, with the numbers of their buffers.
fn stored(kernels: &[(&Kernel, &[usize])]) -> Vec<Vec<u8>> {
    let x = (0..32).flat_map(|at| ((at * at % 7) as f32).to_ne_bytes());
    let mut memory: Vec<Vec<u8>> = vec![x.collect(), vec![0xff; 128], vec![0xff; 128]];
    for (kernel, buffers) in kernels {
        let mut own: Vec<Vec<u8>> = buffers.iter().map(|&at| memory[at].clone()).collect();
        interpret(kernel, &mut own, &[]).expect("runs");
        for (&at, content) in buffers.iter().zip(own) {
            memory[at] = content;
        }
    }
    memory
}

/// The joint kernel's text; it stores what the two do.
fn check(first: &str, second: &str) -> String {
    let (first, second) = (kernel(first), kernel(second));
    let joint = join(&first, &second, &[1, 2]).expect("joins");
    verify(&joint).expect("verifies");
    let one = stored(&[(&joint, &[0, 1, 2])]);
    let two = stored(&[(&first, &[0, 1]), (&second, &[1, 2])]);
    assert_eq!(one, two, "{joint}");
    joint.to_string()
}

#[test]
fn a_window_has_the_rows_ahead_of_it() {
    insta::assert_snapshot!(check(DOUBLE, WINDOW));
}

#[test]
fn rows_that_nobody_reads_are_made_too() {
    insta::assert_snapshot!(check(DOUBLE, EVERY_OTHER));
}

#[test]
fn the_same_row_shares_a_loop() {
    insta::assert_snapshot!(check(DOUBLE, SAME_ROW));
}

#[test]
fn what_needs_all_rows_has_them_first() {
    insta::assert_snapshot!(check(DOUBLE, LAST));
}

/// A row that is read once, and fits the first cache, stays a kernel's own; one that does not, does not.
#[test]
fn small_rows_that_a_sum_reads_once_are_not_worth_it() {
    let (first, second) = (kernel(DOUBLE), kernel(TOTAL));
    assert_eq!(join(&first, &second, &[1, 2]), None);
    let wide = |text: &str| text.replace(" * 4]", " * 8192]");
    assert!(join(&kernel(&wide(DOUBLE)), &kernel(&wide(TOTAL)), &[1, 2]).is_some());
}

/// The second must not write what the first reads, nor read what comes of the first's rows together.
#[test]
fn what_is_not_row_by_row_is_refused() {
    let (double, window) = (kernel(DOUBLE), kernel(WINDOW));
    assert_eq!(join(&double, &window, &[1, 0]), None);
    let (total, same) = (kernel(TOTAL), kernel(SAME_ROW));
    assert_eq!(join(&total, &same, &[1, 2]), None);
    let apart = kernel(&SAME_ROW.replace("const 8", "const 6"));
    assert_eq!(join(&double, &apart, &[3, 2]), None);
}

/// Of a triangle, row `i` of which is `i` elements long, no row is all of a stride.
#[test]
fn rows_of_a_triangle_are_refused() {
    let triangle = r#"kernel "triangle" {
  buffer b0 "x": f32 read
  buffer b1 "z": f32 write
  v0: index = const 0
  v1: index = const 8
  v2: index = const 1
  for v3 "i" in v0..v1 step 1 domain {
    v4: index = add v3, v2
    for v5 "j" in v0..v4 step 1 domain {
      v6: f32x4 = load b0[v3 * 4]
      store b1[v3 * 2 + v5 * 4], v6
    }
  }
}
"#;
    // Row `i` ends where its reader's begins, but it is not where the row begins that comes next.
    let reader = kernel(&SAME_ROW.replace("load b0[v2 * 4]", "load b0[v2 * 6]"));
    assert_eq!(join(&kernel(triangle), &reader, &[1, 2]), None);
}

/// The evaluator sees a row that is read before it is made.
#[test]
fn a_row_that_is_not_there_yet_is_an_error() {
    let joint = join(&kernel(DOUBLE), &kernel(WINDOW), &[1, 2]).expect("joins");
    let early = joint.to_string();
    let late = early.replace("in v0..v5 step 1 domain", "in v0..v0 step 1 domain");
    assert_ne!(early, late);
    let mut memory = vec![vec![0; 128]; 3];
    let error = interpret(&kernel(&late), &mut memory, &[]).expect_err("reads too early");
    assert_eq!(error.message, "b1 is loaded where nothing is stored yet");
}

/// A product of rows: tiles of four columns, whose next row of 1024 elements is asked for in sixteen parts.
#[test]
fn the_next_row_is_asked_for_tile_by_tile() {
    let product = r#"kernel "product" {
  buffer b0 "x": f32 read
  buffer b1 "w": f32 read
  buffer b2 "y": f32 write
  v0: index = const 0
  v1: index = const 8
  v2: index = const 64
  v3: f32x16 = const 0.0
  for v4 "i" in v0..v1 step 1 domain {
    for v5 "j" in v0..v2 step 4 domain {
      for v6 "r" in v0..v2 step 1 reduction carry v7: f32x16 = v3 {
        v8: f32x16 = load b0[v4 * 1024 + v6 * 16]
        v9: f32x16 = load_splat b1[v5 * 64 + v6]
        v10: f32x16 = fma v8, v9, v7
        next v10
      } give v11
      store b2[v4 * 1024 + v5 * 16], v11
    }
  }
}
"#;
    let product = kernel(product);
    let asking = ask_for_rows(&product, &[]).expect("asks");
    verify(&asking).expect("verifies");
    insta::assert_snapshot!(asking.to_string());
    assert_eq!(ask_for_rows(&asking, &[]), None);
    let read = kernel(&asking.to_string());
    assert_eq!(read, asking);
    // One tile a row has too little to do for its lines.
    let single = kernel(
        &product
            .to_string()
            .replace("step 4 domain", "step 64 domain"),
    );
    assert_eq!(ask_for_rows(&single, &[]), None);
}
