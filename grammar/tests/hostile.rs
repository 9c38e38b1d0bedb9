//! Texts that mean harm: each ends soon, in an error or a tree, on a small stack.

mod common;

use dlm_grammar::{FileId, MAX_NESTING, SourceMap, parse, parse_expression};
use std::time::{Duration, Instant};

/// Far more than any of these takes, far less than backtracking would.
const LIMIT: Duration = Duration::from_secs(20);

/// Parses on a stack of 2 MB, renders the messages, and returns the code of the first.
#[track_caller]
fn check(what: &str, text: &str) -> Option<&'static str> {
    let begun = Instant::now();
    let owned = text.to_owned();
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let parsed = thread.spawn(move || {
        let mut map = SourceMap::new();
        let file = map.add("hostile.dlm", owned);
        match parse(map.text(file), file) {
            Ok(file) => {
                drop(file.dump());
                None
            }
            Err(diagnostics) => {
                let shown = map.render_all(&diagnostics) + &map.render_coloured(&diagnostics[0]);
                assert!(
                    shown.len() < 200_000,
                    "the messages are {} bytes",
                    shown.len()
                );
                Some(diagnostics[0].code.name)
            }
        }
    });
    let code = parsed
        .expect("a thread")
        .join()
        .unwrap_or_else(|_| panic!("{what} panics"));
    assert!(begun.elapsed() < LIMIT, "{what} took {:?}", begun.elapsed());
    code
}

#[test]
fn deep_nesting_is_an_error() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("f(", ")"),
        ("f[", "]"),
        ("if ", ""),
        ("(1+", ")"),
    ] {
        let text = format!("let a = {}1{}", open.repeat(10_000), close.repeat(10_000));
        assert_eq!(check(open, &text), Some("too-deep"), "{open}");
        assert!(
            check(open, &format!("let a = {}", open.repeat(10_000))).is_some(),
            "{open}"
        );
    }
    let nested = "if a { ".repeat(10_000) + &"}".repeat(10_000);
    assert_eq!(
        check("if statements", &format!("fn f() {{ {nested} }}")),
        Some("too-deep")
    );
    let types = format!(
        "fn f(x: {}int{}) {{ }}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert_eq!(check("types", &types), Some("too-deep"));
}

#[test]
fn long_chains_end() {
    for link in ["-", "not ", "1 + ", "2 ^ ", "a.", "a and "] {
        let text = format!("let a = {}b", link.repeat(10_000));
        assert_eq!(check(link, &text), Some("too-deep"), "{link}");
    }
    for suffix in ["(1)", "[1]", ".a"] {
        let text = format!("let a = b{}", suffix.repeat(10_000));
        assert_eq!(check(suffix, &text), Some("too-deep"), "{suffix}");
    }
    let comparisons = format!("let a = b{}", " < c".repeat(10_000));
    assert!(check("comparisons", &comparisons).is_some());
}

#[test]
fn long_flat_programs_are_no_error() {
    let pipe = format!("let a = b{}", " |> f".repeat(10_000));
    assert_eq!(check("pipe", &pipe), None);
    let list = format!("let a = [{}]", "1, ".repeat(100_000));
    assert_eq!(check("list", &list), None);
    let branches = format!(
        "let a = if a {{ 1 }}{} else {{ 2 }}",
        " else if b { 3 }".repeat(10_000)
    );
    assert_eq!(check("else if", &branches), None);
    let items = "let a = b |> c[1, 2](d)\n".repeat(40_000);
    assert_eq!(check("items", &items), None);
}

#[test]
fn the_deepest_admitted_nesting_is_parsed() {
    let depth = MAX_NESTING;
    for (open, close) in [("f(", ")"), ("[", "]"), ("f[k=", "]")] {
        let depth = depth - 2;
        let text = format!("let a = {}1{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(check(open, &text), None, "{open}");
    }
    let bodies = "for i in a { ".repeat(depth - 1) + &"}".repeat(depth - 1);
    assert_eq!(check("bodies", &format!("fn f() {{ {bodies} }}")), None);
    let nested = "if a { b } else { ".repeat(depth - 3) + "c" + &"}".repeat(depth - 3);
    assert_eq!(check("if values", &format!("let a = {nested}")), None);
}

#[test]
fn garbage_ends_soon() {
    let size = 1 << 20;
    let cycle = |text: &str| text.chars().cycle().take(size).collect::<String>();
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as u8
    };
    let ascii: String = (0..size).map(|_| char::from(random() % 95 + 32)).collect();
    let wide: String = (0..size).map(|_| char::from(random())).collect();
    let texts = [
        ("random ASCII", ascii),
        ("random Latin", wide),
        ("NUL", cycle("\0")),
        ("quotes", cycle("\"")),
        ("backslashes", format!("let a = \"{}", cycle("\\"))),
        ("spaces", cycle(" ")),
        ("comments", cycle("#\n")),
        ("one comment", cycle("#")),
        ("letters", cycle("a")),
        ("digits", format!("let a = {}", cycle("1"))),
        ("dots", cycle(".")),
        ("dots after let", format!("let a = {}", cycle("."))),
        ("items begun", cycle("let ")),
        ("item lines begun", cycle("let a = \n")),
        (
            "items that fail late",
            cycle("\nfn f(x: f32) -> f32 { return x + }"),
        ),
        (
            "statements begun",
            format!("fn f() {{ {}", cycle("let a = b c = d ")),
        ),
        ("invalid lines", cycle("\nlet a = ( $")),
        ("commas", format!("let a = f({})", cycle(","))),
        ("Greek", cycle("λ")),
        ("emoji", cycle("🙂")),
        ("closers", cycle(")]}")),
        ("equals", cycle("=")),
        ("pipes", format!("let a = x {}", cycle("|> "))),
    ];
    for (what, text) in texts {
        let code = check(what, &text);
        let empty = ["spaces", "comments", "one comment"].contains(&what);
        assert_eq!(code.is_none(), empty, "{what}: {code:?}");
    }
}

#[test]
fn beginnings_and_mutilations_of_a_program_never_panic() {
    let text = include_str!("programs/everything.dlm");
    let places = (0..text.len()).step_by(7);
    for at in places.filter(|&at| text.is_char_boundary(at) && text.is_char_boundary(at + 1)) {
        let begun = &text[..at];
        let without = format!("{}{}", begun, &text[at + 1..]);
        let with = format!("{begun}λ({}", &text[at..]);
        for text in [begun, &without, &with] {
            if let Err(diagnostics) = parse(text, FileId(0)) {
                assert!(!diagnostics.is_empty());
                common::messages(text);
            }
        }
    }
}

#[test]
fn lone_expressions() {
    assert!(parse_expression("mnist[\"path\"] |> normalize[0.1307, 0.3081]", FileId(0)).is_ok());
    assert!(parse_expression(" 3 # three\n", FileId(0)).is_ok());
    for wrong in [
        "",
        " ",
        "1 2",
        "let a = 1",
        "(",
        "\"",
        &"(".repeat(100_000),
        "a |> b + c",
        "1 +",
    ] {
        let diagnostics = parse_expression(wrong, FileId(0)).expect_err(wrong);
        assert!(!diagnostics.is_empty(), "{wrong}");
    }
}
