//! What `docs/architecture.md` says is absent, is.

use std::path::{Path, PathBuf};

/// A crate of the workspace, the crates of the workspace that it may use, and words that its sources never hold.
struct Rule {
    folder: &'static str,
    uses: &'static [&'static str],
    absent: &'static [&'static str],
}

/// The outer world: what a pure function has no business with.
const WORLD: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::time",
    "println!",
];

const RULES: &[Rule] = &[
    Rule {
        folder: "grammar",
        uses: &[],
        absent: WORLD,
    },
    Rule {
        folder: "compiler/core",
        uses: &["dlm-grammar"],
        absent: WORLD,
    },
    Rule {
        folder: "runtime",
        uses: &[],
        absent: &["cranelift", "loop IR", "graph IR"],
    },
    Rule {
        folder: "compiler/jit",
        uses: &["dlm-core", "dlm-runtime"],
        absent: &["dlm_grammar", "elaborate"],
    },
    Rule {
        folder: "compiler/cli",
        uses: &["dlm-core", "dlm-grammar", "dlm-jit", "dlm-runtime"],
        absent: &["cranelift"],
    },
];

/// The crates that may hold `unsafe`.
const UNSAFE: &[&str] = &["compiler/jit", "runtime"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sources of a crate, test code left out.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(&root().join(folder).join("src"), &mut found);
    assert!(found.len() > 3, "{folder} has sources");
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && name != "tests" {
            collect(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("_test.rs") {
            let text = std::fs::read_to_string(&path).expect("the file can be read");
            let code = text
                .split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .to_owned();
            found.push((path, code));
        }
    }
}

/// Lines of code that hold a word, comments left out.
fn lines_with(code: &str, word: &str) -> Vec<String> {
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines
        .filter(|line| line.contains(word))
        .map(str::to_owned)
        .collect()
}

#[test]
fn layers_know_nothing_of_what_stands_above_them() {
    for rule in RULES {
        let manifest = std::fs::read_to_string(root().join(rule.folder).join("Cargo.toml"))
            .expect("a manifest");
        let own = manifest
            .split("[dev-dependencies]")
            .next()
            .unwrap_or_default();
        let dependencies = own.split("[dependencies]").nth(1).unwrap_or_default();
        let used: Vec<&str> = dependencies
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|name| name.starts_with("dlm"))
            .collect();
        let beyond: Vec<&&str> = used
            .iter()
            .filter(|name| !rule.uses.contains(name))
            .collect();
        assert!(beyond.is_empty(), "{} uses {beyond:?}", rule.folder);
    }
}

#[test]
fn what_is_absent_from_a_crate_is_absent() {
    for rule in RULES {
        for (path, code) in sources(rule.folder) {
            for word in rule.absent {
                let lines = lines_with(&code, word);
                assert!(
                    lines.is_empty(),
                    "{} holds `{word}`: {lines:?}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn unsafe_code_stands_in_two_crates_each_block_with_its_argument() {
    for rule in RULES {
        for (path, code) in sources(rule.folder) {
            let blocks = code.matches("unsafe {").count();
            if UNSAFE.contains(&rule.folder) {
                let arguments = code.matches("SAFETY:").count();
                assert!(
                    arguments >= blocks,
                    "{}: {blocks} blocks, {arguments} arguments",
                    path.display()
                );
            } else {
                assert_eq!(blocks, 0, "{}", path.display());
            }
        }
    }
}
