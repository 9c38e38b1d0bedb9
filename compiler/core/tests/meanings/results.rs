//! **Results and arguments.** Several results, names and defaults, static types, dots, lists of tensors.

use crate::support::{X, check, good, refused, shape};
use dlm_core::graph::Op;

const TWO: &str = "fn two(x: f32[B, d]) -> f32[B, d], f32[d] { return x + 1, x[0] }\n";

/// "`-> f32[B, d], f32[B, d]` with `return a, b`."
#[test]
fn several_results_have_a_type_each() {
    let outputs = crate::support::outputs(
        &TWO.replace("two", "case")
            .replace("B, d", "2, 3")
            .replace("[d]", "[3]"),
        &[X],
        true,
    );
    assert_eq!(outputs["out.0"].data, [2.0, -1.0, 4.0, -3.0, 6.0, -5.0]);
    assert_eq!(outputs["out.1"].data, [1.0, -2.0, 3.0]);
    refused(
        "fn case(x: f32[2, 3]) -> f32[2, 3], f32[3] { return x, x }",
        &[X],
        &["case.dlm:1:"],
    );
    refused(
        "fn case(x: f32[2, 3]) -> f32[2, 3], f32[2, 3] { return x }",
        &[X],
        &["case.dlm:1:"],
    );
}

/// "`let a, b = f(x)` takes the results if there are several, else unpacks axis 0."
#[test]
fn let_takes_results_or_unpacks_axis_0() {
    check(
        &format!("{TWO}fn case(x: f32[2, 3]) {{ let a, b = two(x)\n return a[0] - b }}"),
        &[X],
        &[1.0, 1.0, 1.0],
    );
    check(
        "fn case(x: f32[2, 3]) { let a, b = x\n return a + b }",
        &[X],
        &[-3.0, 3.0, -3.0],
    );
    check(
        "fn case() { let a, b = (3, 5)\n return a - b }",
        &[],
        &[-2.0],
    );
    refused(
        "fn case(x: f32[2, 3]) { let a, b, c = x\n return a }",
        &[X],
        &["case.dlm:1:", "3 names"],
    );
}

/// "Tensor arguments may be passed by name."
#[test]
fn tensor_arguments_may_be_passed_by_name() {
    let minus = "fn minus(a: f32[..], b: f32[..]) { return a - b }\n";
    for call in [
        "minus(x[0], x[1])",
        "minus(a=x[0], b=x[1])",
        "minus(b=x[1], a=x[0])",
        "minus(x[0], b=x[1])",
    ] {
        let text = format!("{minus}fn case(x: f32[2, 3]) {{ return {call} }}");
        check(&text, &[X], &[5.0, -7.0, 9.0]);
    }
    refused(
        &format!("{minus}fn case(x: f32[2, 3]) {{ return minus(x, c=x) }}"),
        &[X],
        &["case.dlm:2:", "`c`"],
    );
    refused(
        &format!("{minus}fn case(x: f32[2, 3]) {{ return minus(x, a=x) }}"),
        &[X],
        &["case.dlm:2:", "`a`"],
    );
}

/// "… and may be optional: `mask: bool[..] = none`, and `mask == none` is known at compile time."
#[test]
fn optional_arguments_are_known_to_be_absent() {
    // Both branches of a choice known at compile time need not fit.
    let text = "fn scaled(x: f32[..], by: f32[..] = none) { if by == none { return x }\n return x * by }\n";
    for (call, expected) in [
        ("scaled(x[0])", [1.0, -2.0, 3.0]),
        ("scaled(x[0], by=x[0])", [1.0, 4.0, 9.0]),
        ("scaled(x[0], none)", [1.0, -2.0, 3.0]),
    ] {
        check(
            &format!("{text}fn case(x: f32[2, 3]) {{ return {call} }}"),
            &[X],
            &expected,
        );
    }
    let text = "fn case(x: f32[2, 3], mask: bool[..] = none) { return if mask != none { x[5] } else { x[0] } }";
    check(text, &[X], &[1.0, -2.0, 3.0]);
}

