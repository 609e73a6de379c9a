//! Rows of a lease file, by the names of its columns. Keeps one row and understands no lease.

use crate::cli::fault::Fault;
use crate::cli::transfer::convert::text_lines::TextLines;
use std::path::Path;

/// How Kea writes a comma inside a field.
const COMMA: &str = "&#x2c";

/// A file that is read from its beginning.
pub(super) struct Rows {
    lines: TextLines,
    columns: Vec<String>,
}

/// A row.
pub(super) struct Row<'a> {
    columns: &'a [String],
    fields: Vec<&'a str>,
}

/// A row and its line, or what is wrong with it.
pub(super) type Numbered<'a> = (u64, Result<Row<'a>, String>);

impl Rows {
    /// Reads the names of the columns too.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let mut lines = TextLines::open(path)?;
        let mut columns = Vec::new();
        if lines.advance()?.is_some() {
            let first = std::str::from_utf8(lines.line()).unwrap_or_default();
            columns = first.split(',').map(|name| name.trim().to_owned()).collect();
        }
        Ok(Self { lines, columns })
    }

    /// Whether there is a column of this name.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    /// The next row that is not empty, or what is wrong with it; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Numbered<'_>>, Fault> {
        let Some(number) = self.lines.advance()? else { return Ok(None) };
        Ok(Some((number, Row::of(&self.columns, self.lines.line()))))
    }
}

impl<'a> Row<'a> {
    /// Of a line with these columns.
    pub(super) fn of(columns: &'a [String], line: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        let fields: Vec<&str> = text.split(',').collect();
        match fields.len() == columns.len() {
            true => Ok(Self { columns, fields }),
            false => Err(format!("{} fields for {} columns", fields.len(), columns.len())),
        }
    }
}

impl Row<'_> {
    /// Empty if there is no such column.
    pub(super) fn text(&self, column: &str) -> &str {
        let at = self.columns.iter().position(|name| name == column);
        at.and_then(|at| self.fields.get(at)).copied().unwrap_or_default()
    }

    /// With its commas.
    pub(super) fn long_text(&self, column: &str) -> String {
        self.text(column).replace(COMMA, ",")
    }

    /// A number, or another value that has a text form.
    pub(super) fn value<T: std::str::FromStr>(&self, column: &str) -> Result<T, String> {
        let text = self.text(column);
        text.parse().map_err(|_| format!("{column} is \"{text}\""))
    }
}
