//! Sources against what their files hold, and hostile files.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::data::Value;

/// The shared data folder, if there is one.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return None;
    }
    Some(path)
}

fn text(value: &str) -> Value {
    Value::Text(value.to_string())
}

fn source(name: &str, arguments: &[&str]) -> Invocation {
    Invocation::new(name, arguments.iter().map(|argument| text(argument)))
}

/// A folder of files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).expect("writes");
    }
    directory
}

/// The errors of loading and describing, without the folder's name.
fn errors(source: &Invocation, directory: &TempDir) -> String {
    let loaded = load(source, directory.path())
        .expect_err("a bad source")
        .to_string();
    loaded.replace(&directory.path().display().to_string(), "DIR")
}

fn agree(source: &Invocation, base: &Path) -> Dataset {
    let dataset = load(source, base).expect("loads");
    let (described, mut counted) = (
        describe(source, base).expect("describes"),
        describe_loaded(&dataset),
    );
    for (split, described) in counted.splits.iter_mut().zip(&described.splits) {
        if described.class_counts.is_empty() {
            split.class_counts.clear();
        }
    }
    assert_eq!(described, counted);
    dataset
}

#[test]
fn digits() {
    let dataset = agree(&source("digits", &[]), Path::new(""));
    let description = describe(&source("digits", &[]), Path::new("")).expect("describes");
    insta::assert_snapshot!(format!(
        "{:?}\n{:?}\n{:?}",
        description.parts, description.splits[0], description.splits[1]
    ));
    let first = dataset.splits["train"].fields[0].sample(0);
    assert_eq!(
        first[..8],
        [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0].map(|value| value / 16.0)
    );
}

