//! Each rule on a small program: text in, text out. Live values only, so that what a rule made superfluous is gone.

use crate::graph::text::parse;
use crate::passes::run_named;

/// The graph before and after, in the layout of its text. The body is written without its frame.
fn simplified(body: &str) -> String {
    let text = format!("graph g {{\n{body}\n}}\n");
    let before = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let after = run_named(&before, &["simplify", "dead-code"]).unwrap();
    format!("{before}---\n{after}")
}

macro_rules! check {
    ($name:ident, $body:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(simplified($body));
        }
    };
}

check!(
    neutral_operands,
    r#"  %0 = input : f32[B, 3] {kind=data, name="x"}
  %1 = constant : f32 {value=1.0}
  %2 = view %1 : f32[B, 3] {fill=0.0, index=""}
  %3 = constant : f32 {value=0.0}
  %4 = view %3 : f32[B, 3] {fill=0.0, index=""}
  %5 = mul %0, %2 : f32[B, 3]
  %6 = add %4, %5 : f32[B, 3]
  %7 = neg %6 : f32[B, 3]
  %8 = neg %7 : f32[B, 3]
  output result "x" = %8"#
);

check!(
    divisions_by_powers_of_two_only,
    r#"  %0 = input : f32[B] {kind=data, name="x"}
  %1 = constant : f32 {value=4.0}
  %2 = view %1 : f32[B] {fill=0.0, index=""}
  %3 = div %0, %2 : f32[B]
  %4 = constant : f32 {value=3.0}
  %5 = view %4 : f32[B] {fill=0.0, index=""}
  %6 = div %0, %5 : f32[B]
  output result "exact" = %3
  output result "rounded" = %6"#
);

check!(
    powers,
    r#"  %0 = input : f32[B] {kind=data, name="x"}
  %1 = constant : f32 {value=3.0}
  %2 = view %1 : f32[B] {fill=0.0, index=""}
  %3 = pow %0, %2 : f32[B]
  %4 = constant : f32 {value=1.5}
  %5 = view %4 : f32[B] {fill=0.0, index=""}
  %6 = pow %0, %5 : f32[B]
  output result "cube" = %3
  output result "other" = %6"#
);

check!(
    complements_of_powers,
    r#"  %0 = input : f32 {kind=scalar, name="t"}
  %1 = constant : f32 {value=0.999}
  %2 = pow %1, %0 : f32
  %3 = constant : f32 {value=1.0}
  %4 = sub %3, %2 : f32
  %5 = constant : f32 {value=1.5}
  %6 = pow %5, %0 : f32
  %7 = sub %3, %6 : f32
  output result "correction" = %4
  output result "growing" = %7"#
);

check!(
    constants_are_computed,
    r#"  %0 = constant : i32 {value=7}
  %1 = constant : i32 {value=-2}
  %2 = rem %0, %1 : i32
  %3 = mul %0, %1 : i32
  %4 = cast %3 : f32
  %5 = view %4 : f32[B, 2] {fill=0.0, index=""}
  %6 = sqrt %5 : f32[B, 2]
  %7 = lt %0, %1 : bool
  %8 = view %7 : bool[B, 2] {fill=false, index=""}
  %9 = select %8, %6, %5 : f32[B, 2]
  output result "rest" = %2
  output result "chosen" = %9"#
);

check!(
    views_of_views,
    r#"  %0 = input : f32[B, 6, 8] {kind=data, name="x"}
  %1 = view %0 : f32[B, 8, 6] {fill=0.0, index="v0, v2, v1"}
  %2 = view %1 : f32[B, 4, 3] {fill=0.0, index="v0, 2*v1, 3+v2"}
  %3 = view %0 : f32[B, 8, 8] {fill=0.5, index="v0, v1-1, v2"}
  %4 = view %3 : f32[B, 9, 8] {fill=0.0, index="v0, v1, v2"}
  output result "one" = %2
  output result "stays two" = %4"#
);

