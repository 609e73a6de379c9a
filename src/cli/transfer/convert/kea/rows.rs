//! Rows of a lease file, by the names of its columns. Keeps one row and understands no lease.

use crate::cli::fault::Fault;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest row, bytes: a hostname and a context of some KiB.
const ROW_BYTES_MAX: u64 = 64 << 10;
/// Buffer of the file, bytes.
const BUFFER_BYTES: usize = 1 << 20;
/// How Kea writes a comma inside a field.
const COMMA: &str = "&#x2c";

/// A file that is read from its beginning.
pub(super) struct Rows {
    path: PathBuf,
    file: BufReader<File>,
    buffer: Vec<u8>,
    /// Of the last line that was read; the first is 1.
    number: u64,
    columns: Vec<String>,
}

/// A row.
pub(super) struct Row<'a> {
    columns: &'a [String],
    fields: Vec<&'a str>,
}

impl Rows {
    /// Reads the names of the columns too.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path);
        let file = file.map_err(|error| Fault::Usage(format!("{}: {error}", path.display())))?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        let (buffer, columns) = (Vec::new(), Vec::new());
        let mut rows = Self { path: path.to_owned(), file, buffer, number: 0, columns };
        if rows.read()? {
            let first = std::str::from_utf8(&rows.buffer).unwrap_or_default();
            rows.columns = first.split(',').map(|name| name.trim().to_owned()).collect();
        }
        Ok(rows)
    }

    /// Whether there is a column of this name.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    /// The next row that is not empty, or what is wrong with it; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Result<Row<'_>, String>)>, Fault> {
        loop {
            if !self.read()? {
                return Ok(None);
            }
            if !self.buffer.is_empty() {
                break;
            }
        }
        let columns = self.columns.as_slice();
        let row = std::str::from_utf8(&self.buffer).map_err(|_| "it is not UTF-8".to_owned());
        let row = row.and_then(|text| {
            let fields: Vec<&str> = text.split(',').collect();
            match fields.len() == columns.len() {
                true => Ok(Row { columns, fields }),
                false => Err(format!("{} fields for {} columns", fields.len(), columns.len())),
            }
        });
        Ok(Some((self.number, row)))
    }

    /// The next line without its end into the buffer; false at the end of the file.
    fn read(&mut self) -> Result<bool, Fault> {
        self.buffer.clear();
        let mut most = (&mut self.file).take(ROW_BYTES_MAX + 1);
        let failed = |what: String| Fault::Usage(format!("{}: {what}", self.path.display()));
        let read = most.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|error| failed(error.to_string()))?;
        self.number += 1;
        if read as u64 > ROW_BYTES_MAX {
            let number = self.number;
            return Err(failed(format!("line {number} is longer than {ROW_BYTES_MAX} bytes")));
        }
        while self.buffer.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            self.buffer.pop();
        }
        Ok(read > 0)
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
