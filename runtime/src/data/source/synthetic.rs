//! `synthetic[count, "f32[3, 32, 32]", "i32 0..10", seed=0]`: random samples, for benchmarks and tests. Each part is a type
//! with a shape and a range: `f32` in 0..1 unless said otherwise, integers in a range that must be given. The splits
//! `train` and `test` have `count` samples each.

use std::path::Path;

use super::{PartDescription, SourceDescription, SplitDescription};
use crate::data::{Arguments, DataError, Dataset, Field, Invocation, Split, Value, Values};
use crate::random::{Stream, uniform};
use crate::tensor::DataType;

/// The most elements a split may take: more is a slip of the pen.
const MAX_ELEMENTS: u64 = 1 << 32;

/// How it is written: a type for each part of a sample.
const FORM: &str = "`synthetic[count, \"TYPE[sizes] LOW..HIGH\", …, seed=0]`, as `synthetic[64, \"f32[3, 32, 32]\", \"i32 0..10\"]`";

struct Part {
    dtype: DataType,
    shape: Vec<u64>,
    low: f64,
    high: f64,
}

struct Plan {
    count: u64,
    seed: u64,
    parts: Vec<Part>,
}

pub(super) fn describe(source: &Invocation, _: &Path) -> Result<SourceDescription, DataError> {
    let plan = plan(source)?;
    let part = |part: &Part| PartDescription {
        dtype: part.dtype,
        shape: part.shape.clone(),
        classes: (part.dtype == DataType::I32).then_some(part.high as u64),
    };
    let split = |name: &str| SplitDescription {
        name: name.to_string(),
        count: plan.count,
        class_counts: Vec::new(),
        vocab: None,
    };
    Ok(SourceDescription {
        parts: plan.parts.iter().map(part).collect(),
        splits: ["train", "test"].map(split).to_vec(),
    })
}

pub(super) fn load(source: &Invocation, _: &Path) -> Result<Dataset, DataError> {
    let plan = plan(source)?;
    let mut dataset = Dataset::default();
    for (index, name) in ["train", "test"].into_iter().enumerate() {
        let field = |(place, part): (usize, &Part)| {
            let stream = Stream::new(plan.seed, place as u32, index as u32);
            field(part, plan.count, stream)
        };
        let fields = plan.parts.iter().enumerate().map(field).collect();
        dataset.splits.insert(name.to_string(), Split::new(fields));
    }
    Ok(dataset)
}

fn field(part: &Part, count: u64, mut stream: Stream) -> Field {
    let elements = (count * part.shape.iter().product::<u64>()) as usize;
    let (low, width) = (part.low, part.high - part.low);
    let (values, classes) = if part.dtype == DataType::I32 {
        let mut draw = || low as i32 + stream.below(width as u64) as i32;
        (
            Values::Integers((0..elements).map(|_| draw()).collect::<Vec<_>>().into()),
            Some(part.high as u64),
        )
    } else {
        let mut draw = || (low + width * f64::from(uniform(stream.next_u64() as u32))) as f32;
        (
            Values::Floats((0..elements).map(|_| draw()).collect::<Vec<_>>().into()),
            None,
        )
    };
    Field {
        shape: part.shape.clone(),
        values,
        classes,
        origin: "synthetic".to_string(),
    }
}

fn plan(source: &Invocation) -> Result<Plan, DataError> {
    let mut head = source.clone();
    let mut texts = Vec::new();
    head.arguments
        .retain(|argument| match (&argument.name, &argument.value) {
            (None, Value::Text(text)) => {
                texts.push(text.clone());
                false
            }
            _ => true,
        });
    let arguments = Arguments::in_form(&head, &["count", "seed"], FORM)?;
    let count = arguments.required_integer("count", 1)?.unsigned_abs();
    let seed = arguments.integer("seed", 0)?.unwrap_or(0).unsigned_abs();
    let expected =
        "a part should read like \"f32[3, 32, 32]\", \"f32[4] -1..1\" or \"i32[16] 0..50\"";
    let wrong = |text: &str| arguments.error(format!("{expected}, not \"{text}\""));
    let mut parts = Vec::new();
    for text in &texts {
        let part = part(text).ok_or_else(|| wrong(text))?;
        let elements = part
            .shape
            .iter()
            .try_fold(count, |product, size| product.checked_mul(*size));
        if elements.is_none_or(|elements| elements > MAX_ELEMENTS) {
            return Err(arguments.error(format!("{count} samples of \"{text}\" are too many")));
        }
        parts.push(part);
    }
    if parts.is_empty() {
        return Err(arguments.error(format!("no part is given; {expected}")));
    }
    Ok(Plan { count, seed, parts })
}

/// A part from its text: `TYPE`, `TYPE[sizes]`, each with or without ` LOW..HIGH`.
fn part(text: &str) -> Option<Part> {
    let text = text.trim();
    let dtype = match text.get(..3)? {
        "f32" => DataType::F32,
        "i32" => DataType::I32,
        _ => return None,
    };
    let rest = text[3..].trim_start();
    let (shape, rest) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (sizes, rest) = inner.split_once(']')?;
            (
                sizes
                    .split(',')
                    .map(|size| size.trim().parse().ok().filter(|size| *size > 0))
                    .collect::<Option<Vec<u64>>>()?,
                rest,
            )
        }
        None => (vec![], rest),
    };
    let (low, high) = match rest.trim() {
        "" if dtype == DataType::F32 => (0.0, 1.0),
        range => {
            let (low, high) = range.split_once("..")?;
            (
                low.trim().parse::<f64>().ok()?,
                high.trim().parse::<f64>().ok()?,
            )
        }
    };
    let is_index =
        low >= 0.0 && high <= f64::from(i32::MAX) && low.fract() == 0.0 && high.fract() == 0.0;
    let fits =
        low.is_finite() && high.is_finite() && low < high && (dtype == DataType::F32 || is_index);
    fits.then_some(Part {
        dtype,
        shape,
        low,
        high,
    })
}
