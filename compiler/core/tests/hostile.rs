//! No program ends in a panic: damaged ones are elaborated, and either mean something or are reported.

mod programs;

use dlm_core::elaborate::{self, NoWorld, Settings, Source, World};
use dlm_grammar::SourceMap;

/// Words that damage puts into programs.
const WORDS: &[&str] = &[
    "0",
    "-1",
    "9223372036854775807",
    "0.5",
    "none",
    "true",
    "\"same\"",
    "x",
    "B",
    "[]",
    "(1, 2)",
    "zeros",
    "zeros[3]",
    "Linear",
    "Linear[3]",
    "iter",
    "net",
    "images",
    "f32",
    "i32",
    "..",
    "^",
    "@",
    "/",
    "%",
    "|> flatten",
    "[0]",
    "[-1]",
    "[::0]",
    "1e30",
    "stop_grad",
    "grad",
    "len",
    "concat",
    "split",
    "1000000000",
];

fn check(text: &str) {
    let settings = Settings::default();
    let world = World {
        loader: &NoWorld,
        catalog: &programs::Catalog,
        settings: &settings,
    };
    let mut sources = SourceMap::new();
    let checked = elaborate::check(
        &mut sources,
        Source {
            name: "hostile.dlm",
            text,
        },
        world,
    );
    let failed = checked
        .diagnostics
        .iter()
        .any(|diagnostic| diagnostic.is_error());
    assert_eq!(checked.value.is_none(), failed, "{text}");
    sources.render_all(&checked.diagnostics);
}

/// The places of words, numbers and signs in a text.
fn tokens(text: &str) -> Vec<(usize, usize)> {
    let mut tokens = Vec::new();
    let mut start = None;
    for (index, letter) in text.char_indices() {
        let word = letter.is_alphanumeric() || letter == '_';
        if let (Some(begin), false) = (start, word) {
            tokens.push((begin, index));
            start = None;
        }
        if word && start.is_none() {
            start = Some(index);
        } else if !word && !letter.is_whitespace() {
            tokens.push((index, index + letter.len_utf8()));
        }
    }
    tokens
}

fn damaged(text: &str, rounds: u64, seed: u64) {
    let tokens = tokens(text);
    let mut state = seed;
    let mut next = move |below: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for _ in 0..rounds {
        let (start, end) = tokens[next(tokens.len())];
        let word = match next(3) {
            0 => "",
            1 => WORDS[next(WORDS.len())],
            _ => {
                let (from, to) = tokens[next(tokens.len())];
                &text[from..to]
            }
        };
        check(&format!("{}{word}{}", &text[..start], &text[end..]));
    }
}

#[test]
fn damaged_programs_never_panic() {
    damaged(include_str!("../../../models/lenet.dlm"), 400, 1);
    damaged(include_str!("programs/gan.dlm"), 300, 2);
    damaged(include_str!("programs/gpt.dlm"), 300, 3);
    damaged(include_str!("programs/resnet.dlm"), 150, 4);
}

#[test]
fn the_library_as_a_program_never_panics_when_damaged() {
    damaged(include_str!("../std/norms.dlm"), 100, 5);
    damaged(include_str!("../std/losses.dlm"), 100, 6);
    damaged(include_str!("../std/recurrent.dlm"), 100, 7);
}
