//! Files that a program imports: those in the folder tree of its own file.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dlm_core::elaborate::world::SourceLoader;

/// Loads imported files from a folder tree and from nowhere else, links followed.
pub struct Folder {
    root: PathBuf,
    /// Texts by path: given beforehand, or read.
    texts: RefCell<BTreeMap<String, String>>,
}

impl Folder {
    /// The tree below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Folder {
        Folder {
            root: root.into(),
            texts: RefCell::default(),
        }
    }

    /// The tree below `root`, of which these files have been kept.
    pub fn kept(root: impl Into<PathBuf>, texts: BTreeMap<String, String>) -> Folder {
        Folder {
            root: root.into(),
            texts: RefCell::new(texts),
        }
    }

    /// The texts that have been loaded.
    pub fn texts(&self) -> BTreeMap<String, String> {
        self.texts.borrow().clone()
    }

    /// The real path, if it is in the tree.
    fn inside(&self, path: &str) -> Result<PathBuf, std::io::Error> {
        let root = self.root.canonicalize()?;
        let real = root.join(Path::new(path)).canonicalize()?;
        match real.starts_with(&root) {
            true => Ok(real),
            false => Err(std::io::Error::other(
                "it leads out of the program's folder",
            )),
        }
    }
}

impl SourceLoader for Folder {
    fn load(&self, path: &str) -> Result<String, String> {
        if let Some(text) = self.texts.borrow().get(path) {
            return Ok(text.clone());
        }
        let text = self.inside(path).and_then(std::fs::read_to_string);
        let text = text.map_err(|error| {
            let reason = crate::failure::reason(&error);
            format!("cannot read `{path}`: {reason}")
        })?;
        let mut texts = self.texts.borrow_mut();
        texts.insert(path.to_string(), text.clone());
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_tree_are_read() {
        let outer = tempfile::tempdir().expect("a directory");
        let inner = outer.path().join("program");
        std::fs::create_dir_all(inner.join("parts")).expect("a directory");
        std::fs::write(inner.join("parts/net.dlm"), "let a = 1").expect("writes");
        std::fs::write(outer.path().join("secret.dlm"), "let b = 2").expect("writes");
        let folder = Folder::new(&inner);
        assert_eq!(folder.load("parts/net.dlm"), Ok("let a = 1".into()));
        for (path, reason) in [
            ("../secret.dlm", "leads out"),
            ("parts/../../secret.dlm", "leads out"),
            ("none.dlm", "no such file"),
        ] {
            let error = folder.load(path).expect_err("is not to be read");
            assert!(error.contains(reason), "{error}");
        }
        let absolute = outer.path().join("secret.dlm");
        let error = folder.load(&absolute.display().to_string());
        assert!(error.expect_err("outside").contains("leads out"));
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_lead_out() {
        let outer = tempfile::tempdir().expect("a directory");
        let inner = outer.path().join("program");
        std::fs::create_dir_all(&inner).expect("a directory");
        std::fs::write(outer.path().join("secret.dlm"), "let b = 2").expect("writes");
        std::os::unix::fs::symlink(outer.path().join("secret.dlm"), inner.join("link.dlm"))
            .expect("links");
        let error = Folder::new(&inner).load("link.dlm").expect_err("outside");
        assert!(error.contains("leads out"), "{error}");
    }
}
