//! The book and the README: every example compiles, every name of the library has an entry with an example.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use dlm_core::elaborate::program::SourceSpec;
use dlm_core::elaborate::world::{PartDescription, SourceDescription, SplitDescription};
use dlm_core::elaborate::{
    self, CallRequest, DataCatalog, NoWorld, Settings, Source, World, library_names,
};
use dlm_core::graph::{DType, Dim, Graph, TensorType};
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use dlm_grammar::SourceMap;

/// An example of the book.
struct Example {
    /// `docs/tutorial.md:12`
    place: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page: the README and all of `docs/`, by path from the project's folder, in the order of their names.
fn pages() -> BTreeMap<String, String> {
    let mut folders = vec!["docs".to_owned()];
    let mut pages = BTreeMap::new();
    let mut add = |path: &str| {
        let text = std::fs::read_to_string(root().join(path)).expect("a page is readable");
        pages.insert(path.to_owned(), text);
    };
    add("README.md");
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).expect("a folder is readable") {
            let entry = entry.expect("an entry is readable");
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            match entry.path() {
                inner if inner.is_dir() => folders.push(path),
                inner if inner.extension().is_some_and(|extension| extension == "md") => add(&path),
                _ => {}
            }
        }
    }
    pages
}

/// What stands between ```` ```dlm ```` and ```` ``` ````.
fn examples() -> Vec<Example> {
    let mut found = Vec::new();
    for (path, text) in pages() {
        let mut open: Option<Example> = None;
        for (number, line) in text.lines().enumerate() {
            match (&mut open, line) {
                (None, "```dlm") => {
                    let place = format!("{path}:{}", number + 2);
                    let text = String::new();
                    open = Some(Example { place, text });
                }
                (Some(_), "```") => found.extend(open.take()),
                (Some(example), line) => {
                    example.text.push_str(line);
                    example.text.push('\n');
                }
                _ => {}
            }
        }
        assert!(open.is_none(), "{path}: an example has no end");
    }
    found
}

/// The sources that examples use.
struct Catalog;

impl DataCatalog for Catalog {
    fn describe(&self, source: &SourceSpec) -> Result<SourceDescription, String> {
        let part = |dtype, shape: &[i64], classes| PartDescription {
            dtype,
            shape: shape.to_vec(),
            classes,
        };
        let image = |shape: &[i64]| {
            vec![
                part(DType::F32, shape, None),
                part(DType::I32, &[], Some(10)),
            ]
        };
        let (parts, splits, vocab) = match source.name.as_str() {
            "digits" => (image(&[1, 8, 8]), &["train", "test"][..], None),
            "mnist" => (image(&[1, 28, 28]), &["train", "test"][..], None),
            "cifar10" => (image(&[3, 32, 32]), &["train", "test"][..], None),
            "csv" => {
                let label = part(DType::I32, &[], Some(3));
                (
                    vec![part(DType::F32, &[4], None), label],
                    &["train"][..],
                    None,
                )
            }
            "text" => (vec![part(DType::I32, &[], None)], &["train"][..], Some(40)),
            other => return Err(format!("no example uses `{other}`")),
        };
        let split = |name: &&str| SplitDescription {
            name: (*name).to_owned(),
            count: 1000,
            class_counts: vec![100; 10],
            vocab,
        };
        let splits = splits.iter().map(split).collect();
        Ok(SourceDescription { parts, splits })
    }
}

fn world(settings: &Settings) -> World<'_> {
    World {
        loader: &NoWorld,
        catalog: &Catalog,
        settings,
    }
}

/// Compiles an example as far as a plan; the reason why it cannot be.
fn compile(example: &Example) -> Result<(), String> {
    let main = Source {
        name: &example.place,
        text: &example.text,
    };
    let settings = Settings::default();
    let mut sources = SourceMap::new();
    let checked = elaborate::check(&mut sources, main, world(&settings));
    if checked.value.is_none() || !checked.diagnostics.is_empty() {
        return Err(sources.render_all(&checked.diagnostics));
    }
    if has_item(&example.text, "train ") {
        compile_run(main, &settings)?;
    }
    for entry in ["fn example(", "block Example("] {
        if let Some(at) = example.text.find(entry) {
            compile_callable(main, entry, &example.text[at + entry.len()..], &settings)?;
        }
    }
    Ok(())
}

fn has_item(text: &str, keyword: &str) -> bool {
    text.lines().any(|line| line.starts_with(keyword))
}

fn compile_run(main: Source<'_>, settings: &Settings) -> Result<(), String> {
    let mut sources = SourceMap::new();
    let elaborated = elaborate::train(&mut sources, main, world(settings), None);
    let Some(train) = elaborated.value else {
        return Err(sources.render_all(&elaborated.diagnostics));
    };
    let parameters = train
        .parameters
        .iter()
        .map(|each| (each.path.as_str(), &each.ty));
    let states = train
        .states
        .iter()
        .map(|each| (each.path.as_str(), &each.ty));
    let layout = PersistentLayout::new(parameters.chain(states));
    let evals = train.evals.iter().map(|eval| &eval.graph);
    for graph in [&train.init, &train.step].into_iter().chain(evals) {
        plan(graph, &layout)?;
    }
    Ok(())
}