/// "Static types also `[int]`, `(int, int)`; no type takes anything."
#[test]
fn static_types_may_be_lists_and_tuples_and_none_takes_anything() {
    let list = "fn f[at: [int]]() { return sum(at) }\n";
    check(
        &format!("{list}fn case() {{ return f[[1, 2, 4]]() }}"),
        &[],
        &[7.0],
    );
    refused(
        &format!("{list}fn case() {{ return f[[1, 0.5]]() }}"),
        &[],
        &["case.dlm:2:"],
    );
    refused(
        &format!("{list}fn case() {{ return f[3]() }}"),
        &[],
        &["case.dlm:2:"],
    );
    let pair = "fn f[k: (int, int)]() { let a, b = k\n return 10 * a + b }\n";
    check(
        &format!("{pair}fn case() {{ return f[(1, 2)]() }}"),
        &[],
        &[12.0],
    );
    refused(
        &format!("{pair}fn case() {{ return f[(1, 2, 3)]() }}"),
        &[],
        &["case.dlm:3:"],
    );
    refused(
        &format!("{pair}fn case() {{ return f[(1, \"a\")]() }}"),
        &[],
        &["case.dlm:3:"],
    );
    let any = "fn f[a](x: f32[..]) { return if a == none { x } else { a(x) } }\n";
    check(
        &format!("{any}fn case(x: f32[2, 3]) {{ return f[none](x[0]) }}"),
        &[X],
        &[1.0, -2.0, 3.0],
    );
    check(
        &format!("{any}fn case(x: f32[2, 3]) {{ return f[relu](x[0]) }}"),
        &[X],
        &[1.0, 0.0, 3.0],
    );
    check(
        "fn f[a]() { return len(a) }\nfn case() { return f[[1, 2, 3]]() }",
        &[],
        &[3.0],
    );
}

/// "Each `..` is independent, at most one per type."
#[test]
fn dots_are_independent_and_at_most_one_stands_in_a_type() {
    check(
        "fn f(x: f32[.., n], y: f32[..]) -> f32[..] { return sum(x) + sum(y) + n }\nfn case(x: f32[2, 3]) { return f(x, x[0]) }",
        &[X],
        &[-3.0 + 2.0 + 3.0],
    );
    assert_eq!(
        shape(
            "fn f(x: f32[a, .., b]) { return zeros[a, b] }\nfn case(x: f32[2, 3]) { return f(x) }",
            &[X]
        ),
        [2, 3]
    );
    refused(
        "fn case(x: f32[.., a, ..]) { return x }",
        &[X],
        &["case.dlm:1:", ".."],
    );
}

/// "A list of tensors has a compile-time length: `xs = xs + [h]`, `xs[-1]`, `stack(xs)`, `concat(xs)`."
#[test]
fn lists_of_tensors_have_a_compile_time_length() {
    let case = |body: &str| format!("fn case(x: f32[2, 3]) {{ {body} }}");
    check(
        &case("let xs = []\n for i in 0..2 { xs = xs + [x[i]] }\n return stack(xs)"),
        &[X],
        X.3,
    );
    check(
        &case("let xs = [x[0]]\n xs = xs + [x[1]]\n return xs[-1]"),
        &[X],
        &[-4.0, 5.0, -6.0],
    );
    check(&case("return concat([x[0], x[1]])"), &[X], X.3);
    check(
        &case("let xs = [x[0], x[1], x[0]]\n return ones[len(xs)]"),
        &[X],
        &[1.0; 3],
    );
}

/// "In a recurrence, one append a round stacks."
#[test]
fn one_append_a_round_of_a_recurrence_stacks() {
    let text = "fn case(x: f32[2, 3]) {
      let s = zeros[2]
      let xs = []
      for t in 0..3 { s = 2 * s + x[:, t]
        xs = xs + [s] }
      return stack[axis=1](xs)
    }";
    check(text, &[X], &[1.0, 0.0, 3.0, -4.0, -3.0, -12.0]);
    let graph = good(text, &[X], true).graph;
    let is_scan = |op: &Op| matches!(op, Op::Scan(_));
    assert!(
        graph.nodes.values().any(|node| is_scan(&node.op)),
        "a loop, not three rounds"
    );
}
