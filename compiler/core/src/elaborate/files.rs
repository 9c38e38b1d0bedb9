//! The files of a program and what they define.

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, error};
use dlm_grammar::ast::{
    Definition, DefinitionKind, Expr, File, Ident, ItemKind, StringLiteral, Train,
};
use dlm_grammar::{Broken, FileId, Span};
use indexmap::IndexMap;
use std::rc::Rc;

/// One file.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// What it says.
    pub tree: Rc<File>,
    /// Its folder, relative to the main file's, with `/` at its end unless empty.
    pub folder: String,
    /// Its items by name, as indices into the tree; `train`s are not among them.
    pub items: IndexMap<String, usize>,
    /// Imported files by name, as indices into the program's files.
    pub modules: IndexMap<String, Checked<usize>>,
    /// Whether it is of the standard library.
    pub library: bool,
    /// The items that could not be read, which has been reported.
    pub broken: Broken,
}

/// A definition: a place in a file's tree.
#[derive(Clone, Debug)]
pub(super) struct DefinitionHandle {
    tree: Rc<File>,
    item: usize,
    /// The file, as an index into the program's files.
    pub file: usize,
}

impl DefinitionHandle {
    /// The definition.
    pub fn get(&self) -> &Definition {
        match &self.tree.items[self.item].kind {
            ItemKind::Definition(definition) => definition,
            // Handles are made of definitions only, see `Elaborator::definition`.
            _ => unreachable!("a handle of something that is no definition"),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.get().name.name
    }

    /// Whether it is a function, a block or an optimizer.
    pub fn kind(&self) -> DefinitionKind {
        self.get().kind
    }
}

/// What a name means in a file.
#[derive(Clone, Debug)]
pub(super) enum ItemRef {
    /// A constant: its expression.
    Let(Rc<File>, usize),
    /// A function, block or optimizer.
    Definition(DefinitionHandle),
    /// A data set.
    Data(Rc<File>, usize),
    /// An imported file.
    Module(Checked<usize>),
    /// What could not be read.
    Broken,
}

/// The expression of a `let` or `data` item.
pub(super) fn item_value(tree: &File, item: usize) -> Option<(&Ident, &Expr)> {
    match &tree.items[item].kind {
        ItemKind::Let { name, value } | ItemKind::Data { name, value } => Some((name, value)),
        _ => None,
    }
}

fn item_name(kind: &ItemKind) -> Option<&Ident> {
    match kind {
        ItemKind::Let { name, .. }
        | ItemKind::Data { name, .. }
        | ItemKind::Import { name, .. } => Some(name),
        ItemKind::Definition(definition) => Some(&definition.name),
        ItemKind::Train(_) => None,
    }
}

impl Elaborator<'_> {
    /// Parses a text and notes what it defines. The index is into the program's files.
    pub fn add_file(&mut self, name: &str, folder: String, text: &str, library: bool) -> usize {
        let id = self.sources.add(name, text);
        if library {
            self.reporter.add_library_file(id);
        }
        let (tree, broken) = self.parsed(text, id);
        self.add_tree(tree, broken, folder, library)
    }

    /// What can be read of a text, and what cannot, which is reported.
    fn parsed(&mut self, text: &str, id: FileId) -> (Rc<File>, Broken) {
        match dlm_grammar::parse_readable(text, id) {
            Ok(readable) => {
                let before = self.reporter.errors();
                for diagnostic in readable.diagnostics {
                    self.reporter.report(diagnostic, &[]);
                }
                self.unreadable += self.reporter.errors() - before;
                (Rc::new(readable.file), readable.broken)
            }
            Err(diagnostics) => {
                for diagnostic in diagnostics {
                    self.reporter.report(diagnostic, &[]);
                }
                let nothing = File {
                    items: Vec::new(),
                    span: Span::new(id, 0, 0),
                };
                (Rc::new(nothing), Broken::default())
            }
        }
    }

    /// Notes what a parsed file defines and loads what it imports.
    fn add_tree(&mut self, tree: Rc<File>, broken: Broken, folder: String, library: bool) -> usize {
        let items = self.item_table(&tree);
        self.check_cases(&tree);
        let index = self.files.len();
        self.files.push(SourceFile {
            tree: tree.clone(),
            folder,
            items,
            modules: IndexMap::new(),
            library,
            broken,
        });
        for item in &tree.items {
            if let ItemKind::Import { path, name } = &item.kind {
                let module = self.import(index, path);
                self.files[index].modules.insert(name.name.clone(), module);
            }
        }
        index
    }

