//! Each kind of diagnostic has a program that makes it, and the message that its author reads.

mod programs;

use dlm_core::elaborate::{self, CallRequest, Settings, Source, SourceLoader, World, codes};
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_grammar::{Diagnostic, SourceMap};
use std::collections::BTreeMap;

/// A type such as `f32[2, 3]`.
fn tensor_type(text: &str) -> TensorType {
    let (word, dims) = text.split_once('[').unwrap_or((text, "]"));
    let dims = dims
        .trim_end_matches(']')
        .split(',')
        .filter(|dim| !dim.trim().is_empty());
    let shape: Vec<Dim> = dims
        .map(|dim| Dim::fixed(dim.trim().parse().expect("an extent")))
        .collect();
    TensorType::new(
        DType::from_name(word.trim()).expect("an element type"),
        shape,
    )
}

/// What a program's first line says of how it is run: `# x: f32[2]; y: f32[3]`, `# --set a=1`, `# train`.
fn directives(text: &str) -> (BTreeMap<String, TensorType>, Settings) {
    let mut settings = Settings::default();
    let mut arguments = BTreeMap::new();
    let first = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# "))
        .unwrap_or("");
    if let Some((name, value)) = first
        .strip_prefix("--set ")
        .and_then(|set| set.split_once('='))
    {
        settings.values.push((name.to_owned(), value.to_owned()));
        return (arguments, settings);
    }
    for part in first.split(';') {
        if let Some((name, ty)) = part.split_once(':') {
            arguments.insert(name.trim().to_owned(), tensor_type(ty.trim()));
        }
    }
    (arguments, settings)
}

const MISTAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mistakes");

/// The folder of mistakes, from which its programs import.
struct Mistakes;

impl SourceLoader for Mistakes {
    fn load(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(format!("{MISTAKES}/{path}"))
            .map_err(|_| format!("there is no {path}"))
    }
}

/// Elaborates a program: its run, or else its `case`.
fn check(name: &str, text: &str) -> (Vec<Diagnostic>, String) {
    let (arguments, settings) = directives(text);
    let main = Source { name, text };
    let world = World {
        loader: &Mistakes,
        catalog: &programs::Catalog,
        settings: &settings,
    };
    let mut sources = SourceMap::new();
    let diagnostics = if text.contains("\ntrain ") || text.starts_with("# train") {
        elaborate::train(&mut sources, main, world, None).diagnostics
    } else {
        let request = CallRequest {
            arguments,
            training: true,
            gradients: false,
        };
        let entry = if text.contains("block Case") {
            "Case"
        } else {
            "case"
        };
        elaborate::callable(&mut sources, main, world, entry, &request).diagnostics
    };
    let rendered = sources.render_all(&diagnostics);
    (diagnostics, rendered)
}

#[test]
fn every_kind_has_a_program_that_makes_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/diagnostics");
    let mut count = 0;
    let mut missing = Vec::new();
    for code in codes::ALL {
        let file = format!("{}.dlm", code.name);
        let text = std::fs::read_to_string(format!("{folder}/{file}"))
            .unwrap_or_else(|_| panic!("`{}` has no program in tests/diagnostics", code.name));
        let (diagnostics, rendered) = check(&file, &text);
        if !diagnostics
            .iter()
            .any(|diagnostic| diagnostic.code == *code)
        {
            missing.push(format!(
                "`{}` is not made by its program:\n{text}\n{rendered}",
                code.name
            ));
        }
        insta::assert_snapshot!(code.name, format!("{text}\n{}\n{rendered}", "-".repeat(80)));
        count += 1;
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    let programs = std::fs::read_dir(folder)
        .expect("the folder is readable")
        .count();
    assert_eq!(programs, count, "each program belongs to a kind");
}

#[test]
fn codes_have_unique_names() {
    let all: Vec<&str> = codes::ALL
        .iter()
        .chain(dlm_grammar::codes::ALL)
        .map(|code| code.name)
        .collect();
    for (index, name) in all.iter().enumerate() {
        assert!(!all[..index].contains(name), "`{name}` names two kinds");
    }
}

/// What people really write: each file of `mistakes/` that has a case or a run, with all that is said of it.
#[test]
fn common_mistakes_are_explained() {
    let entries = std::fs::read_dir(MISTAKES).expect("the folder is readable");
    let mut files: Vec<String> = entries
        .map(|entry| entry.expect("an entry is readable").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(format!("{MISTAKES}/{file}")).expect("a program");
        if !text.starts_with("# ") {
            continue;
        }
        let (diagnostics, rendered) = check(&file, &text);
        assert!(!diagnostics.is_empty(), "{file} has no mistake");
        let name = format!("mistake-{}", file.trim_end_matches(".dlm"));
        insta::assert_snapshot!(name, format!("{text}\n{}\n{rendered}", "-".repeat(80)));
    }
}
