//! Patterns on paths: `*` stands for any text, dots included, `?` for any one character.

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

#[cfg(test)]
mod tests {
    use super::matches;

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
