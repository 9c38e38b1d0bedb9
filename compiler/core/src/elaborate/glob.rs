//! Patterns on paths: `*` stands for any text, dots included, `?` for any one character.

use dlm_grammar::suggest;
use std::collections::BTreeSet;

/// Whether any of the patterns matches the whole path.
pub fn matches_any(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, path))
}

/// Whether a pattern matches a whole path.
pub fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), path.chars().collect());
    let (mut at, mut from) = (0, 0);
    // The last `*` and how much of the path it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while from < path.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&own) if own == '?' || own == path[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((position, taken)) => {
                    star = Some((position, taken + 1));
                    at = position + 1;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&own| own == '*')
}

/// A pattern that fits some of the paths, and is near one that fits none.
pub fn near_pattern(pattern: &str, paths: &[String]) -> Option<String> {
    let fits = |near: &String| paths.iter().any(|path| matches(near, path));
    let wider = [
        format!("{pattern}.*"),
        format!("*.{pattern}"),
        format!("*.{pattern}.*"),
        format!("*{pattern}*"),
    ];
    wider
        .into_iter()
        .find(fits)
        .or_else(|| respelt(pattern, paths).filter(fits))
}

/// The pattern with each of its words that no path has spelt as the nearest word of a path.
fn respelt(pattern: &str, paths: &[String]) -> Option<String> {
    let known: BTreeSet<&str> = paths.iter().flat_map(|path| path.split('.')).collect();
    let mut changed = false;
    let words = pattern.split('.').map(|word| {
        let plain = word.trim_matches('*');
        if plain.is_empty() || known.iter().any(|own| own.contains(plain)) {
            return word.to_owned();
        }
        match suggest(plain, known.iter().copied()) {
            Some(near) => {
                changed = true;
                word.replace(plain, near)
            }
            None => word.to_owned(),
        }
    });
    let words: Vec<String> = words.collect();
    changed.then(|| words.join("."))
}

#[cfg(test)]
mod tests {
    use super::{matches, near_pattern};

    #[test]
    fn patterns_that_fit_nothing_have_near_ones() {
        let paths = ["net.conv2d_1.weight", "net.conv2d_1.bias"].map(str::to_owned);
        let near = |pattern| near_pattern(pattern, &paths);
        assert_eq!(near("*.bais").as_deref(), Some("*.bias"));
        assert_eq!(near("conv2d_1.*").as_deref(), Some("*.conv2d_1.*"));
        assert_eq!(near("net.conv2d_1").as_deref(), Some("net.conv2d_1.*"));
        assert_eq!(near("bias").as_deref(), Some("*.bias"));
        assert_eq!(near("net.conv1d_1.*").as_deref(), Some("net.conv2d_1.*"));
        assert_eq!(near("*norm*"), None);
    }

    #[test]
    fn stars_cross_dots() {
        assert!(matches("*.bias", "net.conv2d_1.bias"));
        assert!(matches("net.*", "net.a.b"));
        assert!(matches("*norm*", "net.batch_norm_1.weight"));
        assert!(matches("net.linear_?.weight", "net.linear_3.weight"));
        assert!(!matches("*.bias", "net.bias_like.weight"));
        assert!(!matches("net", "net.weight"));
        assert!(matches("*", ""));
    }
}
