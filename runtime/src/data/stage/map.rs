//! `map[f]`: a function of the program, run once for each sample.

use super::{DataError, Dataset, Invocation};
use crate::data::arguments::SampleFunction;
use crate::data::{Field, Rows, Split, Values};
use crate::tensor::{DataType, Tensor};

pub(super) fn map(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let Some(function) = &stage.function else {
        return Err(failed("it has no function".to_string()));
    };
    for split in dataset.splits.values_mut() {
        if !split.augmentations.is_empty() {
            let reason = "it runs once for each sample, so it stands before random changes";
            return Err(failed(reason.to_string()));
        }
        map_split(split, function)?;
    }
    Ok(())
}

fn failed(reason: String) -> DataError {
    let stage = "map".to_string();
    DataError::Stage { stage, reason }
}

/// Replaces the first fields by what the function gives for the split's rows; other fields keep those rows alone.
fn map_split(split: &mut Split, function: &SampleFunction) -> Result<(), DataError> {
    let (count, there) = (function.parts, split.fields.len());
    if count > there {
        let reason = format!("it takes {count} parts of a sample, and there are {there}");
        return Err(failed(reason));
    }
    let kept = split.possible_rows();
    let rows: Vec<usize> = kept.iter().map(|row| *row as usize).collect();
    let mut columns: Vec<Column> = (0..count).map(|_| Column::default()).collect();
    for &row in &rows {
        let fields = split.fields[..count].iter();
        let sample: Vec<Tensor> = fields.map(|field| tensor(field, row)).collect();
        let given = (function.call)(&sample).map_err(failed)?;
        for (column, part) in columns.iter_mut().zip(&given) {
            column.push(part);
        }
    }
    for (field, column) in split.fields.iter_mut().zip(columns) {
        column.replace(field);
    }
    for field in &mut split.fields[count..] {
        keep_rows(field, &rows);
    }
    split.rows = match split.balance.take() {
        Some(groups) => {
            let groups = groups.renumbered(&kept);
            let rows = Rows::Listed(groups.choose(split.rows.len(), 0, 0).into());
            split.balance = Some(groups.into());
            rows
        }
        None => Rows::First(rows.len() as u32),
    };
    Ok(())
}

/// The values of one part of all samples.
#[derive(Default)]
struct Column {
    shape: Vec<u64>,
    floats: Vec<f32>,
    integers: Vec<i32>,
    is_integer: bool,
}

impl Column {
    fn push(&mut self, part: &Tensor) {
        self.shape = part.shape().to_vec();
        self.is_integer = part.dtype() == DataType::I32;
        match self.is_integer {
            true => self.integers.extend(part.to_i32().unwrap_or_default()),
            false => self.floats.extend(part.to_f32()),
        }
    }

    fn replace(self, field: &mut Field) {
        field.shape = self.shape;
        field.values = match self.is_integer {
            true => Values::Integers(self.integers.into()),
            false => Values::Floats(self.floats.into()),
        };
        field.classes = field.classes.filter(|_| self.is_integer);
    }
}

/// One sample's part as a tensor.
fn tensor(field: &Field, row: usize) -> Tensor {
    let (shape, elements) = (field.shape.clone(), field.elements());
    let tensor = match &field.values {
        Values::Integers(values) => Tensor::from_i32(shape, &values[row * elements..][..elements]),
        Values::Windows {
            sequence, offset, ..
        } => Tensor::from_i32(shape, &sequence[row + offset..][..elements]),
        Values::Bytes(..) | Values::Floats(_) => Tensor::from_f32(shape, &field.sample(row)),
    };
    tensor.expect("a field's samples have its shape")
}

fn keep_rows(field: &mut Field, rows: &[usize]) {
    let elements = field.elements();
    field.values = match &field.values {
        Values::Bytes(bytes, affine) => {
            let kept = rows
                .iter()
                .flat_map(|row| &bytes[row * elements..][..elements]);
            Values::Bytes(kept.copied().collect::<Vec<u8>>().into(), affine.clone())
        }
        Values::Floats(floats) => {
            let kept = rows
                .iter()
                .flat_map(|row| &floats[row * elements..][..elements]);
            Values::Floats(kept.copied().collect::<Vec<f32>>().into())
        }
        Values::Integers(values) => {
            let kept = rows
                .iter()
                .flat_map(|row| &values[row * elements..][..elements]);
            Values::Integers(kept.copied().collect::<Vec<i32>>().into())
        }
        Values::Windows {
            sequence, offset, ..
        } => {
            let kept = rows
                .iter()
                .flat_map(|row| &sequence[row + offset..][..elements]);
            Values::Integers(kept.copied().collect::<Vec<i32>>().into())
        }
    };
}