check!(
    reshapes,
    r#"  %0 = input : f32[B, 6] {kind=data, name="x"}
  %1 = reshape %0 : f32[B, 2, 3]
  %2 = reshape %1 : f32[2*B, 3]
  %3 = reshape %0 : f32[B, 1, 6, 1]
  output result "once" = %2
  output result "unit axes" = %3"#
);

check!(
    relu_and_bias_move_out_of_a_pool,
    r#"  %0 = input : f32[B, 6, 8, 8] {kind=data, name="x"}
  %1 = input : f32[6] {kind=parameter, name="bias"}
  %2 = view %1 : f32[B, 6, 8, 8] {fill=0.0, index="v1"}
  %3 = add %0, %2 : f32[B, 6, 8, 8]
  %4 = constant : f32 {value=0.0}
  %5 = view %4 : f32[B, 6, 8, 8] {fill=0.0, index=""}
  %6 = max %3, %5 : f32[B, 6, 8, 8]
  %7 = view %6 : f32[B, 6, 4, 4, 2, 2] {fill=-inf, index="v0, v1, 2*v2+v4, 2*v3+v5"}
  %8 = reduce_max %7 : f32[B, 6, 4, 4] {axes=[4, 5]}
  output result "pooled" = %8"#
);

check!(
    a_function_that_is_read_elsewhere_stays_in_a_maximum,
    r#"  %0 = input : f32[B, 8] {kind=data, name="x"}
  %1 = tanh %0 : f32[B, 8]
  %2 = reduce_max %1 : f32[B] {axes=[1]}
  %3 = exp %0 : f32[B, 8]
  %4 = reduce_max %3 : f32[B] {axes=[1]}
  output result "moved" = %4
  output result "kept" = %2
  output result "also read" = %1"#
);

check!(
    a_fill_above_the_bound_keeps_relu_in_a_pool,
    r#"  %0 = input : f32[B, 8] {kind=data, name="x"}
  %1 = constant : f32 {value=0.0}
  %2 = view %1 : f32[B, 8] {fill=0.0, index=""}
  %3 = max %0, %2 : f32[B, 8]
  %4 = view %3 : f32[B, 9, 2] {fill=5.0, index="v0, v1+v2-1"}
  %5 = reduce_max %4 : f32[B, 9] {axes=[2]}
  output result "pooled" = %5"#
);

check!(
    sums_of_repeats,
    r#"  %0 = input : f32[B] {kind=data, name="x"}
  %1 = view %0 : f32[B, 5, 2] {fill=0.0, index="v0"}
  %2 = reduce_sum %1 : f32[B, 2] {axes=[1]}
  %3 = reduce_sum %2 : f32[2] {axes=[0]}
  output result "sum" = %3"#
);

check!(
    contractions_read_through_transposes,
    r#"  %0 = input : f32[B, 4] {kind=data, name="x"}
  %1 = input : f32[4, 3] {kind=parameter, name="w"}
  %2 = view %1 : f32[3, 4] {fill=0.0, index="v1, v0"}
  %3 = contract %0, %2 : f32[B, 3] {index=["v0, v2", "v1, v2"], reduced=[4]}
  %4 = view %0 : f32[B, 6] {fill=0.0, index="v0, v1-1"}
  %5 = contract %4, %1 : f32[B, 4] {index=["v0, v2", "v1, v2"], reduced=[3]}
  output result "through" = %3
  output result "padding stays" = %5"#
);

check!(
    constant_factors_move_out_of_contractions,
    r#"  %0 = input : f32[B, 4] {kind=data, name="x"}
  %1 = constant : f32 {value=3.0}
  %2 = view %1 : f32[4, 5] {fill=0.0, index=""}
  %3 = contract %0, %2 : f32[B, 5] {index=["v0, v2", "v2, v1"], reduced=[4]}
  %4 = contract %0, %2 : f32[B, 5] {index=["v0, v2", "v2+1, v1"], reduced=[4]}
  output result "sum" = %3
  output result "ends within" = %4"#
);

