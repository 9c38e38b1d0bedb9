//! Samples by class: `balance` and `filter_class[class, …]`.

use std::sync::Arc;

use super::{Arguments, DataError, Dataset, Field, Invocation, Values, unfit};
use crate::data::{Rows, Split, Value};
use crate::random::shuffle;

const CLASSES: &str = "classes are whole numbers: `filter_class[3, 5]`";

/// Stored samples by class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups(Vec<Vec<u32>>);

impl Groups {
    /// So many samples, of each class in turn. A class with more samples than are taken gives others in each epoch, one
    /// with fewer gives all before any comes again.
    pub(crate) fn choose(&self, count: u32, seed: u64, epoch: u32) -> Vec<u32> {
        let orders = (1..).zip(&self.0).map(|(class, group)| {
            let seed = seed.wrapping_add(GROUP_STEP.wrapping_mul(class));
            shuffle(seed, epoch, group.len() as u32)
        });
        let orders: Vec<Vec<u32>> = orders.collect();
        let row = |index: usize| {
            let (class, turn) = (index % orders.len(), index / orders.len());
            let order = &orders[class];
            self.0[class][order[turn % order.len()] as usize]
        };
        (0..count as usize).map(row).collect()
    }

    /// All samples, in their order.
    pub(crate) fn all(&self) -> Vec<u32> {
        let mut rows = self.0.concat();
        rows.sort_unstable();
        rows
    }

    /// The same where only these rows are kept, which are all of them in order.
    pub(crate) fn renumbered(&self, kept: &[u32]) -> Groups {
        let place = |row: &u32| kept.binary_search(row).unwrap_or(0) as u32;
        let groups = self.0.iter();
        Groups(
            groups
                .map(|group| group.iter().map(place).collect())
                .collect(),
        )
    }
}

/// Odd, and far from the step between the seeds of feeds: the orders of classes have nothing to do with each other.
const GROUP_STEP: u64 = 0xD1B5_4A32_D192_ED03;

/// Each class equally often, in as many samples as before: of rare classes samples come again, of others each epoch has
/// different ones.
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
        let groups = Groups(groups);
        split.rows = Rows::Listed(Arc::new(groups.choose(split.rows.len(), 0, 0)));
        split.balance = Some(Arc::new(groups));
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
        // What was balanced before stays as it was chosen.
        split.balance = None;
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

    /// Eleven samples of one class and one of another: each epoch takes six others of the eleven.
    #[test]
    fn every_sample_of_a_frequent_class_has_its_turn() {
        let labels = [vec![0; 11], vec![1]].concat();
        let label = Field {
            shape: vec![],
            values: Values::Integers(labels.into()),
            classes: Some(2),
            origin: "labels".into(),
        };
        let splits = [("train".to_string(), Split::new(vec![label]))];
        let mut dataset = Dataset {
            splits: splits.into(),
        };
        apply_stages(&mut dataset, &[Invocation::new("balance", [])]).expect("fits");
        for shuffled in [false, true] {
            let split = &mut dataset.splits["train"];
            split.shuffled = shuffled;
            let mut seen = std::collections::BTreeSet::new();
            for epoch in 0..12 {
                let mut order = split.order(7, epoch);
                assert_eq!(order, split.order(7, epoch));
                order.sort_unstable();
                assert_eq!(order[6..], [11; 6]);
                order.dedup();
                assert_eq!(order.len(), 7, "six different ones of the frequent class");
                seen.extend(order);
            }
            assert_eq!(seen.len(), 12);
            assert_ne!(split.order(7, 0), split.order(8, 0));
        }
    }

    #[test]
    fn other_classes_go() {
        let stage = Invocation::new("filter_class", [Value::Int(2), Value::Int(1)]);
        assert_eq!(classes_after(stage), [1, 2]);
    }
}