    fn item_table(&mut self, tree: &File) -> IndexMap<String, usize> {
        let mut items: IndexMap<String, usize> = IndexMap::new();
        for (index, item) in tree.items.iter().enumerate() {
            let Some(name) = item_name(&item.kind) else {
                continue;
            };
            if let Some(&first) = items.get(&name.name) {
                let first = item_name(&tree.items[first].kind).map_or(item.span, |name| name.span);
                let message = format!("`{}` is defined twice", name.name);
                self.report(
                    error(codes::DUPLICATE_NAME, name.span, message).label(first, "first here"),
                );
                continue;
            }
            items.insert(name.name.clone(), index);
        }
        items
    }

    fn import(&mut self, from: usize, path: &StringLiteral) -> Checked<usize> {
        let Some(resolved) = resolve_path(&self.files[from].folder, &path.value) else {
            let message = format!("`{}` is not inside the program's folder", path.value);
            return Err(self.report(
                error(codes::IMPORT, path.span, message)
                    .help("imports are relative to this file and stay inside its folder tree"),
            ));
        };
        if self.loading.contains(&resolved) {
            let circle: Vec<&str> = self.loading.iter().map(String::as_str).collect();
            let message = format!("`{}` is imported in a circle", path.value);
            let note = format!("{} imports {resolved}", circle.join(" imports "));
            let help = "what both files use can stand in a third";
            let diagnostic = error(codes::IMPORT, path.span, message);
            return Err(self.report(diagnostic.note(note).help(help)));
        }
        if let Some(&known) = self.imported.get(&resolved) {
            return Ok(known);
        }
        let text = match self.loader.load(&resolved) {
            Ok(text) => text,
            Err(reason) => return Err(self.report(error(codes::IMPORT, path.span, reason))),
        };
        let folder = folder_of(&resolved);
        let shown = format!("{}{resolved}", self.shown_folder);
        let id = self.sources.add(shown, text.as_str());
        let (tree, broken) = self.parsed(&text, id);
        self.loading.push(resolved.clone());
        let index = self.add_tree(tree, broken, folder, false);
        self.loading.pop();
        self.imported.insert(resolved, index);
        Ok(index)
    }

    /// The item of that name in a file.
    pub fn item(&self, file: usize, name: &str) -> Option<ItemRef> {
        let source = &self.files[file];
        let Some(&index) = source.items.get(name) else {
            let is_broken = source.broken.names.iter().any(|own| own == name);
            return is_broken.then_some(ItemRef::Broken);
        };
        Some(match &source.tree.items[index].kind {
            ItemKind::Let { .. } => ItemRef::Let(source.tree.clone(), index),
            ItemKind::Data { .. } => ItemRef::Data(source.tree.clone(), index),
            ItemKind::Definition(_) => ItemRef::Definition(DefinitionHandle {
                tree: source.tree.clone(),
                item: index,
                file,
            }),
            ItemKind::Import { .. } => ItemRef::Module(*source.modules.get(name)?),
            ItemKind::Train(_) => return None,
        })
    }

    /// The library's definition of a name, parsed where it was not.
    pub fn library_item(&mut self, name: &str) -> Option<ItemRef> {
        let loaded = match self.library.loaded.get(name) {
            Some(&loaded) => loaded,
            None => {
                let (name, file, text) = self.library.text_of(name)?;
                let shown = format!("<library>/{file}");
                let loaded = self.add_file(&shown, String::new(), &text, true);
                self.library.loaded.insert(name, loaded);
                loaded
            }
        };
        self.item(loaded, name)
    }

    /// The runs of the main file.
    pub fn trains(&self) -> Vec<(Rc<File>, usize)> {
        let tree = &self.files[0].tree;
        let is_train = |index: &usize| matches!(tree.items[*index].kind, ItemKind::Train(_));
        (0..tree.items.len())
            .filter(is_train)
            .map(|index| (tree.clone(), index))
            .collect()
    }

    /// The main file's id, for messages that concern all of it.
    pub fn main_span(&self) -> Span {
        let span = self.files[0].tree.span;
        Span::new(
            FileId(span.file.0),
            span.start as usize,
            span.start as usize,
        )
    }
}

/// What stands before a path's last part.
pub(super) fn folder_of(path: &str) -> String {
    let separators: &[char] = if cfg!(windows) { &['/', '\\'] } else { &['/'] };
    let slash = path.rfind(separators);
    slash.map_or("", |slash| &path[..=slash]).to_owned()
}

/// The run at an index of a tree.
pub(super) fn train_at(tree: &File, item: usize) -> Option<&Train> {
    match &tree.items[item].kind {
        ItemKind::Train(train) => Some(train),
        _ => None,
    }
}

/// `path` seen from `folder`, without `.` and `..`; none where it leaves the main file's folder or is absolute.
fn resolve_path(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains('\\') || path.contains(':') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let floor = parts.len();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.len() > floor => {
                parts.pop();
            }
            ".." => return None,
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
