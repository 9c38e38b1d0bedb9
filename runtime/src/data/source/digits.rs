//! `digits[]`: 1,797 real handwritten digits inside the binary, `f32[1, 8, 8]` in 0 to 1; the last 360 are the test
//! split.
//!
//! Credit: "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning Repository,
//! 1998, licence CC BY 4.0.

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

use super::{SourceDescription, describe_loaded, labels};
use crate::data::file::format_error;
use crate::data::{Affine, Arguments, DataError, Dataset, Field, Invocation, Split, Values};

const FILE: &[u8] = include_bytes!("../../../data/digits.csv.gz");
const ORIGIN: &str = "digits";
const PIXELS: usize = 64;
const TEST: usize = 360;

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    Ok(describe_loaded(&load(source, base)?))
}

pub(super) fn load(source: &Invocation, _: &Path) -> Result<Dataset, DataError> {
    static DECODED: OnceLock<Dataset> = OnceLock::new();
    Arguments::new(source, &[])?;
    if let Some(known) = DECODED.get() {
        return Ok(known.clone());
    }
    let decoded = decode()?;
    Ok(DECODED.get_or_init(|| decoded).clone())
}

fn decode() -> Result<Dataset, DataError> {
    let damaged = || format_error(Path::new(ORIGIN), "65 small numbers a line", "others");
    let mut text = String::new();
    GzDecoder::new(FILE)
        .read_to_string(&mut text)
        .map_err(|_| damaged())?;
    let (mut pixels, mut digits) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let numbers: Vec<u8> = line
            .split(',')
            .map_while(|number| number.parse().ok())
            .collect();
        let Some((image, [digit])) = numbers.split_at_checked(PIXELS) else {
            return Err(damaged());
        };
        pixels.extend_from_slice(image);
        digits.push(i32::from(*digit));
    }
    let cut = digits.len() - TEST;
    let (test_pixels, test_digits) = (pixels.split_off(cut * PIXELS), digits.split_off(cut));
    let train = ("train".to_string(), split(pixels, digits));
    Ok(Dataset {
        splits: [train, ("test".to_string(), split(test_pixels, test_digits))]
            .into_iter()
            .collect(),
    })
}

fn split(pixels: Vec<u8>, digits: Vec<i32>) -> Split {
    let values = Values::Bytes(pixels.into(), Affine::uniform(1.0 / 16.0, 0.0));
    let images = Field {
        shape: vec![1, 8, 8],
        values,
        classes: None,
        origin: ORIGIN.to_string(),
    };
    Split::new(vec![images, labels(digits, Some(10), ORIGIN.to_string())])
}
