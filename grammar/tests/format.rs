//! The formatter: what it makes of programs, and that it changes neither their meaning nor its own result.

mod common;

use common::{PAGE_PROGRAMS, all_programs, parse_ok};
use dlm_grammar::format::WIDTH;
use dlm_grammar::{FileId, KEYWORDS, format, parse};

/// Formats a program, and holds what must hold of every result.
#[track_caller]
fn check(name: &str, text: &str) -> String {
    let formatted = check_meaning(name, text);
    let again = check_meaning(name, &formatted);
    assert!(
        formatted == again,
        "{name}: formatting twice differs from once; the source:\n{text}\n-- once:\n{formatted}\n-- twice:\n{again}"
    );
    formatted
}

/// As [`check`], but for the stability of the layout.
#[track_caller]
fn check_meaning(name: &str, text: &str) -> String {
    let formatted =
        format(text).unwrap_or_else(|errors| panic!("{name} does not parse: {errors:?}\n{text}"));
    let before = parse_ok(name, text).dump();
    let after = parse_ok(name, &formatted).dump();
    assert_eq!(
        before, after,
        "{name}: the meaning has changed:\n{formatted}"
    );
    assert_eq!(
        comments_of(text),
        comments_of(&formatted),
        "{name}: the comments have changed:\n{formatted}"
    );
    let kept_lines = formatted.lines().all(|line| line == line.trim_end());
    assert!(kept_lines, "{name}: blanks at a line's end:\n{formatted}");
    assert!(
        !formatted.contains("\n\n\n"),
        "{name}: two empty lines:\n{formatted}"
    );
    formatted
}

/// The comments of a text without strings that contain `#`.
fn comments_of(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.find('#').map(|at| line[at..].trim_end()))
        .collect()
}

#[test]
fn every_program_keeps_its_meaning_and_its_layout_is_stable() {
    for (name, text) in all_programs() {
        check(&name, &text);
    }
}

/// A body on one line that no line holds is broken, and the item then set apart as one of several lines.
#[test]
fn an_item_that_must_be_broken_is_set_apart_at_once() {
    for words in 1..14 {
        let pipe = " |> relu".repeat(words);
        let text = format!(
            "data d = digits[]\nblock Net(x: f32[B, 8]) -> f32[B, 8] {{ return x{pipe} }}\nlet a = 1\n"
        );
        let formatted = check("broken", &text);
        let is_broken = formatted.contains("{\n");
        assert_eq!(formatted.contains("\n\nblock"), is_broken, "{formatted}");
    }
}

#[test]
fn the_page_looks_like_the_page() {
    for (name, text) in PAGE_PROGRAMS {
        insta::assert_snapshot!(format!("format_{name}"), check(name, text));
    }
}

#[test]
fn the_programs_of_the_reference_are_laid_out_already() {
    let Some(folder) = common::shared("reference") else {
        return;
    };
    for file in common::dlm_files(&folder) {
        let text = std::fs::read_to_string(&file).expect("a readable program");
        if text.lines().all(|line| line.chars().count() <= WIDTH) {
            assert_eq!(
                check(&file.display().to_string(), &text),
                text,
                "{}",
                file.display()
            );
        }
    }
}

/// Input and output of one construct.
macro_rules! layouts {
    ($($name:ident: $text:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let text = $text;
                let formatted = check(stringify!($name), text);
                insta::assert_snapshot!(format!("{text}\n-----\n{formatted}"));
            }
        )*
    };
}

