//! `csv[file, label]`: a table of numbers. `label` is the name or number (from 0) of the column to be predicted, or -1
//! for the last, which is the default; `none` takes all columns as values. Whole labels from 0 on are classes, words
//! are classes in sorted order, other numbers are a target `f32`. A first line of names is skipped; so is one of counts
//! and class names (`150,4,setosa,versicolor,virginica`).

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::table::{label_column, word_labels};
use super::{SourceDescription, describe_loaded, labels};
use crate::data::file::{format_error, read};
use crate::data::{Arguments, DataError, Dataset, Field, Invocation, Split, Values};

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    Ok(describe_loaded(&load(source, base)?))
}

pub(super) fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    let arguments = Arguments::new(source, &["file", "label"])?;
    let path = base.join(arguments.required_text("file")?);
    let table = Table::read(&path)?;
    let names: Option<Vec<&str>> = table.names.as_ref().map(|names| names.iter().collect());
    let label = label_column(source, &arguments, names.as_deref(), table.columns)?;
    let origin = path.display().to_string();
    let columns: Vec<usize> = (0..table.columns)
        .filter(|column| Some(*column) != label)
        .collect();
    if columns.is_empty() {
        return Err(table.single_column());
    }
    let mut values = Vec::with_capacity(table.rows.len() * columns.len());
    for (line, row) in &table.rows {
        for column in &columns {
            let number = row[*column]
                .parse::<f32>()
                .ok()
                .filter(|number| number.is_finite());
            let reason = || format!("`{}` in column {column} is no number", &row[*column]);
            values.push(number.ok_or_else(|| table.line_error(*line, reason()))?);
        }
    }
    let shape = vec![columns.len() as u64];
    let mut fields = vec![Field {
        shape,
        values: Values::Floats(values.into()),
        classes: None,
        origin: origin.clone(),
    }];
    fields.extend(label.map(|column| table.labels(column, origin)));
    let splits = [("train".to_string(), Split::new(fields))]
        .into_iter()
        .collect();
    Ok(Dataset { splits })
}

struct Table<'a> {
    path: &'a Path,
    names: Option<StringRecord>,
    /// Rows with their line numbers.
    rows: Vec<(u64, StringRecord)>,
    columns: usize,
    classes: Option<u64>,
}

impl Table<'_> {
    fn read(path: &Path) -> Result<Table<'_>, DataError> {
        let bytes = read(path)?;
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(&bytes[..]);
        let mut rows = Vec::new();
        for record in reader.records() {
            let record =
                record.map_err(|error| format_error(path, "a table of text", error.to_string()))?;
            rows.push((record.position().map_or(0, csv::Position::line), record));
        }
        let (mut names, mut classes) = (None, None);
        if let Some((_, first)) = rows.first() {
            classes = counted_classes(
                first,
                rows.len() - 1,
                rows.get(1).map_or(0, |(_, row)| row.len()),
            );
            if classes.is_some() || first.iter().all(|field| field.parse::<f64>().is_err()) {
                names = Some(rows.remove(0).1).filter(|_| classes.is_none());
            }
        }
        let columns = rows.first().map_or(0, |(_, row)| row.len());
        let table = Table {
            path,
            names,
            rows,
            columns,
            classes,
        };
        let uneven = table.rows.iter().find(|(_, row)| row.len() != columns);
        if let Some((line, row)) = uneven {
            return Err(table.line_error(
                *line,
                format!("{} columns, where the first row has {columns}", row.len()),
            ));
        }
        if columns == 0 {
            return Err(match table.separator() {
                Some(_) => table.single_column(),
                None => format_error(path, "rows of numbers", "none"),
            });
        }
        Ok(table)
    }

    /// What stands between the columns in place of commas, where the first line shows it.
    fn separator(&self) -> Option<char> {
        let names = self.names.as_ref();
        let first = names.or(self.rows.first().map(|(_, row)| row))?;
        let only = first.get(0).filter(|_| first.len() == 1)?;
        [';', '\t', '|']
            .into_iter()
            .find(|mark| only.contains(*mark))
    }

    /// The error for a table of one column, which has no values beside its label.
    fn single_column(&self) -> DataError {
        if let Some(mark) = self.separator() {
            return format_error(
                self.path,
                "columns with `,` between them",
                format!("{mark:?}"),
            );
        }
        let mut fields = self.rows.iter().map(|(_, row)| &row[0]);
        let found = match fields.all(|field| field.parse::<f64>().is_ok()) {
            true => "one column, of numbers; `label=none` takes it as values",
            false => "one column, of text",
        };
        format_error(self.path, "columns of numbers and one of labels", found)
    }

    fn line_error(&self, line: u64, reason: String) -> DataError {
        DataError::Line {
            path: self.path.to_path_buf(),
            line,
            reason,
        }
    }

    /// The label column as classes or numbers.
    fn labels(&self, column: usize, origin: String) -> Field {
        let fields = || self.rows.iter().map(|(_, row)| &row[column]);
        let integers: Option<Vec<i32>> = fields()
            .map(|field| field.parse().ok().filter(|label| *label >= 0))
            .collect();
        if let Some(integers) = integers {
            return labels(integers, self.classes, origin);
        }
        let numbers: Option<Vec<f32>> = fields().map(|field| field.parse().ok()).collect();
        if let Some(numbers) = numbers {
            return Field {
                shape: vec![],
                values: Values::Floats(numbers.into()),
                classes: None,
                origin,
            };
        }
        word_labels(&fields().collect::<Vec<_>>(), origin)
    }
}

/// The number of classes that a first line `rows,columns,name,name …` announces.
fn counted_classes(first: &StringRecord, rows: usize, columns: usize) -> Option<u64> {
    let number = |index| {
        first
            .get(index)
            .and_then(|field| field.parse::<usize>().ok())
    };
    let names = first.len().checked_sub(2).filter(|names| *names > 0)?;
    let announced =
        number(0) == Some(rows) && number(1).map(|features| features + 1) == Some(columns);
    let named = first
        .iter()
        .skip(2)
        .all(|name| name.parse::<f64>().is_err());
    (announced && named).then_some(names as u64)
}
