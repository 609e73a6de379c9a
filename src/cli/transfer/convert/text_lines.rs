//! Lines of a text file, each of a bounded length. Keeps one and understands none.

use crate::cli::fault::Fault;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest line, bytes: a row with some KiB of context.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Buffer of the file, bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// A file that is read from its beginning.
pub(super) struct TextLines {
    path: PathBuf,
    file: BufReader<File>,
    buffer: Vec<u8>,
    number: u64,
}

impl TextLines {
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path);
        let file = file.map_err(|error| Fault::Usage(format!("{}: {error}", path.display())))?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(Self { path: path.to_owned(), file, buffer: Vec::new(), number: 0 })
    }

    /// Goes to the next line that is not empty. Gives its number, from 1; `None` at the end.
    pub(super) fn advance(&mut self) -> Result<Option<u64>, Fault> {
        loop {
            self.buffer.clear();
            let mut most = (&mut self.file).take(LINE_BYTES_MAX + 1);
            let read = most.read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|error| self.failed(&error.to_string()))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 > LINE_BYTES_MAX {
                let text = format!("line {} is longer than {LINE_BYTES_MAX} bytes", self.number);
                return Err(self.failed(&text));
            }
            while self.buffer.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                self.buffer.pop();
            }
            if !self.buffer.is_empty() {
                return Ok(Some(self.number));
            }
        }
    }

    /// The line that it is at, without its end.
    pub(super) fn line(&self) -> &[u8] {
        &self.buffer
    }

    fn failed(&self, what: &str) -> Fault {
        Fault::Usage(format!("{}: {what}", self.path.display()))
    }
}
