//! `addrd compare`: what differs between a file and a server. Changes nothing.
//!
//! Memory: the server's lines, about 520 bytes an object, measured with a million allocations.

use super::identity::{Identity, Net};
use super::line::{self, Line, Members};
use super::lines::Lines;
use super::reader::{Reader, Sink};
use crate::cli::connect;
use crate::cli::fault::Fault;
use crate::cli::session::Session;
use crate::cli::view::View;
use addrd_protocol::PortId;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;

/// Shows what differs between a file and a server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code is 0 if nothing differs, else 3. All projects, or with --project one.

Examples:
  addrd compare state.jsonl
  addrd compare state.jsonl -o jsonl")]
pub(crate) struct Compare {
    /// A file that `addrd export` wrote, or one like it
    file: PathBuf,
}

/// One difference.
#[derive(Debug, Serialize)]
struct Difference {
    /// Where it is: `file`, `server`, or `both`, but not the same.
    only_in: Place,
    object: String,
    /// Line of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// Members that differ, of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Value>,
    /// The same of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    File,
    Server,
    Both,
}

impl View for Difference {
    const COLUMNS: &'static [&'static str] = &["only_in", "object", "line", "file", "server"];

    fn cells(&self) -> Vec<String> {
        let place = match self.only_in {
            Place::File => "file",
            Place::Server => "server",
            Place::Both => "differs",
        };
        let value =
            |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
        let line = self.line.map(|line| line.to_string()).unwrap_or_default();
        vec![place.to_owned(), self.object.clone(), line, value(&self.file), value(&self.server)]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.object.clone()]
    }
}

/// The server's lines in the order in which they came.
#[derive(Default)]
struct Kept {
    places: HashMap<Identity, usize>,
    /// `None` = the file has it too.
    lines: Vec<Option<(Identity, Box<str>)>>,
}

impl Sink for Kept {
    fn object(&mut self, line: &Line) -> Result<(), Fault> {
        if let Some(identity) = Identity::of(line) {
            self.places.insert(identity.clone(), self.lines.len());
            self.lines.push(Some((identity, text(line)?.into())));
        }
        Ok(())
    }
}

pub(crate) async fn run(session: &Session, compare: Compare) -> Result<(), Fault> {
    let client = session.client().await?;
    let only = connect::named_project(&session.global)?;
    // A file that can't be read is told before the server is asked for everything.
    let mut lines = Lines::open(&compare.file)?;
    let mut kept = Kept::default();
    let mut reader = Reader::new(client, &mut kept);
    reader.leaves_out_holds = true;
    reader.all(only).await?;
    let mut out = session.output.list::<Difference>();
    while let Some(numbered) = lines.next()? {
        let number = numbered.number;
        let line = numbered.line.map_err(|what| Fault::Usage(format!("line {number}: {what}")))?;
        if let Some(difference) = kept.differs(&line, number)? {
            out.add(difference)?;
        }
    }
    for (identity, known) in kept.lines.into_iter().flatten() {
        out.add(Difference {
            only_in: Place::Server,
            object: identity.to_string(),
            line: None,
            file: None,
            server: Some(members(&known)?.into_iter().collect()),
        })?;
    }
    let count = out.count();
    out.end_or(false, "no difference")?;
    match count {
        0 => Ok(()),
        1 => Err(Fault::Refused("1 difference".to_owned())),
        count => Err(Fault::Refused(format!("{count} differences"))),
    }
}

impl Kept {
    /// Whether the owner that a line names is a port on the server.
    fn has_port(&self, line: &Line) -> bool {
        let Line::Allocation(held) = line else { return false };
        let (net, port) = (Net(held.home(), held.network_id), PortId(held.object.owner.0));
        let identity = match held.is_guest() {
            true => Identity::GuestPort(Box::new((net, held.project_id, port))),
            false => Identity::Port(net, port),
        };
        self.places.contains_key(&identity)
    }

    /// Takes a line of the file off the server's, and says what differs.
    fn differs(&mut self, line: &Line, number: u64) -> Result<Option<Difference>, Fault> {
        let Some(identity) = Identity::of(line) else { return Ok(None) };
        let place = self.places.get(&identity);
        let known = place.and_then(|place| self.lines.get_mut(*place)).and_then(Option::take);
        let difference = |only_in, file: Option<Value>, server: Option<Value>| Difference {
            only_in,
            object: identity.to_string(),
            line: Some(number),
            file,
            server,
        };
        let given = text(line)?;
        if known.is_none() && line.is_bare_lease() && self.has_port(line) {
            return Ok(None);
        }
        let Some((_, known)) = known else {
            let all = members(&given)?.into_iter().collect();
            return Ok(Some(difference(Place::File, Some(all), None)));
        };
        if *known == given {
            return Ok(None);
        }
        let (file, server) = (members(&given)?, members(&known)?);
        let unlike = |of: &Members, other: &Members| -> Value {
            let unlike = of.iter().filter(|(name, value)| other.get(*name) != Some(*value));
            unlike.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let (of_file, of_server) = (unlike(&file, &server), unlike(&server, &file));
        Ok(Some(difference(Place::Both, Some(of_file), Some(of_server))))
    }
}

fn text(line: &Line) -> Result<String, Fault> {
    line.without_lease().text().map_err(|error| Fault::Internal(error.to_string()))
}

fn members(text: &str) -> Result<Members, Fault> {
    line::members(text).map_err(|error| Fault::Internal(error.to_string()))
}
