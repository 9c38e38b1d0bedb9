//! `one_hot`: the label becomes `f32[classes]`, 1 at the class and 0 elsewhere.

use super::{Arguments, DataError, Dataset, Invocation, Values, unfit};

pub(super) fn one_hot(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let given = Arguments::new(stage, &["classes"])?.integer("classes", 1)?;
    for split in dataset.splits.values_mut() {
        let is_label = |field: &&mut super::Field| {
            matches!(field.values, Values::Integers(_)) && field.shape.is_empty()
        };
        let Some(field) = split.fields.iter_mut().find(is_label) else {
            let found = split
                .fields
                .last()
                .map(|field| unfit(&stage.name, "an i32 label".to_string(), field));
            return found.map_or(Ok(()), Err);
        };
        let Values::Integers(labels) = &field.values else {
            continue;
        };
        let bound = given
            .or(field
                .classes
                .and_then(|classes| i64::try_from(classes).ok()))
            .unwrap_or(0);
        let mut values = vec![0.0f32; labels.len() * bound as usize];
        for (sample, label) in labels.iter().enumerate() {
            if i64::from(*label) >= bound || *label < 0 {
                let (origin, sample, value) = (field.origin.clone(), sample as u64, *label);
                return Err(DataError::OutOfRange {
                    origin,
                    sample,
                    value,
                    bound,
                });
            }
            values[sample * bound as usize + *label as usize] = 1.0;
        }
        field.values = Values::Floats(values.into());
        field.shape = vec![bound.unsigned_abs()];
        field.classes = None;
    }
    Ok(())
}