check!(
    contractions_lose_extents_of_one,
    r#"  %0 = input : f32[B, 1, 4] {kind=data, name="x"}
  %1 = input : f32[3, 1, 4] {kind=parameter, name="w"}
  %2 = contract %0, %1 : f32[B, 3] {index=["v0, v2, v3", "v1, v2, v3"], reduced=[1, 4]}
  %3 = contract %0 : f32[4, B] {index=["v1, v2, v0"], reduced=[1]}
  output result "product" = %2
  output result "transpose" = %3"#
);

/// The loss reads both `x` and `x * 1`; the gradient with respect to the second must not become that of the first.
#[test]
fn what_a_gradient_names_stays_itself() {
    let text = r#"graph g {
  %0 = input : f32 {kind=data, name="x"}
  %1 = constant : f32 {value=1.0}
  %2 = mul %0, %1 : f32
  %3 = mul %0, %2 : f32
  %4 = gradient %3, %2 : f32
  output result "slope" = %4
}
"#;
    let before = parse(text).unwrap();
    let after = run_named(&before, &["simplify", "autodiff", "simplify", "dead-code"]).unwrap();
    insta::assert_snapshot!(format!("{before}---\n{after}"));
}

check!(
    a_sum_over_the_batch_leaves_deviations_from_a_mean_out,
    r#"  %0 = input : f32[B, 3] {kind=data, name="x"}
  %1 = input : f32[B, 3] {kind=data, name="g"}
  %2 = input : f32[3] {kind=parameter, name="scale"}
  %3 = input : f32[3] {kind=parameter, name="rate"}
  %4 = reduce_sum %0 : f32[3] {axes=[0]}
  %5 = batch_size : f32
  %6 = view %5 : f32[3] {fill=0.0, index=""}
  %7 = div %4, %6 : f32[3]
  %8 = view %7 : f32[B, 3] {fill=0.0, index="v1"}
  %9 = sub %0, %8 : f32[B, 3]
  %10 = view %2 : f32[B, 3] {fill=0.0, index="v1"}
  %11 = view %3 : f32[B, 3] {fill=0.0, index="v1"}
  %12 = mul %1, %10 : f32[B, 3]
  %13 = mul %11, %9 : f32[B, 3]
  %14 = add %12, %13 : f32[B, 3]
  %15 = neg %14 : f32[B, 3]
  %16 = reduce_sum %15 : f32[3] {axes=[0]}
  output result "sum" = %16"#
);

check!(
    a_sum_of_deviations_from_something_else_stays,
    r#"  %0 = input : f32[B, 3] {kind=data, name="x"}
  %1 = input : f32[B, 3] {kind=data, name="g"}
  %2 = reduce_sum %1 : f32[3] {axes=[0]}
  %3 = batch_size : f32
  %4 = view %3 : f32[3] {fill=0.0, index=""}
  %5 = div %2, %4 : f32[3]
  %6 = view %5 : f32[B, 3] {fill=0.0, index="v1"}
  %7 = sub %0, %6 : f32[B, 3]
  %8 = add %7, %1 : f32[B, 3]
  %9 = reduce_sum %8 : f32[3] {axes=[0]}
  output result "sum" = %9"#
);

// The gradient of a convolution of stride 2 with windows of one element; of one whose windows have three, it stays.
check!(
    products_at_every_other_place_are_spread,
    r#"  %0 = input : f32[B, 4, 3, 4] {kind=data, name="g"}
  %1 = input : f32[4, 2, 1, 1] {kind=parameter, name="w"}
  %2 = contract %0, %1 : f32[B, 2, 5, 8] {index=["v0, v4, (v2)/2, (v3)/2", "v4, v1, 0, 0"], reduced=[4]}
  %3 = input : f32[4, 2, 3, 3] {kind=parameter, name="v"}
  %4 = contract %0, %3 : f32[B, 2, 6, 8] {index=["v0, v4, (v2-v5+1)/2, (v3-v6+1)/2", "v4, v1, v5, v6"], reduced=[4, 3, 3]}
  output result "one" = %2
  output result "three" = %4"#
);

