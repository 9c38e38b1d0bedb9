//! `parquet[file, label]`: the columns of an Apache Parquet file, all of them numbers. `label` is as for `csv`: whole
//! numbers from 0 on are classes, words are classes in sorted order, other numbers are a target `f32`.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field as Cell, Row};

use super::table::{label_column, word_labels};
use super::{SourceDescription, describe_loaded, labels};
use crate::data::file::{format_error, read_error};
use crate::data::{Arguments, DataError, Dataset, Field, Invocation, Split, Values};

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    Ok(describe_loaded(&load(source, base)?))
}

pub(super) fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    let arguments = Arguments::new(source, &["file", "label"])?;
    let path = base.join(arguments.required_text("file")?);
    let table = Table::read(&path)?;
    let names: Vec<&str> = table.names.iter().map(String::as_str).collect();
    let label = label_column(source, &arguments, Some(&names), names.len())?;
    let origin = path.display().to_string();
    let columns: Vec<usize> = (0..names.len())
        .filter(|column| Some(*column) != label)
        .collect();
    let mut values = Vec::with_capacity(table.rows.len() * columns.len());
    for (number, row) in table.rows.iter().enumerate() {
        for &column in &columns {
            let value = number_of(&row[column]).filter(|value| value.is_finite());
            values.push(value.ok_or_else(|| table.cell_error(number, column))? as f32);
        }
    }
    let mut fields = vec![Field {
        shape: vec![columns.len() as u64],
        values: Values::Floats(values.into()),
        classes: None,
        origin: origin.clone(),
    }];
    if let Some(column) = label {
        fields.push(table.labels(column, origin)?);
    }
    let splits = [("train".to_string(), Split::new(fields))];
    Ok(Dataset {
        splits: splits.into_iter().collect(),
    })
}

struct Table<'a> {
    path: &'a Path,
    names: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table<'_> {
    fn read(path: &Path) -> Result<Table<'_>, DataError> {
        let file = File::open(path).map_err(read_error(path))?;
        // The library panics on some damaged files.
        let attempt = catch_unwind(AssertUnwindSafe(|| Table::of_file(path, file)));
        attempt.unwrap_or_else(|_| {
            let found = "a damaged one".to_string();
            Err(format_error(path, "an Apache Parquet file", found))
        })
    }

    fn of_file(path: &Path, file: File) -> Result<Table<'_>, DataError> {
        let damaged = |error: parquet::errors::ParquetError| {
            format_error(path, "an Apache Parquet file", error.to_string())
        };
        let reader = SerializedFileReader::new(file).map_err(damaged)?;
        let schema = reader.metadata().file_metadata().schema();
        let columns = schema.get_fields();
        if let Some(nested) = columns.iter().find(|column| column.is_group()) {
            let found = format!("the nested column `{}`", nested.name());
            return Err(format_error(path, "columns of numbers or words", found));
        }
        let names: Vec<String> = columns
            .iter()
            .map(|column| column.name().to_string())
            .collect();
        if names.is_empty() {
            return Err(format_error(path, "columns", "none"));
        }
        let rows = reader.get_row_iter(None).map_err(damaged)?;
        let rows: Result<Vec<Vec<Cell>>, _> = rows.map(|row| row.map(cells)).collect();
        let rows = rows.map_err(damaged)?;
        Ok(Table { path, names, rows })
    }

    fn cell_error(&self, row: usize, column: usize) -> DataError {
        let found = format!(
            "{} in row {row}, column `{}`",
            self.rows[row][column], self.names[column]
        );
        format_error(self.path, "a number", found)
    }

    fn labels(&self, column: usize, origin: String) -> Result<Field, DataError> {
        let cells = || self.rows.iter().map(|row| &row[column]);
        let words: Option<Vec<&str>> = cells().map(word_of).collect();
        if let Some(words) = words {
            return Ok(word_labels(&words, origin));
        }
        let mut numbers = Vec::with_capacity(self.rows.len());
        for (row, cell) in cells().enumerate() {
            let number = number_of(cell).filter(|number| number.is_finite());
            numbers.push(number.ok_or_else(|| self.cell_error(row, column))?);
        }
        let is_class =
            |number: &f64| number.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(number);
        if !cells().any(is_fractional) && numbers.iter().all(is_class) {
            let classes = numbers.iter().map(|number| *number as i32).collect();
            return Ok(labels(classes, None, origin));
        }
        Ok(Field {
            shape: vec![],
            values: Values::Floats(
                numbers
                    .iter()
                    .map(|number| *number as f32)
                    .collect::<Vec<_>>()
                    .into(),
            ),
            classes: None,
            origin,
        })
    }
}

fn cells(row: Row) -> Vec<Cell> {
    row.into_columns()
        .into_iter()
        .map(|(_, cell)| cell)
        .collect()
}

/// Whether a cell's type is one of floats: a column of them is a target, even where all of its values are whole.
fn is_fractional(cell: &Cell) -> bool {
    matches!(cell, Cell::Float16(_) | Cell::Float(_) | Cell::Double(_))
}

