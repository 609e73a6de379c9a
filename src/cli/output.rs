//! Standard output and error: tables, JSON, lines. Knows no command.

use super::fault::Fault;
use super::global::{Format, Global};
use super::table;
use super::view::View;
use serde::Serialize;
use std::io::{self, BufWriter, IsTerminal, Write};

/// Objects of a table unless told otherwise: its columns can be aligned only when all are known.
const TABLE_OBJECTS_DEFAULT: usize = 1_000;

/// How results are printed.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    headers: bool,
    limit: Option<usize>,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            format: global.output,
            quiet: global.quiet,
            headers: !global.no_headers,
            limit: global.limit,
        }
    }

    /// Most objects that a list prints.
    pub(crate) fn objects_max(&self) -> usize {
        match (self.limit, self.format) {
            (Some(0), _) => usize::MAX,
            (Some(limit), _) => limit,
            (None, Format::Table) if !self.quiet => TABLE_OBJECTS_DEFAULT,
            (None, _) => usize::MAX,
        }
    }

    /// The limit that was given; 0 stands for none.
    pub(crate) fn objects_given(&self) -> Option<usize> {
        self.limit.map(|limit| if limit == 0 { usize::MAX } else { limit })
    }

    /// Whether only addresses or ids are printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether programs read it: then the form must not depend on how many objects there are.
    pub(crate) fn is_json(&self) -> bool {
        !self.quiet && self.format == Format::Json
    }

    /// Whether objects are printed as they are, in JSON of either form.
    pub(crate) fn is_objects(&self) -> bool {
        !self.quiet && matches!(self.format, Format::Json | Format::Jsonl)
    }

    /// Whether people read it.
    pub(crate) fn is_table(&self) -> bool {
        !self.quiet && self.format == Format::Table
    }

    /// Prints one object.
    pub(crate) fn one<T: View>(&self, object: &T) -> Result<(), Fault> {
        let mut out = stdout();
        if self.quiet {
            object.keys().iter().try_for_each(|key| writeln!(out, "{key}"))?;
        } else {
            match self.format {
                Format::Table => write!(out, "{}", table::details(object))?,
                Format::Json => write_json(&mut out, object, true)?,
                Format::Jsonl => write_json(&mut out, object, false)?,
                Format::Plain => self.plain(&mut out, std::slice::from_ref(object), true)?,
            }
        }
        Ok(out.flush()?)
    }

    /// A list that is printed as it comes, where the format allows.
    pub(crate) fn list<T: View>(&self) -> ListOutput<'_, T> {
        ListOutput { output: self, out: stdout(), count: 0, waiting: Vec::new() }
    }

    /// A remark for people: to standard error, and not when programs read.
    pub(crate) fn remark(&self, text: &str) {
        if self.is_table() {
            to_stderr(text);
        }
    }

    fn plain<T: View>(&self, out: &mut impl Write, rows: &[T], first: bool) -> io::Result<()> {
        if first && self.headers {
            writeln!(out, "{}", T::COLUMNS.join("\t"))?;
        }
        rows.iter().try_for_each(|row| writeln!(out, "{}", row.cells().join("\t")))
    }
}

/// Prints a list; table rows are kept until the end, others leave at once.
pub(crate) struct ListOutput<'a, T> {
    output: &'a Output,
    out: BufWriter<io::StdoutLock<'static>>,
    count: usize,
    waiting: Vec<T>,
}

impl<T: View> ListOutput<'_, T> {
    pub(crate) fn add(&mut self, object: T) -> Result<(), Fault> {
        let first = self.count == 0;
        self.count += 1;
        if self.output.quiet {
            object.keys().iter().try_for_each(|key| writeln!(self.out, "{key}"))?;
            return Ok(());
        }
        match self.output.format {
            Format::Table => self.waiting.push(object),
            Format::Json => {
                self.out.write_all(if first { b"[\n" } else { b",\n" })?;
                serde_json::to_writer(&mut self.out, &object).map_err(io::Error::from)?;
            }
            Format::Jsonl => write_json(&mut self.out, &object, false)?,
            Format::Plain => self.output.plain(&mut self.out, &[object], first)?,
        }
        Ok(())
    }

    /// Objects so far.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Ends the list; `more` says that objects were left out.
    pub(crate) fn end(self, more: bool) -> Result<(), Fault> {
        self.end_or(more, "nothing found")
    }

    /// The same, with another word for an empty list.
    pub(crate) fn end_or(mut self, more: bool, nothing: &str) -> Result<(), Fault> {
        if !self.output.quiet {
            match self.output.format {
                Format::Table if self.waiting.is_empty() => {}
                Format::Table => {
                    let text = table::rows(&self.waiting, self.output.headers);
                    self.out.write_all(text.as_bytes())?;
                }
                Format::Json if self.count == 0 => self.out.write_all(b"[]\n")?,
                Format::Json => self.out.write_all(b"\n]\n")?,
                Format::Plain if self.count == 0 => {
                    self.output.plain::<T>(&mut self.out, &[], true)?;
                }
                Format::Jsonl | Format::Plain => {}
            }
        }
        self.out.flush()?;
        if self.count == 0 {
            self.output.remark(nothing);
        }
        if more {
            self.output.remark("there are more; --limit 0 shows all");
        }
        Ok(())
    }
}

fn stdout() -> BufWriter<io::StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

fn write_json(out: &mut impl Write, value: &impl Serialize, pretty: bool) -> io::Result<()> {
    match pretty {
        true => serde_json::to_writer_pretty(&mut *out, value)?,
        false => serde_json::to_writer(&mut *out, value)?,
    }
    out.write_all(b"\n")
}

/// Prints a JSON value that is no object of the server's.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Fault> {
    let mut out = stdout();
    write_json(&mut out, value, true)?;
    Ok(out.flush()?)
}

/// Prints text to standard output as it is.
pub(crate) fn text(text: &str) -> Result<(), Fault> {
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Like [`text`], for bytes whose reader may be gone.
pub(crate) fn raw(bytes: &[u8]) {
    // A reader that closed its end wants no more.
    let _ = io::stdout().lock().write_all(bytes);
}

/// Prints a line to standard error; nobody is left to tell if that fails.
pub(crate) fn to_stderr(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether somebody sits at a terminal who can be asked.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