#[test]
fn mnist() {
    let Some(path) = shared("mnist") else { return };
    let source = source("mnist", &["mnist"]);
    let dataset = agree(&source, path.parent().expect("a parent"));
    let (train, test) = (&dataset.splits["train"], &dataset.splits["test"]);
    assert_eq!(
        (
            train.count(),
            test.count(),
            train.fields[0].shape.as_slice()
        ),
        (60_000, 10_000, &[1, 28, 28][..])
    );
    let Values::Integers(labels) = &train.fields[1].values else {
        panic!("labels are integers")
    };
    assert_eq!(labels[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    let mean: f32 = train.fields[0].sample(0).iter().sum::<f32>() / 784.0;
    assert!((0.1..0.2).contains(&mean), "{mean}");
}

#[test]
fn cifar10() {
    let Some(path) = shared("cifar10") else {
        return;
    };
    let source = source("cifar10", &["cifar10"]);
    let dataset = agree(&source, path.parent().expect("a parent"));
    assert_eq!(
        (
            dataset.splits["train"].count(),
            dataset.splits["test"].count()
        ),
        (10_000, 1_000)
    );
    let Values::Integers(labels) = &dataset.splits["train"].fields[1].values else {
        panic!("labels are integers")
    };
    assert_eq!(labels[..5], [6, 9, 9, 4, 1]);
}

#[test]
fn iris() {
    let Some(path) = shared("iris.csv") else {
        return;
    };
    let dataset = agree(
        &source("csv", &["iris.csv"]),
        path.parent().expect("a parent"),
    );
    let train = &dataset.splits["train"];
    assert_eq!((train.count(), train.fields[1].classes), (150, Some(3)));
    assert_eq!(train.fields[0].sample(149), [5.9, 3.0, 5.1, 1.8]);
}

#[test]
fn tables() {
    let directory = folder(&[
        (
            "named.csv",
            b"height, width, kind\n1.5, 2, cat\n-3e1, 4, ant\n",
        ),
        ("numbers.csv", b"1,2,0.5\n3,4,1.5\n"),
    ]);
    let named = agree(&source("csv", &["named.csv", "kind"]), directory.path());
    let [values, kinds] = &named.splits["train"].fields[..] else {
        panic!("two parts")
    };
    assert_eq!(
        (values.sample(1), kinds.sample(0), kinds.sample(1)),
        (vec![-30.0, 4.0], vec![1.0], vec![0.0])
    );
    let first = Invocation::new("csv", [text("numbers.csv"), Value::Int(0)]);
    assert_eq!(
        agree(&first, directory.path()).splits["train"].fields[1].classes,
        Some(4)
    );
    let target =
        &agree(&source("csv", &["numbers.csv"]), directory.path()).splits["train"].fields[1];
    assert_eq!(
        (target.dtype(), target.sample(1)),
        (DataType::F32, vec![1.5])
    );
    let none = source("csv", &["numbers.csv"]).with("label", Value::None);
    assert_eq!(
        agree(&none, directory.path()).splits["train"].fields.len(),
        1
    );
}

#[test]
fn bad_tables() {
    let directory = folder(&[
        ("empty.csv", b""),
        ("header.csv", b"a,b,c\n"),
        ("uneven.csv", b"1,2\n1,2,3\n"),
        ("word.csv", b"a,b\n1,0\nx,1\n"),
        ("nan.csv", b"1,0\nnan,1\n"),
        ("binary.csv", &[0xff, 0xfe, 0x00]),
    ]);
    let mut lines: Vec<String> = [
        "empty.csv",
        "header.csv",
        "uneven.csv",
        "word.csv",
        "nan.csv",
        "binary.csv",
        "none.csv",
        ".",
    ]
    .map(|file| errors(&source("csv", &[file]), &directory))
    .to_vec();
    lines.push(errors(&source("csv", &["word.csv", "c"]), &directory));
    lines.push(errors(
        &Invocation::new("csv", [text("word.csv"), Value::Int(2)]),
        &directory,
    ));
    insta::assert_snapshot!(lines.join("\n"));
}

fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let header = [0, 0, 8, sizes.len() as u8];
    let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
    header
        .into_iter()
        .chain(sizes)
        .chain(values.iter().copied())
        .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

#[test]
fn idx_files() {
    let images = gzip(&idx(&[2, 2, 3], &(0..12).collect::<Vec<_>>()));
    let directory = folder(&[("x", &images), ("y", &idx(&[2], &[0, 4]))]);
    let dataset = agree(&source("idx", &["x", "y"]), directory.path());
    let [images, labels] = &dataset.splits["train"].fields[..] else {
        panic!("two parts")
    };
    assert_eq!(
        (images.shape.as_slice(), labels.classes),
        (&[1, 2, 3][..], Some(5))
    );
    assert_eq!(
        images.sample(1),
        [6.0, 7.0, 8.0, 9.0, 10.0, 11.0].map(|value| value * (1.0 / 255.0))
    );
}

#[test]
fn bad_idx_files() {
    let good = idx(&[2, 2, 2], &[7; 8]);
    let packed = gzip(&good);
    let directory = folder(&[
        ("x", &good),
        ("y", &idx(&[2], &[0, 1])),
        ("three", &idx(&[3], &[0, 1, 2])),
        ("empty", b""),
        ("nothing", &idx(&[0, 2, 2], &[])),
        ("no_labels", &idx(&[0], &[])),
        ("magic", b"PNG image"),
        ("type", &[0, 0, 13, 1, 0, 0, 0, 0]),
        ("header", &[0, 0, 8, 3, 0, 0, 0, 1]),
        ("short", &good[..good.len() - 1]),
        ("long", &[&good[..], &[0]].concat()),
        ("huge", &idx(&[u32::MAX; 3], &[])),
        ("torn", &packed[..packed.len() - 9]),
    ]);
    let cases = [
        "empty", "magic", "type", "header", "short", "long", "huge", "torn", "missing", ".",
    ];
    let mut lines: Vec<String> = cases
        .map(|file| errors(&source("idx", &[file, "y"]), &directory))
        .to_vec();
    lines.push(errors(&source("idx", &["x", "three"]), &directory));
    lines.push(errors(&source("idx", &["x", "x"]), &directory));
    lines.push(errors(
        &source("idx", &["nothing", "no_labels"]),
        &directory,
    ));
    lines.push(errors(&source("idx", &["x"]), &directory));
    lines.push(errors(&source("mnist", &["."]), &directory));
    lines.push(errors(&source("mnist", &["x"]), &directory));
    lines.push(errors(&source("mnist", &["nowhere"]), &directory));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn bad_cifar_files() {
    let directory = folder(&[
        ("data_batch_1.bin", &[0; 3073]),
        ("test_batch.bin", &[0; 3072]),
    ]);
    assert_eq!(
        errors(&source("cifar10", &["."]), &directory),
        "DIR/./test_batch.bin: a multiple of 3073 bytes (label and 3 x 32 x 32 pixels) expected, 3072 bytes found"
    );
}

fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

#[test]
fn npy_files() {
    let x = npy(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }\n",
        &[1.5f64, -2.0].map(f64::to_le_bytes).concat(),
    );
    let y = npy(
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n",
        &[3i64, 1].map(i64::to_le_bytes).concat(),
    );
    let directory = folder(&[
        ("x.npy", &x),
        ("y.npy", &y),
        ("torn.npy", &x[..x.len() - 1]),
        (
            "fortran.npy",
            &npy(
                "{'descr': '>f4', 'fortran_order': True, 'shape': (2, 3), }",
                &[1f32, 4.0, 2.0, 5.0, 3.0, 6.0]
                    .map(f32::to_be_bytes)
                    .concat(),
            ),
        ),
        (
            "half.npy",
            &npy(
                "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }",
                &[0x00, 0x3C, 0x00, 0xC0],
            ),
        ),
        (
            "type.npy",
            &npy(
                "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }",
                &[0; 8],
            ),
        ),
        ("text.npy", b"hello"),
        ("header.npy", &npy("{}", &[])),
    ]);
    let dataset = agree(&source("npy", &["x.npy", "y.npy"]), directory.path());
    let [x, y] = &dataset.splits["train"].fields[..] else {
        panic!("two parts")
    };
    assert_eq!(
        (x.sample(1), y.sample(0), y.classes),
        (vec![-2.0], vec![3.0], Some(4))
    );
    let sample = |file: &str, row| {
        let dataset = agree(&source("npy", &[file]), directory.path());
        dataset.splits["train"].fields[0].sample(row)
    };
    assert_eq!(sample("fortran.npy", 0), [1.0, 2.0, 3.0]);
    assert_eq!(sample("fortran.npy", 1), [4.0, 5.0, 6.0]);
    assert_eq!(
        (sample("half.npy", 0), sample("half.npy", 1)),
        (vec![1.0], vec![-2.0])
    );
    let cases = ["torn.npy", "type.npy", "text.npy", "header.npy"];
    let lines = cases.map(|file| errors(&source("npy", &[file]), &directory));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn synthetic() {
    let source = Invocation::new(
        "synthetic",
        [Value::Int(50), text("f32[2, 3] -1..1"), text("i32 0..10")],
    );
    let dataset = agree(&source, Path::new(""));
    let [x, y] = &dataset.splits["train"].fields[..] else {
        panic!("two parts")
    };
    assert_eq!((x.shape.as_slice(), y.classes), (&[2, 3][..], Some(10)));
    let values: Vec<f32> = (0..50).flat_map(|row| x.sample(row)).collect();
    assert!(values.iter().all(|value| (-1.0..1.0).contains(value)));
    assert!(values.iter().any(|value| *value < -0.5) && values.iter().any(|value| *value > 0.5));
    let again = load(&source, Path::new("")).expect("loads");
    assert_eq!(again.splits["train"].fields[0].sample(7), x.sample(7));
    assert_ne!(dataset.splits["test"].fields[0].sample(7), x.sample(7));
    let directory = folder(&[]);
    let bad = [
        "f64",
        "i32",
        "f32[0]",
        "f32[2",
        "f32 1..1",
        "i32 -1..2",
        "f32 0..nan",
        "f32[4294967296, 4294967296]",
    ];
    let lines = bad.map(|part| {
        errors(
            &Invocation::new("synthetic", [Value::Int(2), text(part)]),
            &directory,
        )
    });
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn bad_arguments() {
    let directory = folder(&[]);
    let cases = [
        source("minst", &[]),
        source("digits", &["x"]),
        source("mnist", &[]),
        Invocation::new("mnist", [Value::Int(3)]),
        source("mnist", &["a"]).with("folder", text("b")),
        source("mnist", &["a"]).with("dir", text("b")),
        Invocation::new("synthetic", []),
        Invocation::new("synthetic", [Value::Int(0), text("f32")]),
    ];
    insta::assert_snapshot!(cases.map(|case| errors(&case, &directory)).join("\n"));
}

#[test]
fn synthetic_says_how_it_is_written() {
    for arguments in [vec![], vec![text("f32[3]")]] {
        let error = load(&Invocation::new("synthetic", arguments), Path::new("."));
        let error = error.expect_err("no count").to_string();
        assert!(
            error.contains("synthetic[64, \"f32[3, 32, 32]\", \"i32 0..10\"]"),
            "{error}"
        );
    }
}
