//! The standard library's files, which are parsed when a program first uses one of their names.

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

/// Which file of the library defines which name.
#[derive(Debug)]
pub(super) struct Library {
    names: IndexMap<&'static str, usize>,
    /// For each file, its index among the loaded files.
    pub loaded: Vec<Option<usize>>,
}

impl Library {
    /// Finds the names without parsing: an item begins at the start of a line with its keyword.
    pub fn new() -> Library {
        let mut names = IndexMap::new();
        for (file, (_, text)) in FILES.iter().enumerate() {
            for name in text.lines().filter_map(defined_name) {
                names.insert(name, file);
            }
        }
        Library {
            names,
            loaded: vec![None; FILES.len()],
        }
    }

    /// The file that defines a name.
    pub fn file_of(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Every name of the library.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.keys().copied()
    }
}

fn defined_name(line: &'static str) -> Option<&'static str> {
    let (keyword, rest) = line.split_once(' ')?;
    if !matches!(keyword, "fn" | "block" | "optimizer" | "let") {
        return None;
    }
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}
