//! `npy[file, …]`: NumPy's arrays, one file for each part of a sample; axis 0 is the samples. Types `f2`, `f4`, `f8`
//! (rounded to f32), `i4`, `i8` (where values fit), `u1` and `b1`, in either byte order, in C or Fortran order.

use std::borrow::Cow;
use std::path::Path;

use super::{SourceDescription, check_counts, describe_loaded, labels};
use crate::data::file::{format_error, read};
use crate::data::{Affine, Arguments, DataError, Dataset, Field, Invocation, Split, Value, Values};
use crate::half::{f32_of_f16, f32_of_f64};

const MAGIC: &[u8] = b"\x93NUMPY";

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    Ok(describe_loaded(&load(source, base)?))
}

pub(super) fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    let arguments = Arguments::with_rest(source, &[])?;
    let mut fields = Vec::new();
    for value in arguments.rest() {
        let Value::Text(file) = value else {
            return Err(
                arguments.error("each argument should be a file's path in quotes".to_string())
            );
        };
        let path = base.join(file);
        fields.push(field(&path, &read(&path)?)?);
    }
    if fields.is_empty() {
        return Err(arguments.error("a file is missing".to_string()));
    }
    check_counts(&fields)?;
    let splits = [("train".to_string(), Split::new(fields))]
        .into_iter()
        .collect();
    Ok(Dataset { splits })
}

pub(super) fn field(path: &Path, bytes: &[u8]) -> Result<Field, DataError> {
    let (header, data) = header(path, bytes)?;
    let kind = entry(header, "'descr'")
        .and_then(|text| text.trim().strip_prefix('\'')?.split('\'').next());
    let kind = kind.filter(|kind| kind.is_ascii() && kind.len() > 2);
    let kind = kind.ok_or_else(|| format_error(path, "a NumPy header with `descr`", header))?;
    let sizes = entry(header, "'shape'")
        .and_then(shape)
        .filter(|sizes| !sizes.is_empty());
    let sizes =
        sizes.ok_or_else(|| format_error(path, "an array with an axis of samples", header))?;
    let count = sizes
        .iter()
        .try_fold(1usize, |product, size| product.checked_mul(*size as usize));
    let element: usize = kind
        .get(2..)
        .and_then(|size| size.parse().ok())
        .unwrap_or(0);
    if count.and_then(|count| count.checked_mul(element)) != Some(data.len()) {
        return Err(format_error(
            path,
            format!("{sizes:?} values of {kind}"),
            format!("{} bytes", data.len()),
        ));
    }
    let is_fortran = entry(header, "'fortran_order'").is_some_and(|text| text.starts_with("True"));
    let data = plain(data, kind, is_fortran.then_some(&sizes));
    let data = data.as_ref();
    let shape = sizes[1..].to_vec();
    let origin = path.display().to_string();
    let values = match kind.trim_start_matches(['<', '>', '=', '|']) {
        "f2" => Values::Floats(f32_of_f16(data).into()),
        "f4" => Values::Floats(chunks(data, f32::from_le_bytes).into()),
        "f8" => Values::Floats(f32_of_f64(data).into()),
        "u1" => Values::Bytes(data.to_vec().into(), Affine::uniform(1.0, 0.0)),
        "b1" => Values::Bytes(data.to_vec().into(), Affine::uniform(1.0, 0.0)),
        "i4" => return Ok(integers(chunks(data, i32::from_le_bytes), shape, origin)),
        "i8" => {
            let fitting: Option<Vec<i32>> =
                chunks(data, |bytes| i32::try_from(i64::from_le_bytes(bytes)).ok())
                    .into_iter()
                    .collect();
            let fitting =
                fitting.ok_or_else(|| format_error(path, "integers of 32 bits", "larger ones"))?;
            return Ok(integers(fitting, shape, origin));
        }
        _ => {
            return Err(format_error(
                path,
                "an array of f2, f4, f8, i4, i8, u1 or b1",
                kind,
            ));
        }
    };
    Ok(Field {
        shape,
        values,
        classes: None,
        origin,
    })
}

/// The elements' bytes, little-endian and in C order; `sizes` are those of an array in Fortran order.
fn plain<'a>(data: &'a [u8], kind: &str, sizes: Option<&Vec<u64>>) -> Cow<'a, [u8]> {
    let element: usize = kind[2..].parse().unwrap_or(1).max(1);
    let mut data = Cow::Borrowed(data);
    if let Some(sizes) = sizes {
        data = Cow::Owned(in_c_order(&data, element, sizes));
    }
    if kind.starts_with('>') {
        let elements = data.to_mut().chunks_exact_mut(element);
        elements.for_each(<[u8]>::reverse);
    }
    data
}

/// The elements of an array whose first index runs fastest, with the last running fastest.
fn in_c_order(data: &[u8], element: usize, sizes: &[u64]) -> Vec<u8> {
    let mut ordered = Vec::with_capacity(data.len());
    for number in 0..data.len() / element {
        let (mut rest, mut place) = (number, 0);
        for (axis, size) in sizes.iter().enumerate().rev() {
            let stride: u64 = sizes[..axis].iter().product();
            place += rest % *size as usize * stride as usize;
            rest /= *size as usize;
        }
        ordered.extend_from_slice(&data[place * element..][..element]);
    }
    ordered
}

fn integers(values: Vec<i32>, shape: Vec<u64>, origin: String) -> Field {
    Field {
        shape,
        ..labels(values, None, origin)
    }
}

/// The header's text and what follows it.
fn header<'a>(path: &Path, bytes: &'a [u8]) -> Result<(&'a str, &'a [u8]), DataError> {
    let wrong = || {
        format_error(
            path,
            "a NumPy array",
            format!("{} bytes of something else", bytes.len()),
        )
    };
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(wrong)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(wrong)?;
    let (length, rest) = if version[0] == 1 {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(wrong)?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    } else {
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(wrong)?;
    Ok((
        std::str::from_utf8(header).map_err(|_| wrong())?.trim_end(),
        data,
    ))
}

/// The text after a key of the header's dictionary.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let after = &header[header.find(key)? + key.len()..];
    after.trim_start().strip_prefix(':').map(str::trim_start)
}

fn shape(text: &str) -> Option<Vec<u64>> {
    let inner = text.strip_prefix('(')?.split(')').next()?;
    inner
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().ok())
        .collect()
}

fn chunks<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|chunk| convert(*chunk))
        .collect()
}