// One sum, of which the gradients of a scale and of what it scales are multiples; a sum of one value stays as it is.
check!(
    what_is_the_same_along_a_sum_of_products_leaves_it,
    r#"  %0 = input : f32[B, 3] {kind=data, name="g"}
  %1 = input : f32[B, 3] {kind=data, name="x"}
  %2 = input : f32[3] {kind=parameter, name="scale"}
  %3 = input : f32[3] {kind=parameter, name="rate"}
  %4 = view %2 : f32[B, 3] {fill=0.0, index="v1"}
  %5 = view %3 : f32[B, 3] {fill=0.0, index="v1"}
  %6 = mul %0, %4 : f32[B, 3]
  %7 = mul %6, %1 : f32[B, 3]
  %8 = reduce_sum %7 : f32[3] {axes=[0]}
  %9 = mul %1, %5 : f32[B, 3]
  %10 = mul %9, %0 : f32[B, 3]
  %11 = reduce_sum %10 : f32[3] {axes=[0]}
  %12 = reduce_sum %6 : f32[3] {axes=[0]}
  output result "scaled" = %8
  output result "rated" = %11
  output result "one" = %12"#
);

// The gradient of a convolution before a global mean: the same at all pixels.
check!(
    products_that_repeat_are_made_once,
    r#"  %0 = input : f32[B, 3] {kind=data, name="g"}
  %1 = view %0 : f32[B, 3, 5, 7] {fill=0.0, index="v0, v1"}
  %2 = input : f32[3, 2, 1, 1] {kind=parameter, name="w"}
  %3 = contract %1, %2 : f32[B, 2, 5, 7] {index=["v0, v4, v2, v3", "v4, v1, 0, 0"], reduced=[3]}
  output result "pixels" = %3"#
);

// Attention.
check!(
    quotients_of_exponentials_leave_products,
    r#"  %0 = input : f32[B, 8, 8] {kind=data, name="scores"}
  %1 = input : f32[B, 8, 4] {kind=data, name="v"}
  %2 = exp %0 : f32[B, 8, 8]
  %3 = reduce_sum %2 : f32[B, 8] {axes=[2]}
  %4 = view %3 : f32[B, 8, 8] {fill=0.0, index="v0, v1"}
  %5 = div %2, %4 : f32[B, 8, 8]
  %6 = contract %5, %1 : f32[B, 8, 4] {index=["v0, v1, v3", "v0, v3, v2"], reduced=[8]}
  output result "gathered" = %6"#
);

// And those of a product whose result has more elements than they.
check!(
    quotients_that_are_read_elsewhere_stay,
    r#"  %0 = input : f32[B, 8, 8] {kind=data, name="scores"}
  %1 = input : f32[B, 8, 4] {kind=data, name="v"}
  %2 = exp %0 : f32[B, 8, 8]
  %3 = reduce_sum %2 : f32[B, 8] {axes=[2]}
  %4 = view %3 : f32[B, 8, 8] {fill=0.0, index="v0, v1"}
  %5 = div %2, %4 : f32[B, 8, 8]
  %6 = contract %5, %1 : f32[B, 8, 4] {index=["v0, v1, v3", "v0, v3, v2"], reduced=[8]}
  %7 = input : f32[B, 8, 16] {kind=data, name="w"}
  %8 = exp %1 : f32[B, 8, 4]
  %9 = reduce_sum %8 : f32[B, 8] {axes=[2]}
  %10 = view %9 : f32[B, 8, 4] {fill=0.0, index="v0, v1"}
  %11 = div %8, %10 : f32[B, 8, 4]
  %12 = contract %11, %7 : f32[B, 4, 16] {index=["v0, v3, v1", "v0, v3, v2"], reduced=[8]}
  output result "gathered" = %6
  output result "weights" = %5
  output result "wide" = %12"#
);
