//! **Precedence**, loosest first; and what is one token, one expression, one slice.

use crate::support::{X, check, gives, refused};
use dlm_core::graph::DType;

/// The value of an expression without arguments.
#[track_caller]
fn value(expr: &str, expected: f64) {
    check(&format!("fn case() {{ return {expr} }}"), &[], &[expected]);
}

/// Whether an expression of constants is true.
#[track_caller]
fn truth(expr: &str, expected: bool) {
    value(
        &format!("if {expr} {{ 1 }} else {{ 0 }}"),
        f64::from(u8::from(expected)),
    );
}

/// "`|>`, `or`, `and`, `not`, comparisons, `..`, `+ -`, `* / % @`, unary `-`, `^`, postfix."
#[test]
fn each_operator_binds_tighter_than_the_one_before() {
    // `|>` is loosest: `true or false` is what is passed.
    let text = "fn one(a: bool) -> f32 { return if a { 1 } else { 2 } }\nfn case() { return true or false |> one }";
    check(text, &[], &[1.0]);
    gives("x[0] + 1 |> relu", &[2.0, 0.0, 4.0]);
    truth("true or false and false", true);
    truth("false and false or true", true);
    truth("not true and false", false);
    truth("not (true and false)", true);
    truth("not 1 == 2", true);
    truth("1 + 1 == 2", true);
    // `..` binds looser than `+` and tighter than a comparison.
    check(
        "fn case() { let n = 0\n for i in 0..1 + 2 { n = n + 1 }\n return n }",
        &[],
        &[3.0],
    );
    value("2 + 3 * 4", 14.0);
    value("2 - 6 / 4", 0.5);
    value("10 - 7 % 4", 7.0);
    value("2 * 3 % 4", 2.0);
    gives("x @ transpose(x)[:, 0] + 1", &[15.0, -31.0]);
    value("-7 % 3", 2.0);
    value("-3 ^ 2", -9.0);
    gives("-x[0] ^ 2", &[-1.0, -4.0, -9.0]);
    gives("2 ^ x[0][2]", &[8.0]);
    value("2 ^ -1", 0.5);
    value("10 - 4 - 3", 3.0);
    value("24 / 4 / 2", 3.0);
}

/// "`^` (right associative; `-x ^ 2` is `-(x ^ 2)`)."
#[test]
fn powers_associate_to_the_right() {
    value("2 ^ 3 ^ 2", 512.0);
    value("(2 ^ 3) ^ 2", 64.0);
    gives("2 ^ x[0] ^ 2", &[2.0, 16.0, 512.0]);
}

/// "Comparisons (not chained)."
#[test]
fn comparisons_are_not_chained() {
    refused(
        "fn case(x: f32[2, 3]) { return where(0 < x < 1, x, 0) }",
        &[X],
        &["case.dlm:1:", "comparison"],
    );
}

/// "`%` is Python's": the sign is the divisor's, for numbers and tensors, whole and not.
#[test]
fn the_remainder_has_the_divisors_sign() {
    value("7 % -3", -2.0);
    value("-7.5 % 2", 0.5);
    gives("x[0] % 4", &[1.0, 2.0, 3.0]);
    gives("x[0] % -4", &[-3.0, -2.0, -1.0]);
    gives("x[1] % 2.5", &[1.0, 0.0, 1.5]);
    let n = ("n", DType::I32, &[4_i64][..], &[-7.0, 7.0, -6.0, 6.0][..]);
    check(
        "fn case(n: i32[4]) { return n % 3 }",
        &[n],
        &[2.0, 1.0, 0.0, 0.0],
    );
    check(
        "fn case(n: i32[4]) { return n % -3 }",
        &[n],
        &[-1.0, -2.0, 0.0, 0.0],
    );
}

/// "`<-` is one token, so `a < -1` has its space."
#[test]
fn an_arrow_is_one_token() {
    gives("where(x[0] < -1, 1.0, 0.0)", &[0.0, 1.0, 0.0]);
    refused(
        "fn case(x: f32[2, 3]) { return where(x <-1, 1.0, 0.0) }",
        &[X],
        &["case.dlm:1:", "<-"],
    );
}

/// "`else if` works in both forms of `if`."
#[test]
fn else_if_works_in_both_forms() {
    for (n, expected) in [(1, 10.0), (2, 20.0), (3, 30.0)] {
        value(
            &format!("if {n} == 1 {{ 10 }} else if {n} == 2 {{ 20 }} else {{ 30 }}"),
            expected,
        );
        let text = format!(
            "fn case() {{ if {n} == 1 {{ return 10 }} else if {n} == 2 {{ return 20 }} else {{ return 30 }} }}"
        );
        check(&text, &[], &[expected]);
    }
}

/// "The branches of an `if` expression are single expressions."
#[test]
fn branches_of_an_if_expression_are_single_expressions() {
    refused(
        "fn case(x: f32[2, 3]) { let a = if true { let b = 1\n b } else { 2 }\n return x * a }",
        &[X],
        &["case.dlm:1:"],
    );
}

/// "Slices take `..`: `x[.., 0]`." Slices are Python's.
#[test]
fn slices_are_pythons_and_take_dots() {
    gives("x[:, -1]", &[3.0, -6.0]);
    gives("x[.., 0]", &[1.0, -4.0]);
    gives("x[0, ..]", &[1.0, -2.0, 3.0]);
    gives("x[1, .., 2]", &[-6.0]);
    gives("x[0, ::2]", &[1.0, 3.0]);
    gives("x[0, ::-1]", &[3.0, -2.0, 1.0]);
    gives("x[1, 1:100]", &[5.0, -6.0]);
    gives("x[1, -2:]", &[5.0, -6.0]);
    gives("x[1, :-2]", &[-4.0]);
    gives("sum(x[1, 2:1])", &[0.0]);
}
