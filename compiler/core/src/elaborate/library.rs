//! The standard library's items, each of which is parsed when a program first uses its name.

use indexmap::IndexMap;

/// Name and text of each file of the library.
pub(super) const FILES: &[(&str, &str)] = &[
    ("activations.dlm", include_str!("../../std/activations.dlm")),
    ("arithmetic.dlm", include_str!("../../std/arithmetic.dlm")),
    ("attention.dlm", include_str!("../../std/attention.dlm")),
    ("convolution.dlm", include_str!("../../std/convolution.dlm")),
    ("inits.dlm", include_str!("../../std/inits.dlm")),
    ("layers.dlm", include_str!("../../std/layers.dlm")),
    ("losses.dlm", include_str!("../../std/losses.dlm")),
    ("metrics.dlm", include_str!("../../std/metrics.dlm")),
    ("norms.dlm", include_str!("../../std/norms.dlm")),
    ("optimizers.dlm", include_str!("../../std/optimizers.dlm")),
    ("pools.dlm", include_str!("../../std/pools.dlm")),
    ("recurrent.dlm", include_str!("../../std/recurrent.dlm")),
    ("reductions.dlm", include_str!("../../std/reductions.dlm")),
    ("schedules.dlm", include_str!("../../std/schedules.dlm")),
    ("shapes.dlm", include_str!("../../std/shapes.dlm")),
];

/// Where the library defines which name.
#[derive(Debug)]
pub(super) struct Library {
    names: IndexMap<&'static str, Place>,
    /// The loaded file that holds each item that has been used.
    pub loaded: IndexMap<&'static str, usize>,
}

/// An item's place in the library.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: usize,
    /// Lines before it.
    line: usize,
    /// Bytes before it, and before the next item.
    bytes: (usize, usize),
}

impl Library {
    /// Finds the names without parsing: an item begins at the start of a line with its keyword.
    pub fn new() -> Library {
        let mut names = IndexMap::new();
        for (file, (_, text)) in FILES.iter().enumerate() {
            let mut begin = 0;
            let mut found: Vec<(&str, Place)> = Vec::new();
            for (line, words) in text.split_inclusive('\n').enumerate() {
                if let Some(name) = defined_name(words) {
                    if let Some((_, last)) = found.last_mut() {
                        last.bytes.1 = begin;
                    }
                    let bytes = (begin, text.len());
                    found.push((name, Place { file, line, bytes }));
                }
                begin += words.len();
            }
            names.extend(found);
        }
        Library {
            names,
            loaded: IndexMap::new(),
        }
    }

    /// The item of that name: its name, its file's, and a text in which it alone stands, on its own lines.
    pub fn text_of(&self, name: &str) -> Option<(&'static str, &'static str, String)> {
        let (&name, place) = self.names.get_key_value(name)?;
        let (file, text) = FILES[place.file];
        let item = &text[place.bytes.0..place.bytes.1];
        Some((name, file, "\n".repeat(place.line) + item))
    }

    /// The file of the item of that name.
    pub fn file_of(&self, name: &str) -> Option<&'static str> {
        self.names.get(name).map(|place| FILES[place.file].0)
    }

    /// Whether the library defines a name.
    pub fn defines(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Every name of the library.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.keys().copied()
    }
}

fn defined_name(line: &str) -> Option<&str> {
    let (keyword, rest) = line.split_once(' ')?;
    if !matches!(keyword, "fn" | "block" | "optimizer" | "let") {
        return None;
    }
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_stands_on_the_lines_that_it_has_in_its_file() {
        let library = Library::new();
        for name in library.names() {
            let (_, file, text) = library.text_of(name).expect("it is there");
            let whole = FILES.iter().find(|each| each.0 == file).expect("a file").1;
            let lines: Vec<(&str, &str)> = text.lines().zip(whole.lines()).collect();
            let begin = lines.iter().position(|(own, _)| !own.is_empty());
            let own = &lines[begin.expect("a line")..];
            assert_eq!(defined_name(own[0].0), Some(name));
            assert!(own.iter().all(|(own, same)| own == same), "{name}");
        }
    }
}
