//! Hostile text: a reader may refuse it, but not fall over.

use super::parse;
use proptest::prelude::*;

const GOOD: &str = r#"graph step {
  %0 = input : f32[B, 1, 28, 28] {kind=data, name="x"}
  %1 = input : f32[6, 1, 5, 5] {kind=parameter, name="w"}
  %2 = contract %0, %1 : f32[B, 6, 24, 24] {index=["v0, v4, v2+v5, v3+v6", "v1, v4, v5, v6"], reduced=[1, 5, 5]}
  %3 = view %2 : f32[B, 6, 12, 2] {fill=-inf, index="v0, v1, 2*v2+v3, (v3-1)/2"}
  %4 = argmax %3 : i32[B, 6] {axes=[2, 3]}
  output result "place" = %4
}
"#;

/// Values that parsers trip over.
const PIECES: [&str; 12] = [
    "-",
    "9223372036854775807",
    "-9223372036854775808",
    "B",
    "*",
    "{",
    "\"",
    "[",
    "v99",
    "/0",
    "",
    "%3",
];

proptest! {
    #[test]
    fn damaged_text_is_refused_or_read(at in 0..GOOD.len(), drop in 0usize..6, piece in 0..PIECES.len()) {
        let end = (at + drop).min(GOOD.len());
        let text = format!("{}{}{}", &GOOD[..at], PIECES[piece], &GOOD[end..]);
        if let Ok(graph) = parse(&text) {
            let printed = graph.to_string();
            prop_assert_eq!(parse(&printed).unwrap().to_string(), printed);
        }
    }
}
