//! `metrics.csv`: one row per reported value.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

/// The columns of the file.
pub const HEADER: &str = "epoch,iter,split,metric,value";

/// Why metrics were not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {reason}", path.display())]
pub struct MetricsError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub reason: io::Error,
}

/// Writes rows to a file, buffered until [`Metrics::flush`], or nowhere.
#[derive(Debug, Default)]
pub struct Metrics {
    target: Option<(BufWriter<File>, PathBuf)>,
    /// The bytes written.
    length: u64,
}

impl Metrics {
    /// Writes nothing.
    pub fn nowhere() -> Metrics {
        Metrics::default()
    }

    /// Makes the file, or empties it, and writes the header.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path) -> Result<Metrics, MetricsError> {
        let fail = |reason| MetricsError {
            path: path.to_path_buf(),
            reason,
        };
        let file = File::create(path).map_err(fail)?;
        let mut metrics = Metrics {
            target: Some((BufWriter::new(file), path.to_path_buf())),
            length: 0,
        };
        metrics.write(format_args!("{HEADER}\n"))?;
        metrics.flush()?;
        Ok(metrics)
    }

    /// Goes on with a file after its first `length` bytes; what follows them is cut off.
    ///
    /// # Errors
    /// When the file cannot be written or is shorter.
    pub fn reopen(path: &Path, length: u64) -> Result<Metrics, MetricsError> {
        let fail = |reason| MetricsError {
            path: path.to_path_buf(),
            reason,
        };
        let mut file = File::options().write(true).open(path).map_err(fail)?;
        if file.metadata().map_err(fail)?.len() < length {
            return Err(fail(io::ErrorKind::UnexpectedEof.into()));
        }
        file.set_len(length).map_err(fail)?;
        file.seek(io::SeekFrom::End(0)).map_err(fail)?;
        Ok(Metrics {
            target: Some((BufWriter::new(file), path.to_path_buf())),
            length,
        })
    }

    /// How many bytes have been written, those of a run before included.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds a row. `value` is written with as many digits as tell an f32 from its neighbours.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn row(
        &mut self,
        epoch: u64,
        iter: u64,
        split: &str,
        metric: &str,
        value: f64,
    ) -> Result<(), MetricsError> {
        let (split, metric) = (quoted(split), quoted(metric));
        // Counts have all of their digits.
        if value.fract() == 0.0 {
            return self.write(format_args!("{epoch},{iter},{split},{metric},{value}\n"));
        }
        let value = value as f32;
        self.write(format_args!("{epoch},{iter},{split},{metric},{value}\n"))
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<(), MetricsError> {
        let Some((writer, path)) = &mut self.target else {
            return Ok(());
        };
        writer.flush().map_err(|reason| MetricsError {
            path: path.clone(),
            reason,
        })
    }

    fn write(&mut self, row: std::fmt::Arguments<'_>) -> Result<(), MetricsError> {
        let Some((writer, path)) = &mut self.target else {
            return Ok(());
        };
        let row = row.to_string();
        self.length += row.len() as u64;
        writer
            .write_all(row.as_bytes())
            .map_err(|reason| MetricsError {
                path: path.clone(),
                reason,
            })
    }
}

/// A field in quotes where it has a comma, as `confusion[0,1]` has.
fn quoted(field: &str) -> std::borrow::Cow<'_, str> {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\"")).into()
    } else {
        field.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_what_csv_readers_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("metrics.csv");
        let mut metrics = Metrics::create(&path).expect("creates");
        metrics
            .row(0, 3, "train", "loss", f64::from(0.1f32))
            .expect("writes");
        metrics
            .row(1, 9, "eval", "confusion[0,1]", 12.0)
            .expect("writes");
        metrics
            .row(1, 9, "eval", "mean", 1.0 / 3.0)
            .expect("writes");
        metrics
            .row(1, 10, "train", "loss", f64::NAN)
            .expect("writes");
        metrics.flush().expect("writes");
        let text = std::fs::read_to_string(&path).expect("reads");
        insta::assert_snapshot!(text, @r#"
        epoch,iter,split,metric,value
        0,3,train,loss,0.1
        1,9,eval,"confusion[0,1]",12
        1,9,eval,mean,0.33333334
        1,10,train,loss,NaN
        "#);
        let mut reader = csv::Reader::from_path(&path).expect("reads");
        let second = reader.records().nth(1).expect("four rows").expect("a row");
        assert_eq!(&second[3], "confusion[0,1]");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error = Metrics::create(Path::new("/nowhere/at/all/metrics.csv"))
            .expect_err("no folder")
            .to_string();
        assert!(
            error.starts_with("cannot write /nowhere/at/all/metrics.csv: "),
            "{error}"
        );
    }
}
