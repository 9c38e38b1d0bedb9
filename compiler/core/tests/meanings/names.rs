//! **Names.** What hides what, what a name in a type stands for, and words of the language.

use crate::support::{
    HEAD, X, check, gives, good, refused, run_of, run_refused, shape, train_text,
};
use crate::support::{Run, paths};
use dlm_grammar::ast::ExprKind;
use dlm_grammar::{SourceMap, parse_expression};

/// "Inner names hide outer ones."
#[test]
fn inner_names_hide_outer_ones() {
    let text = "let k = 2
    fn case(x: f32[2, 3]) {
      let y = x[0]
      if true { let k = 3
        y = y * k }
      for k in [5] { y = y * k }
      return y * k
    }";
    check(text, &[X], &[30.0, -60.0, 90.0]);
    let text = "let k = 2\nfn case[k: int = 4](x: f32[2, 3]) { return x[0] * k }";
    check(text, &[X], &[4.0, -8.0, 12.0]);
}

/// "A file's items hide the library; a definition does not see itself."
#[test]
fn a_files_items_hide_the_library_and_a_definition_does_not_see_itself() {
    let text =
        "fn relu(x: f32[..]) { return relu(x) * 2 }\nfn case(x: f32[2, 3]) { return relu(x[0]) }";
    check(text, &[X], &[2.0, 0.0, 6.0]);
    let text = "let k = 2\nfn case(x: f32[2, 3]) { let k = k + 1\n return x[0] * k }";
    check(text, &[X], &[3.0, -6.0, 9.0]);
    // The library's own functions keep what they are made of.
    let text = "fn exp(x: f32[..]) { return x }\nfn case(x: f32[2, 3]) { return sum[axis=-1](softmax(x)) }";
    check(text, &[X], &[1.0, 1.0]);
    // The library's block of the same name is the one that the file's is made of.
    let text = "block Linear[out: int](x: f32[..]) { return relu(x |> Linear[out, bias=false]) }
    block Case(x: f32[2, 3]) { return x |> Linear[2] }";
    assert_eq!(paths(text), ["linear_1.linear_1.weight"]);
    refused(
        "fn twice(x: f32[..]) { return twice(x) }\nfn case(x: f32[2, 3]) { return twice(x) }",
        &[X],
        &["case.dlm:1:", "twice"],
    );
}

/// "A `train` name serves only the command line and hides nothing."
#[test]
fn a_trains_name_hides_nothing() {
    let text = train_text("sgd[lr=0.25](net)", "minimize net(x) ^ 2 with opt");
    for name in ["sgd", "Net", "net", "numbers"] {
        let mut run = Run::new(&text.replace("train run", &format!("train {name}")));
        run.step(0);
        assert_eq!((run.program.name.as_str(), run.value("net.w")), (name, 1.0));
    }
}

/// "In types, only statics, `let`s and dimension variables count as bound."
#[test]
fn in_types_only_statics_lets_and_dimension_variables_are_bound() {
    let inputs = [("n", X.1, &[2_i64][..], &[3.0, 4.0][..]), X];
    // The argument `n` and the function `m` do not count: both are dimension variables.
    let text = "fn m(x: f32[..]) { return x }
    fn inner(n: f32[B], x: f32[B, n]) { return zeros[n] + n }
    fn case(n: f32[2], x: f32[2, m]) -> f32[m] { return x[0] * m }";
    check(text, &inputs, &[3.0, -6.0, 9.0]);
    check(
        "let m = 3\nfn case(x: f32[B, m]) { return ones[B] }",
        &[X],
        &[1.0, 1.0],
    );
    refused(
        "let m = 4\nfn case(x: f32[B, m]) { return x }",
        &[X],
        &["case.dlm:2:", "4", "3"],
    );
    refused(
        "fn inner[m: int](x: f32[B, m]) { return x }\nfn case(x: f32[2, 3]) { return inner[4](x) }",
        &[X],
        &["case.dlm:2:", "4", "3"],
    );
}