fn compile_callable(
    main: Source<'_>,
    entry: &str,
    signature: &str,
    settings: &Settings,
) -> Result<(), String> {
    let request = CallRequest {
        arguments: arguments(signature),
        training: true,
        gradients: false,
    };
    let name = entry
        .trim_end_matches('(')
        .rsplit(' ')
        .next()
        .unwrap_or_default();
    let mut sources = SourceMap::new();
    let elaborated = elaborate::callable(&mut sources, main, world(settings), name, &request);
    let Some(callable) = elaborated.value else {
        return Err(sources.render_all(&elaborated.diagnostics));
    };
    plan(&callable.graph, &PersistentLayout::of(&callable.graph))
}

/// The arguments of a signature whose sizes are numbers or `B`, `x: f32[B, 4], y: i32[2]) …`.
fn arguments(signature: &str) -> BTreeMap<String, TensorType> {
    let inner = signature.split(')').next().unwrap_or_default();
    let mut types = BTreeMap::new();
    for argument in inner.split("],") {
        let (name, ty) = argument.split_once(':').expect("an argument has a type");
        let (word, sizes) = ty.trim().split_once('[').expect("a type has a shape");
        let sizes = sizes.trim_end_matches(']').split(',');
        let sizes = sizes.map(|size| match size.trim() {
            "B" => Dim::BATCH,
            number => Dim::fixed(number.parse().expect("a size is a number")),
        });
        let dtype = DType::from_name(word).expect("an element type");
        let ty = TensorType::new(dtype, sizes.collect::<Vec<_>>());
        types.insert(name.trim().to_owned(), ty);
    }
    types
}

fn plan(graph: &Graph, layout: &PersistentLayout) -> Result<(), String> {
    let graph = run_passes(graph, PASSES, |_, _| {}).map_err(|error| error.to_string())?;
    schedule(&graph, &Target::avx2(), 32, layout)
        .map(drop)
        .map_err(|error| error.to_string())
}

#[test]
fn every_example_compiles() {
    let examples = examples();
    assert!(examples.len() > 150, "{} examples", examples.len());
    let mut failures = String::new();
    for example in &examples {
        if let Err(reason) = compile(example) {
            let Example { place, text } = example;
            let _ = writeln!(failures, "{place}\n{text}\n{reason}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn an_example_that_does_not_compile_is_found() {
    let wrong = |text: &str| {
        let place = "here.md:1".to_owned();
        let text = text.to_owned();
        compile(&Example { place, text }).expect_err("it is wrong")
    };
    assert!(wrong("fn example(x: f32[2, 4]) { return relux(x) }").contains("relux"));
    assert!(wrong("fn example(x: f32[2, 4]) -> f32[2, 5] { return x }").contains("here.md:1"));
}

#[test]
fn every_name_of_the_library_is_documented_with_an_example() {
    let headings: BTreeSet<String> = pages()
        .iter()
        .filter(|(path, _)| path.starts_with("docs/reference/"))
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| Some(line.strip_prefix("### `")?.strip_suffix('`')?.to_owned()))
        .collect();
    let words: BTreeSet<String> = examples()
        .iter()
        .flat_map(|example| {
            example
                .text
                .split(|c: char| !c.is_alphanumeric() && c != '_')
        })
        .map(str::to_owned)
        .collect();
    let names = library_names();
    assert!(names.len() > 150, "the library has {} names", names.len());
    let lacking = |known: &BTreeSet<String>| -> Vec<&str> {
        let absent = names.iter().filter(|name| !known.contains(**name));
        absent.copied().collect()
    };
    assert_eq!(lacking(&headings), Vec::<&str>::new(), "have no entry");
    assert_eq!(lacking(&words), Vec::<&str>::new(), "have no example");
}

#[test]
fn every_source_and_stage_is_documented() {
    let page = &pages()["docs/reference/data.md"];
    let names = dlm_runtime::data::source_names().chain(dlm_runtime::data::stage_names());
    for name in names {
        let said = page.contains(&format!("`{name}`")) || page.contains(&format!("`{name}["));
        assert!(said, "`{name}` is not on the page of data");
    }
}

#[test]
fn the_table_of_contents_has_every_page() {
    let pages = pages();
    let summary = &pages["docs/SUMMARY.md"];
    for path in pages.keys().filter_map(|path| path.strip_prefix("docs/")) {
        let listed = path == "SUMMARY.md" || summary.contains(&format!("({path})"));
        assert!(listed, "{path} is not in docs/SUMMARY.md");
    }
    let linked = summary
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    for path in linked {
        assert!(
            pages.contains_key(&format!("docs/{path}")),
            "there is no docs/{path}"
        );
    }
}
