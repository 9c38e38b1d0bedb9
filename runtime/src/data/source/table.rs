//! What tables have in common: which column is the label, and words as classes.

use std::collections::BTreeSet;

use super::labels;
use crate::data::{Argument, Arguments, DataError, Field, Invocation, Value};

/// Which column is the label: the last unless the program names another; none where it says `label=none`.
pub(super) fn label_column(
    source: &Invocation,
    arguments: &Arguments,
    names: Option<&[&str]>,
    columns: usize,
) -> Result<Option<usize>, DataError> {
    let from_end = |number: i64| {
        if number < 0 {
            number + columns as i64
        } else {
            number
        }
    };
    let given = |argument: &&Argument| argument.name.as_deref() == Some("label");
    let is_none = |argument: &Argument| argument.value == Value::None;
    match arguments.value("label") {
        None if source.arguments.iter().find(given).is_some_and(is_none) => Ok(None),
        None => Ok(columns.checked_sub(1)),
        Some(Value::Int(number)) => match usize::try_from(from_end(*number)) {
            Ok(column) if column < columns => Ok(Some(column)),
            _ => Err(arguments.error(format!(
                "there is no column {number}; the table has {columns}"
            ))),
        },
        Some(Value::Text(name)) => {
            let names = names.unwrap_or_default();
            let column = names.iter().position(|known| known == name);
            if names.iter().filter(|known| *known == name).count() > 1 {
                return Err(arguments.error(format!(
                    "several columns are called `{name}`; `label` may be a column's number, from 0"
                )));
            }
            let known = match names.is_empty() {
                true => "none".to_string(),
                false => names.join(", "),
            };
            column.map(Some).ok_or_else(|| {
                arguments.error(format!("no column is called `{name}`; names: {known}"))
            })
        }
        Some(_) => Err(arguments.error("`label` should be a column's name or number".to_string())),
    }
}

/// Words as classes, which are numbered in sorted order.
pub(super) fn word_labels(words: &[&str], origin: String) -> Field {
    let names: Vec<&str> = words
        .iter()
        .copied()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let index = |word: &&str| names.binary_search(word).unwrap_or_default() as i32;
    let classes = names.len() as u64;
    labels(words.iter().map(index).collect(), Some(classes), origin)
}
