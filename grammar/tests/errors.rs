//! Programs that are wrong, with what a person then reads. Snapshots show input and output together.

mod common;

use common::messages;
use dlm_grammar::{Diagnostic, FileId, codes, parse};
use std::collections::BTreeMap;

/// Name and text of each; the name begins with the code of the first diagnostic.
const CASES: &[(&str, &str)] = &[
    (
        "invalid-character",
        "let a = 1;\nlet b = 'text'\nlet c = a && b || !a\nlet é = 2\nlet d = a \u{0} b\nlet e = $a\n",
    ),
    (
        "invalid-number",
        "let a = 28x28\nlet b = 1.\nlet c = 99999999999999999999\n",
    ),
    (
        "invalid-number range",
        "let c = 99999999999999999999\nlet d = 1e999\n",
    ),
    ("invalid-string", "let a = \"open\nlet b = 2\n"),
    ("invalid-string escape", "let a = \"a\\qb\"\n"),
    ("unexpected-token operand", "let a =\nlet b = 2\n"),
    (
        "unexpected-token several",
        "let a = * 2\nfn f(x: f32) -> f32 { return x + }\nlet b = 1 2\nlet c = 3\nblock B(x f32) { return x }\n",
    ),
    ("unexpected-token no comma", "let a = f(b c)\n"),
    (
        "unexpected-token no type",
        "block B(x: f32[n]) -> f32[n] {\n  param w = zeros\n  return x\n}\n",
    ),
    (
        "unexpected-token let type",
        "fn f(x: f32) -> f32 {\n  let y: f32 = x\n  return y\n}\n",
    ),
    (
        "unexpected-token equals",
        "fn f(x: f32) -> f32 {\n  if a = 2 { x = 3 }\n  return x\n}\n",
    ),
    ("unexpected-token equals equals", "let a == 2\n"),
    (
        "unexpected-token arrow",
        "fn f(x: f32) -> f32 {\n  if x <-1 { x = 3 }\n  return x\n}\n",
    ),
    ("unexpected-token def", "def f(x: f32) {\n  return x\n}\n"),
    ("unexpected-token class", "class Net {\n}\nlet a = (\n"),
    (
        "unexpected-token while",
        "fn f(x: f32) -> f32 {\n  while x < 2 { x = x + 1 }\n  return x\n}\n",
    ),
    (
        "unexpected-token elif",
        "fn f(x: f32) -> f32 {\n  if a { x = 1 } elif b { x = 2 }\n  return x\n}\n",
    ),
    (
        "unexpected-token python body",
        "fn f(x: f32) -> f32:\n  return x\n",
    ),
    (
        "unexpected-token short body",
        "fn f(x: f32) -> f32 = x + 1\n",
    ),
    (
        "unexpected-token add assign",
        "fn f(x: f32) -> f32 {\n  x += 1\n  return x\n}\n",
    ),
    ("unexpected-token power", "let a = b ** 2\n"),
    ("unexpected-token comment", "let a = 2 // two\n"),
    ("unexpected-token fraction", "let a = .5\n"),
    ("unexpected-token plus", "let a = f(+1)\n"),
    ("unexpected-token else", "let a = if b { 1 }\nlet c = 2\n"),
    (
        "unexpected-token branch",
        "fn f(x: f32) -> f32 {\n  let y = if b { let z = 1 } else { 2 }\n  return y\n}\n",
    ),
    (
        "unexpected-token lone call",
        "fn f(x: f32) -> f32 {\n  relu(x)\n  return x\n}\n",
    ),
    (
        "unexpected-token lone last",
        "fn f(x: f32) -> f32 {\n  let y = relu(x)\n  y\n}\n",
    ),
    (
        "unexpected-token misspelt",
        "fn f(x: f32) -> f32 {\n  retrun x\n}\n",
    ),
    (
        "unexpected-token misspelt item",
        "bloc B(x: f32) -> f32 {\n  return x\n}\n",
    ),
    ("unexpected-token outside", "let x = 2\nreturn x\n"),
    ("unexpected-token constant", "x = 2\n"),
    ("unexpected-token import", "import other as o\n"),
    (
        "unexpected-token report",
        "train t {\n  step x in d {\n    report\n  }\n}\n",
    ),
    (
        "unexpected-token several states",
        "block B(x: f32) -> f32 {\n  a, b <- f(x)\n  return x\n}\n",
    ),
    (
        "unclosed-bracket end",
        "fn f(x: f32) -> f32 {\n  return relu(x\n}\n",
    ),
    (
        "unclosed-bracket body",
        "block A(x: f32) -> f32 {\n  return x\n\nblock B(x: f32) -> f32 {\n  return x y\n}\n",
    ),
    ("unclosed-bracket mismatch", "let a = f[1, (2, 3]\n"),
    (
        "unclosed-bracket extra",
        "fn f(x: f32) -> f32 { return x }\n}\nlet a = )\n",
    ),
    (
        "keyword-as-name let",
        "fn f(x: f32) -> f32 {\n  let state = x\n  return state\n}\n",
    ),
    (
        "keyword-as-name argument",
        "fn f(x: f32, data: f32) -> f32 { return x }\n",
    ),
    ("keyword-as-name value", "let a = 1 + step\n"),
    (
        "keyword-as-name rebind",
        "fn f(x: f32) -> f32 {\n  step = 2\n  data = 3\n  return x\n}\n",
    ),
    ("keyword-as-name by name", "let a = f(in=3)\n"),
    (
        "bracket-on-new-line call",
        "fn f(x: f32) -> f32 {\n  let y = relu\n    (x)\n  return y\n}\n",
    ),
    (
        "bracket-on-new-line index",
        "fn f(x: f32) -> f32 {\n  let y = x # comment\n  [0]\n  return y\n}\n",
    ),
    (
        "bracket-on-new-line return",
        "fn f(x: f32) -> f32 {\n  (x + 1)\n}\n",
    ),
    ("bracket-on-new-line item", "let a = f\n(2)\n"),
    ("pipe-operand operator", "let a = x |> f + y |> g\n"),
    ("pipe-operand minus", "let a = x |> -f\n"),
    ("pipe-operand if", "let a = x |> if c { f } else { g }\n"),
    ("chained-comparison", "let a = 1 < b <= 3\n"),
    ("chained-comparison range", "let a = 0..2..4\n"),
    ("not-operand", "let a = b == not c\n"),
    (
        "unknown-type",
        "fn f(x: f64[n], y: flaot) -> tensor { return x }\n",
    ),
    (
        "type-without-shape",
        "fn f[n: int[3]](x: f32) -> f32 { return x }\n",
    ),
    (
        "several-rests",
        "fn f(x: f32[.., n, ..]) -> f32 { return x[.., 0, ..] }\n",
    ),
    (
        "position-after-name",
        "let a = f(x=1, 2)\nlet b = g[k=3, 4]\n",
    ),
    (
        "pattern-parentheses",
        "train t {\n  step x, y in d.train {\n    for (a, b) in c { report a }\n  }\n}\n",
    ),
    (
        "misplaced-statement",
        include_str!("programs/misplaced.dlm"),
    ),
    (
        "missing-part",
        "train t { let a = 1 }\ntrain u {\n  step x in d { report x }\n  step x in d { report x }\n}\n",
    ),
    ("too-deep", "let a = 1+1+1+1+1"),
    ("file-too-large", ""),
    (
        "unexpected-token long line",
        concat!(
            "let first = 1\nlet list = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, ",
            "116, 117, 118, 119, 120, 121, 122, 123 124, 125, 126, 127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, ",
            "138, 139, 140, 141, 142, 143, 144, 145, 146, 147, 148, 149]\nlet last = 2\n"
        ),
    ),
    (
        "unclosed-bracket end of a long line",
        concat!(
            "let list = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, ",
            "119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140"
        ),
    ),
];

