//! Sequences: `window[n]`, and `chars`, which says that a text's tokens are its characters, as they are.

use super::{Arguments, DataError, Dataset, Invocation, Values, unfit};
use crate::data::{Rows, Split};

/// Samples of `n` elements of the sequence, each with the `n` that follow one later.
pub(super) fn window(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let arguments = Arguments::new(stage, &["n"])?;
    let size = arguments.required_integer("n", 1)?.unsigned_abs();
    for (name, split) in &mut dataset.splits {
        let Some(field) = split.fields.first() else {
            continue;
        };
        let (Values::Integers(sequence), [], Rows::First(length)) =
            (&field.values, &field.shape[..], &split.rows)
        else {
            let expected = "a sequence of integers, as `text` gives".to_string();
            return Err(unfit(&stage.name, expected, field));
        };
        let length = u64::from(*length);
        if length <= size {
            return Err(arguments.error(format!(
                "windows of {size} need more than {size} elements, and the split `{name}` of {} has {length}",
                field.origin
            )));
        }
        let window = |offset: usize| {
            let mut part = field.clone();
            part.shape = vec![size];
            part.values = Values::Windows {
                sequence: sequence.clone(),
                offset,
                count: (length - size) as usize,
            };
            part
        };
        let fields = vec![window(0), window(1)];
        *split = Split {
            shuffled: split.shuffled,
            ..Split::new(fields)
        };
    }
    Ok(())
}

/// A text is already its characters, numbered in the order of their code points.
pub(super) fn chars(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    Arguments::new(stage, &[])?;
    for split in dataset.splits.values() {
        match split.fields.first() {
            Some(field) if !matches!(field.values, Values::Integers(_)) => {
                return Err(unfit(&stage.name, "text".to_string(), field));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Value, apply_stages, load};

    #[test]
    fn windows_of_a_text_and_what_follows() {
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::write(folder.path().join("t.txt"), "abcadé").expect("writes");
        let source = Invocation::new("text", [Value::Text("t.txt".into()), Value::Float(0.7)]);
        let mut dataset = load(&source, folder.path()).expect("a text");
        let stages = [
            Invocation::new("chars", []),
            Invocation::new("window", [Value::Int(2)]),
        ];
        let error =
            apply_stages(&mut dataset.clone(), &stages).expect_err("the test part is short");
        assert!(error.to_string().contains("the split `test` of"), "{error}");
        dataset.splits.retain(|name, _| name == "train");
        apply_stages(&mut dataset, &stages).expect("fits");
        let split = &dataset.splits["train"];
        let sample = |part: usize, row: usize| split.fields[part].sample(row);
        assert_eq!(split.count(), 2);
        assert_eq!(
            (sample(0, 0), sample(1, 0)),
            (vec![0.0, 1.0], vec![1.0, 2.0])
        );
        assert_eq!(
            (sample(0, 1), sample(1, 1)),
            (vec![1.0, 2.0], vec![2.0, 0.0])
        );
    }
}
