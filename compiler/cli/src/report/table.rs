//! Text in columns.

/// Rows of cells; the first column is set left, the others right unless said otherwise.
pub struct Table {
    left: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings; one that begins with `<` is of a column set left.
    pub fn new(headings: &[&str]) -> Table {
        let left = headings
            .iter()
            .map(|heading| heading.starts_with('<'))
            .collect();
        let names = headings
            .iter()
            .map(|heading| heading.trim_start_matches('<').to_string());
        Table {
            left,
            rows: vec![names.collect()],
        }
    }

    /// Adds a row, with as many cells as there are headings.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text, each line indented by two.
    pub fn render(&self) -> String {
        let width = |column: usize| {
            let lengths = self.rows.iter().map(|row| row[column].chars().count());
            lengths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.left.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &width), &left) in row.iter().zip(&widths).zip(&self.left) {
                line += "  ";
                line += &match left {
                    true => format!("{cell:<width$}"),
                    false => format!("{cell:>width$}"),
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// A number with its thousands divided: `1,234,567`.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes for people: `1.5 MiB`.
pub fn bytes(count: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} bytes"),
        _ => format!("{value:.1} {}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["<layer", "parameters"]);
        table.row(["relu".into(), grouped(0)]);
        table.row(["Linear[120]".into(), grouped(30840)]);
        insta::assert_snapshot!(table.render(), @"
          layer        parameters
          relu                  0
          Linear[120]      30,840
        ");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let numbers = [0, 999, 1000, -1000, 1234567, 100000];
        assert_eq!(
            numbers.map(grouped),
            ["0", "999", "1,000", "-1,000", "1,234,567", "100,000"]
        );
        assert_eq!(
            [1023, 1024, 1536 << 10].map(bytes),
            ["1023 bytes", "1.0 KiB", "1.5 MiB"]
        );
    }
}
