//! Samples by class: `balance` and `filter_class[class, …]`.

use std::sync::Arc;

use super::{Arguments, DataError, Dataset, Field, Invocation, Values, unfit};
use crate::data::{Rows, Split, Value};

const CLASSES: &str = "classes are whole numbers: `filter_class[3, 5]`";

/// Each class equally often, in as many samples as before: of rare classes samples come again.
pub(super) fn balance(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    Arguments::new(stage, &[])?;
    for split in dataset.splits.values_mut() {
        let labels = labels(split, stage)?;
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for index in 0..split.rows.len() {
            let row = split.rows.get(index);
            let class = usize::try_from(labels[row as usize]).unwrap_or(0);
            groups.resize(groups.len().max(class + 1), Vec::new());
            groups[class].push(row);
        }
        groups.retain(|group| !group.is_empty());
        let count = split.rows.len() as usize;
        let row = |index: usize| {
            let group = &groups[index % groups.len()];
            group[index / groups.len() % group.len()]
        };
        split.rows = Rows::Listed(Arc::new((0..count).map(row).collect()));
    }
    Ok(())
}

/// Only samples of these classes; their labels stay as they are.
pub(super) fn filter_class(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let arguments = Arguments::with_rest(stage, &[])?;
    let mut classes = Vec::new();
    for value in arguments.rest() {
        match value {
            Value::Int(class) => classes.push(*class),
            Value::List(values) => {
                for value in values {
                    let Value::Int(class) = value else {
                        return Err(arguments.error(CLASSES.to_string()));
                    };
                    classes.push(*class);
                }
            }
            _ => return Err(arguments.error(CLASSES.to_string())),
        }
    }
    for split in dataset.splits.values_mut() {
        let labels = labels(split, stage)?;
        let rows = (0..split.rows.len()).map(|index| split.rows.get(index));
        let kept: Vec<u32> = rows
            .filter(|row| classes.contains(&i64::from(labels[*row as usize])))
            .collect();
        if kept.is_empty() {
            return Err(arguments.error(format!("no sample has a class of {classes:?}")));
        }
        split.rows = Rows::Listed(Arc::new(kept));
    }
    Ok(())
}

fn labels(split: &Split, stage: &Invocation) -> Result<Arc<Vec<i32>>, DataError> {
    let label = |field: &Field| match &field.values {
        Values::Integers(labels) if field.shape.is_empty() => Some(labels.clone()),
        _ => None,
    };
    let last = split.fields.last();
    split.fields.iter().find_map(label).ok_or_else(|| {
        let expected = "samples with an i32 label".to_string();
        match last {
            Some(field) => unfit(&stage.name, expected, field),
            None => DataError::Unfit {
                stage: stage.name.clone(),
                expected,
                found: "nothing".to_string(),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::apply_stages;

    fn classes_after(stage: Invocation) -> Vec<i32> {
        let label = Field {
            shape: vec![],
            values: Values::Integers(vec![0, 0, 0, 0, 1, 0, 2, 0].into()),
            classes: Some(3),
            origin: "labels".into(),
        };
        let splits = [("train".to_string(), Split::new(vec![label]))];
        let mut dataset = Dataset {
            splits: splits.into(),
        };
        apply_stages(&mut dataset, &[stage]).expect("fits");
        let split = &dataset.splits["train"];
        let rows = (0..split.count()).map(|index| split.rows.get(index) as usize);
        rows.map(|row| split.fields[0].sample(row)[0] as i32)
            .collect()
    }

    #[test]
    fn classes_come_equally_often() {
        let stage = Invocation::new("balance", []);
        assert_eq!(classes_after(stage), [0, 1, 2, 0, 1, 2, 0, 1]);
    }

    #[test]
    fn other_classes_go() {
        let stage = Invocation::new("filter_class", [Value::Int(2), Value::Int(1)]);
        assert_eq!(classes_after(stage), [1, 2]);
    }
}