fn word_of(cell: &Cell) -> Option<&str> {
    match cell {
        Cell::Str(word) => Some(word),
        _ => None,
    }
}

fn number_of(cell: &Cell) -> Option<f64> {
    Some(match cell {
        Cell::Bool(value) => f64::from(u8::from(*value)),
        Cell::Byte(value) => f64::from(*value),
        Cell::Short(value) => f64::from(*value),
        Cell::Int(value) => f64::from(*value),
        Cell::Long(value) => *value as f64,
        Cell::UByte(value) => f64::from(*value),
        Cell::UShort(value) => f64::from(*value),
        Cell::UInt(value) => f64::from(*value),
        Cell::ULong(value) => *value as f64,
        Cell::Float16(value) => f64::from(f32::from(*value)),
        Cell::Float(value) => f64::from(*value),
        Cell::Double(value) => *value,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::data::Value;

    /// Three rows of a float, an integer and a word; each in a row group of its own.
    fn write(path: &Path, compression: Compression) {
        let schema = "message rows {
            required double length; optional int64 count; required binary kind (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).expect("a schema"));
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .build();
        let file = File::create(path).expect("a file");
        let mut writer =
            SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a writer");
        for (length, count, kind) in [(0.5, 2, "pear"), (1.5, 0, "apple"), (-2.0, 7, "pear")] {
            let mut group = writer.next_row_group().expect("a group");
            let mut column = group.next_column().expect("a column").expect("the first");
            column
                .typed::<DoubleType>()
                .write_batch(&[length], None, None)
                .expect("writes");
            column.close().expect("closes");
            let mut column = group.next_column().expect("a column").expect("the second");
            column
                .typed::<Int64Type>()
                .write_batch(&[count], Some(&[1]), None)
                .expect("writes");
            column.close().expect("closes");
            let mut column = group.next_column().expect("a column").expect("the third");
            let word = ByteArray::from(kind);
            column
                .typed::<ByteArrayType>()
                .write_batch(&[word], None, None)
                .expect("writes");
            column.close().expect("closes");
            group.close().expect("closes");
        }
        writer.close().expect("closes");
    }

    fn loaded(path: &Path, label: Option<&str>) -> Result<Dataset, DataError> {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let mut source = Invocation::new("parquet", [Value::Text(name)]);
        if let Some(label) = label {
            source = source.with("label", Value::Text(label.to_string()));
        }
        load(&source, path.parent().expect("a folder"))
    }

    fn fields(dataset: &Dataset) -> &[Field] {
        &dataset.splits["train"].fields
    }

    #[test]
    fn columns_become_values_and_labels() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        let packings = [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::LZ4_RAW,
            Compression::GZIP(Default::default()),
            Compression::BROTLI(Default::default()),
            Compression::ZSTD(ZstdLevel::default()),
        ];
        for packing in packings {
            write(&path, packing);
            let dataset = loaded(&path, None);
            // The last column is of words: classes in sorted order.
            let dataset = dataset.expect("loads");
            let [values, kinds] = fields(&dataset) else {
                panic!("two fields")
            };
            assert_eq!(
                (values.shape.as_slice(), values.sample(2)),
                ([2].as_slice(), vec![-2.0, 7.0])
            );
            assert_eq!(
                (kinds.classes, kinds.sample(0), kinds.sample(1)),
                (Some(2), vec![1.0], vec![0.0])
            );
        }
    }

    #[test]
    fn labels_may_be_whole_or_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        write(&path, Compression::UNCOMPRESSED);
        // A column of words is no value.
        let error = loaded(&path, Some("count")).expect_err("words").to_string();
        assert!(
            error.ends_with("a number expected, \"pear\" in row 0, column `kind` found"),
            "{error}"
        );
        let table = Table::read(&path).expect("reads");
        let counts = table.labels(1, String::new()).expect("numbers");
        assert_eq!((counts.classes, counts.sample(2)), (Some(8), vec![7.0]));
        let lengths = table.labels(0, String::new()).expect("numbers");
        assert_eq!((lengths.classes, lengths.sample(2)), (None, vec![-2.0]));
        let error = loaded(&path, Some("colour"))
            .expect_err("no such column")
            .to_string();
        assert!(
            error.contains("no column is called `colour`; names: length, count, kind"),
            "{error}"
        );
    }

    #[test]
    fn damaged_files_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        write(&path, Compression::SNAPPY);
        let bytes = std::fs::read(&path).expect("reads");
        for length in (0..bytes.len()).step_by(7) {
            std::fs::write(&path, &bytes[..length]).expect("writes");
            assert!(loaded(&path, None).is_err(), "of {length} bytes");
        }
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x55;
            std::fs::write(&path, damaged).expect("writes");
            // Bytes of values may change without being noticed; what matters is that nothing worse happens.
            let _ = loaded(&path, None);
        }
    }
}
