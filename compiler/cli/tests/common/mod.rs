//! Running the binary as a user does.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use tempfile::TempDir;

/// What a call of the binary came to.
pub struct Outcome {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A folder of its own to run the binary in.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// An empty folder.
    pub fn new() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Place { folder }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and gives the folder back.
    pub fn with(self, name: &str, contents: impl AsRef<[u8]>) -> Place {
        let path = self.path(name);
        let parent = path.parent().expect("a file in the folder");
        std::fs::create_dir_all(parent).expect("folders can be made");
        std::fs::write(path, contents).expect("files can be written");
        self
    }

    /// Runs `dlmc` in the folder.
    pub fn dlmc(&self, arguments: &[&str]) -> Outcome {
        outcome(
            Command::new(env!("CARGO_BIN_EXE_dlmc"))
                .args(arguments)
                .current_dir(self.folder.path())
                .env_remove("NO_COLOR")
                .output(),
        )
    }

    /// Runs `dlmc` in a folder of the folder.
    pub fn dlmc_in(&self, folder: &str, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dlmc"));
        outcome(
            command
                .args(arguments)
                .current_dir(self.path(folder))
                .output(),
        )
    }

    /// Runs `dlmc` in the folder for a reader who has gone before the first line.
    pub fn dlmc_unheard(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dlmc"));
        command.args(arguments).current_dir(self.folder.path());
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the binary can be started");
        drop(child.stdout.take());
        outcome(child.wait_with_output())
    }

    /// The names of all files in the folder and below, sorted.
    pub fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(self.folder.path(), self.folder.path(), &mut names);
        names.sort();
        names
    }
}

fn collect(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(root, &path, names);
        } else {
            let name = path.strip_prefix(root).expect("below the root");
            names.push(name.display().to_string());
        }
    }
}

fn outcome(output: std::io::Result<Output>) -> Outcome {
    let output = output.expect("the binary can be started");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Outcome {
    /// The outcome, which must be success.
    pub fn good(self) -> Outcome {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The outcome, which must be a failure with this exit code and a message for people.
    pub fn bad(self, code: i32) -> Outcome {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        for word in ["panicked", "RUST_BACKTRACE", "internal error", "unwrap"] {
            assert!(!self.stderr.contains(word), "{}", self.stderr);
        }
        assert!(self.stderr.contains("error"), "{}", self.stderr);
        self
    }
}

/// Data that is shared between projects and may be absent: its folder, or none with a message.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = workspace().join("../shared").join(name);
    if !path.exists() {
        println!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

/// The workspace's root.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A small run on synthetic data: a file's text.
pub const SMALL: &str = "\
data points = synthetic[64, \"f32[8]\", \"i32 0..3\"]

block Net(x: f32[B, 8]) -> f32[B, 3] {
  return x |> Linear[16] |> relu |> Linear[3]
}

train small[epochs=1, seed=3] {
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in points.train |> shuffle |> batch[16] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
";

/// A file of tensors of f32.
pub fn tensors(given: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let bytes = |data: &[f32]| -> Vec<u8> { data.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let stored: Vec<_> = given
        .iter()
        .map(|(key, shape, data)| (*key, shape.to_vec(), bytes(data)))
        .collect();
    let views = stored.iter().map(|(key, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("bytes of that shape");
        (*key, view)
    });
    serialize(views, None).expect("tensors can be written")
}

/// The elements of a tensor in a file.
pub fn floats(file: &[u8], key: &str) -> Vec<f32> {
    let file = SafeTensors::deserialize(file).expect("a safetensors file");
    let tensor = file.tensor(key).unwrap_or_else(|_| panic!("no `{key}`"));
    let words = tensor.data().as_chunks::<4>().0.iter();
    words.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
