//! Where lines are written: standard output, or a file that appears whole. Knows only lines.

use super::line::{End, Line, Title, VERSION};
use super::reader::Sink;
use super::whole;
use crate::cli::fault::Fault;
use crate::cli::output;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Objects between two words of how far it is.
const PROGRESS_OBJECTS: u64 = 100_000;
/// Buffer of the file, bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// Takes lines in their order.
pub(super) struct Writer {
    out: Out,
    objects: u64,
    shows_progress: bool,
}

enum Out {
    Standard(BufWriter<io::Stdout>),
    File(Unfinished),
}

/// A file under a name of its own until it is whole; readable by its user alone.
struct Unfinished {
    out: BufWriter<File>,
    path: PathBuf,
    final_path: PathBuf,
}

impl Writer {
    /// Begins with the first line; `None` = to standard output.
    pub(super) fn begin(file: Option<&Path>, shows_progress: bool) -> Result<Self, Fault> {
        let out = match file {
            None => Out::Standard(BufWriter::with_capacity(BUFFER_BYTES, io::stdout())),
            Some(path) => Out::File(Unfinished::begin(path)?),
        };
        let mut writer = Self { out, objects: 0, shows_progress };
        writer.line(&Line::Export(Title { version: VERSION }))?;
        Ok(writer)
    }

    /// Ends with the last line; the file is on disk, under its name. Gives the count of objects.
    pub(super) fn end(mut self) -> Result<u64, Fault> {
        let objects = self.objects;
        self.line(&Line::End(End { objects }))?;
        match self.out {
            Out::Standard(mut out) => out.flush()?,
            Out::File(file) => file.end()?,
        }
        Ok(objects)
    }

    fn line(&mut self, line: &Line) -> Result<(), Fault> {
        match &mut self.out {
            Out::Standard(out) => write(out, line)?,
            Out::File(file) => write(&mut file.out, line).map_err(|error| file.failed(&error))?,
        }
        Ok(())
    }
}

impl Sink for Writer {
    fn object(&mut self, object: &Line) -> Result<(), Fault> {
        self.line(object)?;
        self.objects += 1;
        if self.shows_progress && self.objects.is_multiple_of(PROGRESS_OBJECTS) {
            output::to_stderr(&format!("{} objects", self.objects));
        }
        Ok(())
    }
}

fn write(out: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

impl Unfinished {
    fn begin(final_path: &Path) -> Result<Self, Fault> {
        if final_path.is_dir() {
            return Err(Fault::Usage(format!("{} is a directory", final_path.display())));
        }
        let path = whole::part_of(final_path);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&path).map_err(|error| told(&path, &error))?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { out, path, final_path: final_path.to_owned() })
    }

    fn end(self) -> Result<(), Fault> {
        let Self { out, path, final_path } = self;
        let file = out.into_inner().map_err(|error| told(&path, error.error()))?;
        file.sync_all().map_err(|error| told(&path, &error))?;
        whole::appear(&path, &final_path).map_err(|error| told(&final_path, &error))
    }

    fn failed(&self, error: &io::Error) -> Fault {
        told(&self.path, error)
    }
}

fn told(path: &Path, error: &io::Error) -> Fault {
    Fault::Internal(format!("{} can't be written: {error}", path.display()))
}