layouts! {
    spaces: "let   a=1+2*-3^ 2\nlet b = f( x,y = 2 ) [ 1 , : ,  ..,::2, a : b :c ] . c\nlet c=not a==b and(c)or 0 .. n\n";
    blank_lines: "\n\n# first\n\n\nlet a = 1\nlet b = 2\n\n\n\nlet c = 3\nfn f(x: f32) -> f32 {\n\n\n  let y = x\n\n\n  return y\n\n}\nlet d = 4\n\n";
    comments: "# file\n\n# item\nlet a = 1 # one\n# last of group\n\nfn f(x: f32) -> f32 { # body\n  # before\n  let y = x    # behind\n\n  # between\n\n  # before return\n  return y # result\n  # end of body\n}\n# end\n";
    comments_after_marks: "fn f(x: f32) -> f32 {\n  let y = x\n  y = # why\n    y + 1\n  return x |> flatten |> # first\n    relu |> relu\n}\nlet a = f[n = # n\n 2](x, # x\n y = # y\n 3)\n";
    comments_inside: "let a = f(x, # first\n  # own line\n  y,\n  # before bracket\n)\nlet b = x |> f # stage\n  # between\n  |> g\nlet c = [ # open\n  1, 2 ]\nlet d = # why\n  2\nlet e = 1 + # plus\n  2\n";
    comments_in_signature: "fn f[n: int, # count\n  m: int](x: f32[n, # rows\n  m]) -> # result\n  f32 {\n  return x\n}\n";
    comments_in_empty: "fn f(x: f32) -> f32 {\n  # nothing\n}\nfn g() { }\nlet a = zeros[ # none\n]\n";
    pipes: "let a = x |> f |> g\nlet b = x\n|> f\n|> g |> h\nlet c = x |> f\n|> g\nlet d = (x |> f\n|> g) + 1\nlet e = f(x |> f\n|> g, y)\n";
    pipe_too_long: "let a = some_long_source[1, 2, 3] |> first_stage[kernel=3, stride=2] |> second_stage[kernel=3] |> third |> fourth\n";
    pipe_aligned: "let a = x |> C[6, 5]  |> relu |> p[2]\n  |> C[16, 5] |> relu    |> p[2]\n |> flatten |> L\nlet b = x |> f   |> g\n";
    if_statement: "fn f(x: f32) -> f32 {\n  if a { x = 1 } else if b { x = 2 } else { x = 3 }\n  if a {\n x = 1 }\n  if a { x = 1 y = 2 }\n  if a { x = 1 }\n  else { x = 2 }\n  for i in 0..n { if a { x = 1 } }\n return x\n}\n";
    if_value: "let a = if b { 1 } else if c { 2 } else { 3 }\nlet s = if stride == 1 and cin == c { x } else { x |> Conv2d[c, 1, stride=stride, bias=false] |> BatchNorm[eps=1] }\nlet t = if some_condition_of_some_length == 1 { first_value_of_some_length(x, y) |> relu } else { second_value_of_some_length }\n";
    long_call: "let a = some_function[first_static=1, second_static=2](first_argument, second_argument, third=3, fourth=4)\nlet b = f(g(some_long_argument_number_one, some_long_argument_number_two), h(some_long_argument_number_three))\n";
    long_list: "let a = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, -1]\nlet b = [(16, 1, \"some words\"), (32, 2, \"some words\"), (64, 2, \"some words\"), (64, 2, \"some words\")]\n";
    long_operators: "let a = some_long_name_number_one * some_long_name_number_two + some_long_name_number_three * some_long_name_number_four\nlet b = some_long_name_number_one == some_long_name_number_two and some_long_name_number_three or some_long_name_number_four\n";
    long_signature: "block Some[first: int = 1, second: (int, int) = (1, 2), third: [int] = [1], fourth: fn = relu](x: f32[B, n], y: f32[..] = none) -> f32[B, n], f32 { return x, y }\n";
    long_results: "fn f(x: f32) { return some_long_name_number_one(x), some_long_name_number_two(x), some_long_name_number_three(x) }\n";
    trailing_commas: "let a = [1, 2, 3,]\nlet b = (1,)\nlet c = f(x,)\nfn g(x: f32[n,],) { return x[0,] }\n";
    strings: "let a = \"a # b\\n\\\"c\\\"\"\nlet b = 1_000\nlet c = 5E-4\n";
    train: "train t[epochs=2,width: int=64] { let net=N\n step ((x,y),_) in d.train|>batch[2] { minimize l with o report a,b=c }\n eval valid x in d { report x } }\n";
}

#[test]
fn nothing_stays_nothing() {
    assert_eq!(check("empty", ""), "");
    assert_eq!(check("blanks", " \n\t\n"), "");
    assert_eq!(
        check("comment", "\n\n  # only\n\n\n# two"),
        "# only\n\n# two\n"
    );
    assert_eq!(
        check("carriage returns", "let a = 1 # c\r\n\r\nlet b = 2\r\n"),
        "let a = 1 # c\n\nlet b = 2\n"
    );
}

#[test]
fn what_does_not_parse_is_not_formatted() {
    let errors = format("let a = ").expect_err("no value");
    assert_eq!(errors[0].code.name, "unexpected-token");
}