/// "An upper-case name is a dimension variable or static if one is in scope, else a block."
#[test]
fn an_upper_case_name_is_a_dimension_or_static_if_one_is_in_scope_else_a_block() {
    let block = "block T(x: f32[..]) { return x * 7 }\n";
    check(
        &format!(
            "{block}fn inner(x: f32[T, n]) {{ return x[0] * T }}\nfn case(x: f32[2, 3]) {{ return inner(x) }}"
        ),
        &[X],
        &[2.0, -4.0, 6.0],
    );
    check(
        &format!(
            "{block}fn inner[T: int](x: f32[..]) {{ return x[0] * T }}\nfn case(x: f32[2, 3]) {{ return inner[5](x) }}"
        ),
        &[X],
        &[5.0, -10.0, 15.0],
    );
    check(
        &format!("{block}block Case(x: f32[2, 3]) {{ return x[0] |> T }}"),
        &[X],
        &[7.0, -14.0, 21.0],
    );
}

/// "In `step` and `eval`, `B` is the batch size."
#[test]
fn in_step_and_eval_b_is_the_batch_size() {
    let text = format!(
        "{HEAD}train run[steps=12] {{
          let net = Net
          let opt = sgd(net)
          step (x, y) in numbers.train |> batch[2] {{
            minimize net(x) with opt
            report samples = sum(ones[B]), share = 6 / B
          }}
          eval (x, y) in numbers.test |> batch[2] {{ report samples = sum(zeros[B] + 3) }}
        }}"
    );
    let mut run = Run::new(&text);
    let outputs = run.step(0);
    assert_eq!(outputs["samples"].data, [2.0]);
    assert_eq!(outputs["share"].data, [3.0]);
    let evaluated = dlm_core::graph::eval::evaluate(&run.program.evals[0].graph, 2, &run.values);
    assert_eq!(evaluated.expect("an evaluation")[0].1.data, [6.0]);
}

/// "Keywords end at a word boundary."
#[test]
fn keywords_end_at_a_word_boundary() {
    let text = "let letter = 2
    fn format(inner: f32[..]) { let returned = inner
      let iffy = returned
      let trains = iffy * letter
      return trains }
    fn case(x: f32[2, 3]) { let stepping = format(x[0])
      return stepping }";
    check(text, &[X], &[2.0, -4.0, 6.0]);
}

/// "Any word may follow a `.`."
#[test]
fn any_word_may_follow_a_dot() {
    for word in [
        "train", "let", "in", "for", "step", "not", "and", "none", "param",
    ] {
        let mut sources = SourceMap::new();
        let text = format!("a.{word}");
        let id = sources.add("a", &text);
        let expr = parse_expression(&text, id).unwrap_or_else(|_| panic!("`{text}` is taken"));
        let ExprKind::Access { name, .. } = &expr.kind else {
            panic!("`{text}` is not an access");
        };
        assert_eq!(name.name, word);
    }
}

/// "A keyword used as a name is an error that says so."
#[test]
fn a_keyword_as_a_name_is_an_error_that_says_so() {
    for word in ["let", "step", "in", "not", "return", "train"] {
        let text = format!("fn case(x: f32[2, 3]) {{ let {word} = 2\n return x }}");
        refused(
            &text,
            &[X],
            &["case.dlm:1:29", &format!("`{word}`"), "is a keyword"],
        );
    }
}

/// A name in a type that is bound later in the same signature is the same dimension.
#[test]
fn dimension_variables_are_integers_inside_the_body() {
    assert_eq!(
        shape("fn case(x: f32[a, b]) { return zeros[a * b, a + b] }", &[X]),
        [6, 5]
    );
    gives("x[0] * len(x)", &[2.0, -4.0, 6.0]);
    run_refused(
        &train_text("sgd(net)", "minimize mean(zeros[b]) with opt"),
        &["run.dlm:10:", "`b`"],
    );
    let mut run = run_of("sgd(net)", "minimize net(x) with opt");
    run.step(0);
    good("fn case(x: f32[2, 3]) { return x }", &[X], true);
}