/// The programs of the two limits, which are too large to be written out.
fn text_of(name: &str, text: &str) -> String {
    match name {
        "too-deep" => format!("let a = {}{}", "(".repeat(300), text),
        "file-too-large" => " ".repeat(dlm_grammar::MAX_FILE_SIZE + 1),
        _ => text.to_owned(),
    }
}

fn diagnostics(text: &str) -> Vec<Diagnostic> {
    parse(text, FileId(0)).err().unwrap_or_default()
}

#[test]
fn each_message() {
    for (name, text) in CASES {
        let output = messages(&text_of(name, text));
        let input = text.replace('\0', "\\0");
        insta::with_settings!({ omit_expression => true, snapshot_path => "errors" }, {
            insta::assert_snapshot!(name.replace(' ', "_"), format!("{input}\n-----\n{output}"));
        });
    }
}

#[test]
fn each_case_gives_the_code_it_is_named_after() {
    for (name, text) in CASES {
        let found = diagnostics(&text_of(name, text));
        let code = name.split(' ').next();
        assert_eq!(
            found.first().map(|first| first.code.name),
            code,
            "for {name}: {found:#?}"
        );
    }
}

#[test]
fn every_code_has_a_case() {
    let mut met = BTreeMap::new();
    for (name, text) in CASES {
        for diagnostic in diagnostics(&text_of(name, text)) {
            met.insert(diagnostic.code.name, *name);
        }
    }
    for code in codes::ALL {
        assert!(met.contains_key(code.name), "no case for {}", code.name);
    }
    assert_eq!(
        met.len(),
        codes::ALL.len(),
        "a code is not in the table: {met:?}"
    );
}

#[test]
fn messages_come_in_the_order_of_the_text_and_lie_in_it() {
    for (name, text) in CASES {
        let text = text_of(name, text);
        let found = diagnostics(&text);
        assert!(found.is_sorted_by_key(|each| each.span().start), "{name}");
        for label in found.iter().flat_map(|each| &each.labels) {
            assert!(
                label.span.start <= label.span.end && label.span.end as usize <= text.len(),
                "{name}"
            );
        }
    }
}
