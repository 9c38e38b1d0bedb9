//! **Numbers.** Compile-time arithmetic, element types, literals, elementwise losses, ranges.

use crate::support::{Given, X, check, gives, refused, shape};
use dlm_core::graph::DType;

const N: Given<'static> = ("n", DType::I32, &[2], &[3.0, 4.0]);

/// "On compile-time numbers `/` is exact; a whole result serves as an int."
#[test]
fn compile_time_division_is_exact_and_whole_results_serve_as_ints() {
    check(
        "fn case() { return zeros[7 / 2 * 2 - 5] }",
        &[],
        &[0.0, 0.0],
    );
    check("fn case() { return 7 / 2 }", &[], &[3.5]);
    check("fn case() { return ones[1 / 3 * 3] }", &[], &[1.0]);
    check("fn case() { return ones[1 / 49 * 49] }", &[], &[1.0]);
    check("fn case() { return 6 / [1, 2, 3] }", &[], &[6.0, 3.0, 2.0]);
    check(
        "fn case() { let n = 0\n for i in 0..6 / 3 { n = n + 1 }\n return n }",
        &[],
        &[2.0],
    );
    gives("x[0, 4 / 2]", &[3.0]);
}

/// "Any other is an error where an int is wanted."
#[test]
fn a_fraction_is_an_error_where_an_int_is_wanted() {
    refused(
        "fn case() { return zeros[7 / 2] }",
        &[],
        &["case.dlm:1:", "3.5"],
    );
    refused(
        "fn case() { for i in 0..7 / 2 { }\n return 1 }",
        &[],
        &["case.dlm:1:", "3.5"],
    );
    refused(
        "fn f[n: int]() { return n }\nfn case() { return f[5 / 2]() }",
        &[],
        &["case.dlm:2:", "2.5"],
    );
    refused(
        "fn case(x: f32[2, 3]) { return x[1 / 2] }",
        &[X],
        &["case.dlm:1:", "0.5"],
    );
}

/// "`floor ceil round` of one give ints."
#[test]
fn floor_ceil_and_round_give_ints() {
    assert_eq!(
        shape(
            "fn case() { return ones[floor(7 / 2), ceil(7 / 2), round(7 / 3)] }",
            &[]
        ),
        [3, 4, 2]
    );
    check(
        "fn case() { return [floor(-1.5), ceil(-1.5), round(2.5)] }",
        &[],
        &[-2.0, -1.0, 2.0],
    );
}

/// "Calls on compile-time values fold."
#[test]
fn calls_on_compile_time_values_fold() {
    check(
        "fn half(n) { return n / 2 }\nfn case() { return ones[half(4)] }",
        &[],
        &[1.0, 1.0],
    );
    assert_eq!(
        shape(
            "fn case() { return ones[maximum(2, 3), sqrt(16), abs(-2), minimum(1, 5), pow(2, 3), 2 ^ 2] }",
            &[]
        ),
        [3, 4, 2, 1, 8, 4]
    );
    assert_eq!(
        shape(
            "fn case() { return ones[sum([1, 2]), max([1, 4]), len([1, 2])] }",
            &[]
        ),
        [3, 4, 2]
    );
    check(
        "fn case() { if exp(0) == 1 { return 1 }\n return 2 }",
        &[],
        &[1.0],
    );
}

/// "`f32` and `i32` tensors do not mix without a cast."
#[test]
fn floats_and_ints_do_not_mix_without_a_cast() {
    for mixed in [
        "n + x[.., 0]",
        "x[.., 0] * n",
        "where(n > 3, n, x[.., 0])",
        "maximum(n, x[.., 0])",
        "n < x[.., 0]",
    ] {
        let text = format!("fn case(n: i32[2], x: f32[2, 3]) {{ return {mixed} }}");
        refused(&text, &[N, X], &["case.dlm:1:", "i32", "f32"]);
    }
    check(
        "fn case(n: i32[2], x: f32[2, 3]) { return f32(n) + x[.., 0] }",
        &[N, X],
        &[4.0, 0.0],
    );
    check(
        "fn case(n: i32[2], x: f32[2, 3]) { return n + i32(x[.., 0] * 1.5) }",
        &[N, X],
        &[4.0, -2.0],
    );
}

/// "A literal takes the tensor's type, a fractional one meeting integers is an error."
#[test]
fn literals_take_the_type_of_what_they_meet() {
    check(
        "fn case(n: i32[2]) -> i32[2] { return n * 2 + 1 }",
        &[N],
        &[7.0, 9.0],
    );
    check(
        "fn case(n: i32[2]) -> f32[2] { return f32(n) * 0.5 }",
        &[N],
        &[1.5, 2.0],
    );
    check(
        "fn case(n: i32[2]) -> i32[2] { return n * 2.0 }",
        &[N],
        &[6.0, 8.0],
    );
    refused(
        "fn case(n: i32[2]) { return n * 0.5 }",
        &[N],
        &["case.dlm:1:", "0.5"],
    );
    refused(
        "fn case(n: i32[2]) { return n > 3.5 }",
        &[N],
        &["case.dlm:1:", "3.5"],
    );
    refused(
        "fn case(n: i32[2]) { return where(n > 3, n, 0.5) }",
        &[N],
        &["case.dlm:1:", "0.5"],
    );
}

/// "An elementwise loss takes equal shapes or a scalar, never a silent broadcast."
#[test]
fn elementwise_losses_take_equal_shapes_or_a_scalar() {
    const LOSSES: [&str; 12] = [
        "mse",
        "mae",
        "huber",
        "smooth_l1",
        "bce",
        "bce_logits",
        "kl_div",
        "hinge",
        "focal",
        "poisson_nll",
        "dice",
        "rmse",
    ];
    for loss in LOSSES {
        let case = |arguments: &str| {
            format!("fn case(x: f32[2, 3]) {{ let p = sigmoid(x)\n return {loss}({arguments}) }}")
        };
        assert_eq!(shape(&case("p, p"), &[X]), [0_i64; 0], "{loss}");
        assert_eq!(shape(&case("p, 1"), &[X]), [0_i64; 0], "{loss}");
        assert_eq!(shape(&case("p, mean(p)"), &[X]), [0_i64; 0], "{loss}");
        for other in ["p[0]", "p[:, 0:1]", "p[0:1]", "transpose(p)"] {
            refused(&case(&format!("p, {other}")), &[X], &["case.dlm:2:"]);
        }
    }
    gives("mse(x, 1)", &[(0.0 + 9.0 + 4.0 + 25.0 + 16.0 + 49.0) / 6.0]);
}

/// "Ranges exclude their end."
#[test]
fn ranges_exclude_their_end() {
    let text = "fn case() { let n = 0\n for i in 2..5 { n = 10 * n + i }\n return n }";
    check(text, &[], &[234.0]);
    check(
        "fn case() { let n = 7\n for i in 3..3 { n = 0 }\n return n }",
        &[],
        &[7.0],
    );
    check("fn case() { return len(2..5) }", &[], &[3.0]);
}
