//! What several test files need: programs, and messages as text.
#![allow(dead_code, reason = "each test file uses a part")]

use dlm_grammar::{FileId, SourceMap, ast, parse};
use std::path::{Path, PathBuf};

/// The programs of the language's page, kept with the tests.
pub const PAGE_PROGRAMS: &[(&str, &str)] = &[
    ("lenet", include_str!("../programs/lenet.dlm")),
    ("resnet", include_str!("../programs/resnet.dlm")),
    ("attention", include_str!("../programs/attention.dlm")),
    ("gan", include_str!("../programs/gan.dlm")),
    ("library", include_str!("../programs/library.dlm")),
    ("everything", include_str!("../programs/everything.dlm")),
];

/// A file or folder beside the workspace; none where it is absent, which is printed.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let path = root.join(path);
    if !path.exists() {
        println!("skipped: ../shared is absent");
        return None;
    }
    Some(path)
}

/// The programs among the page's code blocks: those that begin with an item or a comment.
pub fn programs_of_page(page: &str) -> Vec<String> {
    let blocks = page.split("```").skip(1).step_by(2);
    blocks
        .map(|block| block.trim_start_matches('\n').to_owned())
        .collect()
}

/// Every `.dlm` file below a folder, in the order of paths.
pub fn dlm_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "dlm") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Every program there is: the page's, and those of `../shared` where it is present.
pub fn all_programs() -> Vec<(String, String)> {
    let mut programs: Vec<(String, String)> = PAGE_PROGRAMS
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    if let Some(page) = shared("LANGUAGE.md") {
        let page = std::fs::read_to_string(page).expect("a readable page");
        let found = programs_of_page(&page);
        assert!(
            found.len() >= 5,
            "the page has five programs, found {}",
            found.len()
        );
        programs.extend(
            found
                .into_iter()
                .enumerate()
                .map(|(index, text)| (format!("page {index}"), text)),
        );
    }
    if let Some(folder) = shared("reference") {
        let files = dlm_files(&folder);
        assert!(files.len() > 100, "found only {} programs", files.len());
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a readable program");
            programs.push((file.display().to_string(), text));
        }
    }
    programs
}

/// The tree of a program that is right.
#[track_caller]
pub fn parse_ok(name: &str, text: &str) -> ast::File {
    match parse(text, FileId(0)) {
        Ok(file) => file,
        Err(diagnostics) => {
            let mut map = SourceMap::new();
            map.add(name, text);
            panic!("{name} does not parse:\n{}", map.render_all(&diagnostics));
        }
    }
}

/// Every message about a program that is wrong, as a person sees it.
pub fn messages(text: &str) -> String {
    let mut map = SourceMap::new();
    let file = map.add("a.dlm", text);
    match parse(text, file) {
        Ok(_) => "no error\n".to_owned(),
        Err(diagnostics) => map.render_all(&diagnostics),
    }
}
