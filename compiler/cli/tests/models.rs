//! The programs of `models/`: pictures, and each program to its figure.

mod common;

use common::{Place, workspace};
use std::process::Command;

#[test]
fn images_that_an_eval_reports_become_pictures() {
    let place = Place::new();
    let program = workspace().join("models/vae.dlm").display().to_string();
    place
        .dlmc(&[
            "run",
            &program,
            "--set",
            "vae.epochs=2",
            "--out",
            "out",
            "--quiet",
        ])
        .good();
    let mut names: Vec<String> = std::fs::read_dir(place.path("out/images"))
        .expect("there are pictures")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(names, ["samples-0001.png", "samples-0002.png"]);
    let bytes = std::fs::read(place.path("out/images/samples-0002.png")).expect("a picture");
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    // 64 images of 8x8, four times as large, in eight rows and columns with gaps of 2.
    let side = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((side(16), side(20)), (8 * 34 + 2, 8 * 34 + 2));
    let rows = std::fs::read_to_string(place.path("out/metrics.csv")).expect("it was written");
    assert!(
        rows.contains(",eval,bound,") && !rows.contains("samples"),
        "{rows}"
    );
}

#[test]
#[ignore = "trains every program, which takes many minutes: with --release, --ignored"]
fn every_program_reaches_its_figure() {
    let status = Command::new(workspace().join("models/check"))
        .env("DLMC", env!("CARGO_BIN_EXE_dlmc"))
        .status()
        .expect("there is a shell");
    assert!(status.success());
}
