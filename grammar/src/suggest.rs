//! Near names for names that nothing has.

/// The candidate that `name` most likely meant, if one is near: equal but for case, or at a distance of
/// at most a third of the length in edits (insert, remove, replace, swap neighbours).
/// Among equally near ones the first wins.
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Far longer than any name one would mistype, and the distance takes quadratic time.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let allowed = name.chars().count().div_ceil(3);
    let lower = name.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate == name || candidate.len() > LONGEST {
            continue;
        }
        let distance = match candidate.to_lowercase() == lower {
            true => 0,
            false => strsim::damerau_levenshtein(name, candidate),
        };
        // A one-letter name is one edit from every other: only its other case is near.
        let near = distance == 0 || (distance <= allowed && distance < name.chars().count());
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        let known = ["relu", "gelu", "Linear", "Conv2d", "max_pool2d", "x", "B"];
        assert_eq!(suggest(name, known), expected, "for {name:?}");
    }

    #[test]
    fn near_names_are_found() {
        check("rleu", Some("relu"));
        check("linear", Some("Linear"));
        check("Conv2D", Some("Conv2d"));
        check("maxpool2d", Some("max_pool2d"));
        check("geluu", Some("gelu"));
        check("X", Some("x"));
    }

    #[test]
    fn far_names_and_the_name_itself_are_not() {
        check("softmax", None);
        check("y", None);
        check("relu", Some("gelu"));
        check(&"relu".repeat(100_000), None);
        check("", None);
    }
}