/// A source of numbers that is the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// The tokens of a text that has no comments, and whether the line rule binds each to the one before.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.trim_start().chars().next() {
        rest = rest.trim_start();
        let word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let length = match first {
            '"' => 1 + rest[1..].find('"').expect("a closed string") + 1,
            '0'..='9' => {
                let number = |character: char| word(character) || character == '.';
                let end = rest
                    .find(|character| !number(character))
                    .unwrap_or(rest.len());
                let end = rest[..end].find("..").unwrap_or(end);
                match rest[..end].ends_with(['e', 'E']) {
                    true => {
                        end + 1
                            + rest[end + 1..]
                                .find(|c: char| !c.is_ascii_digit())
                                .unwrap_or(0)
                    }
                    false => end,
                }
            }
            _ if word(first) => rest
                .find(|character| !word(character))
                .unwrap_or(rest.len()),
            _ => match rest.get(..2) {
                Some("|>" | "->" | "<-" | ".." | "==" | "!=" | "<=" | ">=") => 2,
                _ => first.len_utf8(),
            },
        };
        tokens.push(rest[..length].to_owned());
        rest = &rest[length..];
    }
    tokens
}

/// The tokens with other blanks, line ends and comments between them.
fn scrambled(tokens: &[String], random: &mut Random, with_comments: bool) -> String {
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        let previous = index
            .checked_sub(1)
            .map(|previous| tokens[previous].as_str())
            .unwrap_or("");
        let wordy = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '"')
        };
        let applies = matches!(token.as_str(), "(" | "[")
            && (matches!(previous, ")" | "]") || (wordy(previous) && !is_keyword(previous)));
        text.push_str(match random.below(if with_comments { 9 } else { 7 }) {
            _ if applies => ["", " "][random.below(2)],
            0..=3 if wordy(previous) && wordy(token) => " ",
            0 if !previous.is_empty() && !needs_space(previous, token) => "",
            1..=4 => " ",
            5 => "\n",
            6 => "\n\n\n",
            7 => " # behind\n",
            _ => "\n\t# own line\n",
        });
        text.push_str(token);
    }
    text
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}

/// Whether two marks without a space between them would be another mark.
fn needs_space(previous: &str, token: &str) -> bool {
    let both = format!("{previous}{token}");
    previous.starts_with(|c: char| c.is_ascii_digit()) || tokens(&both).len() != 2
}

#[test]
fn scrambled_programs_keep_their_meaning_and_their_layout_is_stable() {
    let mut random = Random(7);
    let programs = all_programs();
    let mut scrambles = 0;
    // The tokens here know no escapes in strings.
    for (name, text) in programs.iter().filter(|(_, text)| !text.contains('\\')) {
        let bare: Vec<&str> = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or(""))
            .collect();
        let tokens = tokens(&bare.join("\n"));
        for with_comments in [false, true] {
            for _ in 0..if programs.len() > 50 { 4 } else { 60 } {
                let scrambled = scrambled(&tokens, &mut random, with_comments);
                if parse(&scrambled, FileId(0)).is_err() {
                    panic!(
                        "{name}: the scrambled program does not parse:\n{}",
                        common::messages(&scrambled)
                    );
                }
                check(name, &scrambled);
                scrambles += 1;
            }
        }
    }
    assert!(scrambles >= 500, "only {scrambles}");
}

/// The places between the tokens of a text without comments where one may be put without another meaning: not before a
/// bracket that must stand on its line.
fn gaps(text: &str) -> Vec<usize> {
    let mut gaps = vec![0];
    let mut end = 0;
    for token in tokens(text) {
        let start = end + text[end..].find(&token).expect("it is of this text");
        if !matches!(token.as_str(), "(" | "[") {
            gaps.push(end);
        }
        end = start + token.len();
    }
    gaps.push(end);
    gaps
}

/// The programs of the library and the models, without their comments. The tokens here know no escapes in strings.
fn library_and_models() -> Vec<(String, String)> {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let folders = [root.join("compiler/core/std"), root.join("models")];
    let files = folders.iter().flat_map(|folder| common::dlm_files(folder));
    let bare = |file: std::path::PathBuf| {
        let text = std::fs::read_to_string(&file).expect("a readable program");
        let lines: Vec<&str> = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or(""))
            .collect();
        (file.display().to_string(), lines.join("\n"))
    };
    files
        .map(bare)
        .filter(|(_, text)| !text.contains('\\'))
        .collect()
}

#[test]
fn a_comment_between_any_two_words_settles_at_once() {
    let mut random = Random(11);
    let mut tried = 0;
    for (name, text) in library_and_models() {
        let gaps = gaps(&text);
        for round in 0..20 {
            let mut commented = text.clone();
            let mut places: Vec<usize> = (0..1 + round % 3)
                .map(|_| gaps[random.below(gaps.len())])
                .collect();
            places.sort_unstable();
            places.dedup();
            for place in places.into_iter().rev() {
                let comment = [" # behind\n", "\n# own line\n", " # one\n  # two\n"];
                commented.insert_str(place, comment[random.below(comment.len())]);
            }
            check(&name, &commented);
            tried += 1;
        }
    }
    assert!(tried >= 500, "only {tried}");
}
