//! Reads the lines of a file, and says of each what is wrong with it alone. Keeps one line.

use super::line::{Line, VERSION};
use crate::cli::fault::Fault;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest line, bytes: a subnet pool with all its prefixes takes 8 KiB.
const LINE_BYTES_MAX: u64 = 256 << 10;
/// Buffer of the file, bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// A file that is read from its beginning.
pub(super) struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    buffer: Vec<u8>,
    number: u64,
    ended: bool,
}

/// A line, or what is wrong with it.
pub(super) struct Numbered {
    /// The first is 1.
    pub(super) number: u64,
    pub(super) line: Result<Line, String>,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path);
        let file = file.map_err(|error| Fault::Usage(format!("{}: {error}", path.display())))?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(Self { path: path.to_owned(), file, buffer: Vec::new(), number: 0, ended: false })
    }

    /// The next line; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Numbered>, Fault> {
        self.buffer.clear();
        let mut most = (&mut self.file).take(LINE_BYTES_MAX + 1);
        let read = most.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|error| self.failed(&error.to_string()))?;
        if read == 0 {
            return match self.ended {
                true => Ok(None),
                false => Err(self.failed("it ends without the line \"end\": it was cut short")),
            };
        }
        self.number += 1;
        if read as u64 > LINE_BYTES_MAX {
            let text = format!("line {} is longer than {LINE_BYTES_MAX} bytes", self.number);
            return Err(self.failed(&text));
        }
        let line = serde_json::from_slice(&self.buffer).map_err(|error| error.to_string());
        let line = line.and_then(|line| self.in_place(line));
        Ok(Some(Numbered { number: self.number, line }))
    }

    /// Whether the line may stand where it stands.
    fn in_place(&mut self, line: Line) -> Result<Line, String> {
        let objects = self.number.saturating_sub(2);
        match &line {
            _ if self.ended => return Err("behind the line \"end\"".to_owned()),
            Line::Export(title) if title.version != VERSION => {
                return Err(format!("version {}: this program reads {VERSION}", title.version));
            }
            Line::Export(_) if self.number != 1 => return Err("not the first line".to_owned()),
            Line::Export(_) => {}
            _ if self.number == 1 => return Err("the first line is no \"export\"".to_owned()),
            Line::End(end) => {
                self.ended = true;
                if end.objects != objects {
                    return Err(format!("it says {} objects, there are {objects}", end.objects));
                }
            }
            _ => {}
        }
        Ok(line)
    }

    fn failed(&self, what: &str) -> Fault {
        Fault::Usage(format!("{}: {what}", self.path.display()))
    }
}
