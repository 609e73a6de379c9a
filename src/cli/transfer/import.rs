//! `addrd import`: a first pass over the file that changes nothing, then a second that makes what
//! is not there. Never changes or removes what is there.

use super::faults::Faults;
use super::identity::{self, Net};
use super::known::{Known, Seen};
use super::line::Line;
use super::lines::Lines;
use super::maker::Maker;
use super::offline;
use super::reader::Reader;
use crate::cli::fault::Fault;
use crate::cli::output;
use crate::cli::session::Session;
use addrd_client::{Client, Sessions, Settings};
use addrd_protocol::{ProjectId, Status};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Lines between two words of how far it is.
const PROGRESS_LINES: u64 = 100_000;
/// Connections of the second pass.
const LANES: usize = 2;

/// Makes what is in a file of `addrd export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
First every line is checked against the file and the server, and nothing is changed: all faults are
counted, the first 100 are shown. With --dry-run that is all. Only a file without faults is made, in
chunks, as it was: where a rule became narrower than what is there (bounds and quota of a pool, service
types, hosts), that is no fault. What is there already as the file says is left as it is, so the same
command can be given again, also after it was interrupted.

Examples:
  addrd import state.jsonl --dry-run
  addrd import state.jsonl
  addrd import state.jsonl --data ./addrd-data    no server runs; the directory appears whole")]
pub(crate) struct Import {
    /// A file that `addrd export` wrote, or one like it
    file: PathBuf,
    /// Make this data directory, which is not there or empty, instead of asking a server
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) fn run(session: &Session, import: &Import) -> Result<(), Fault> {
    match &import.data {
        Some(directory) => offline::run(session, import, directory),
        None => {
            let settings = session.settings(Sessions::Random)?;
            session.block_on(self::import(session, import, settings))
        }
    }
}

/// Both passes, against the server that the settings name.
pub(super) async fn import(
    session: &Session,
    import: &Import,
    settings: Settings,
) -> Result<(), Fault> {
    let client = Client::connect(Settings { lanes: LANES, ..settings }).await?;
    let says = !session.output.is_quiet();
    let checked = check(&client, &import.file, says).await?;
    if says {
        let (new, there) = (checked.new, checked.there.len());
        output::to_stderr(&format!("checked: {new} objects to make, {there} there already"));
    }
    if session.global.dry_run {
        return Ok(());
    }
    let mut maker = Maker::new(client);
    let mut lines = Lines::open(&import.file)?;
    while let Some(numbered) = lines.next()? {
        let number = numbered.number;
        let changed =
            |error| Fault::Refused(format!("line {number}: {error}: the file was changed"));
        let line = numbered.line.map_err(changed)?;
        if !checked.there.contains(&number) {
            maker.line(number, line).await?;
        }
        if says && number.is_multiple_of(PROGRESS_LINES) {
            output::to_stderr(&format!("{number} lines made"));
        }
    }
    let (made, there, faults) = maker.end().await?;
    let there = there + checked.there.len() as u64;
    if says {
        output::to_stderr(&format!("{made} objects made, {there} there already"));
    }
    faults.verdict("what the server refused was not made; all else is there")
}

/// What a first pass counted.
struct Checked {
    new: u64,
    /// Lines whose objects the server has.
    there: HashSet<u64>,
}

/// Reads the whole file and compares.
async fn check(client: &Client, file: &Path, says: bool) -> Result<Checked, Fault> {
    let mut reader = Reader::new(client.clone(), Known::default());
    let projects = reader.catalogue(None).await?;
    for project in &projects {
        reader.outline(*project).await?;
    }
    let mut checker = Checker { reader, projects, asked: HashSet::new(), prefixes_read: false };
    let mut faults = Faults::default();
    let mut checked = Checked { new: 0, there: HashSet::new() };
    let mut lines = Lines::open(file)?;
    while let Some(numbered) = lines.next()? {
        let number = numbered.number;
        let seen = match numbered.line {
            Ok(Line::Export(_) | Line::End(_)) => continue,
            Ok(line) => checker.line(&line, number).await?,
            Err(error) => Err(error),
        };
        match seen {
            Ok(Seen::New) => checked.new += 1,
            Ok(Seen::There) => {
                checked.there.insert(number);
            }
            Err(what) => faults.add(format_args!("line {number}"), what),
        }
        if says && number.is_multiple_of(PROGRESS_LINES) {
            output::to_stderr(&format!("{number} lines checked"));
        }
    }
    faults.verdict("nothing was changed")?;
    Ok(checked)
}

/// Asks the server about what lines are in before it compares them.
struct Checker {
    reader: Reader<Known>,
    /// Those that the server has: any may have something on a shared network.
    projects: Vec<ProjectId>,
    asked: HashSet<Net>,
    prefixes_read: bool,
}

impl Checker {
    async fn line(&mut self, line: &Line, number: u64) -> Result<Result<Seen, String>, Fault> {
        if let Some(net) = identity::net_of(line)
            && self.asked.insert(net)
            && let Err(what) = self.network(net).await?
        {
            return Ok(Err(what));
        }
        if !self.prefixes_read && identity::takes_prefix(line) {
            self.prefixes_read = true;
            for project in &self.projects {
                self.reader.prefixes(*project).await?;
            }
        }
        Ok(self.reader.sink.file(line, number))
    }

    /// What the server has in a network.
    async fn network(&mut self, net: Net) -> Result<Result<(), String>, Fault> {
        let client = self.reader.client.in_project(net.0);
        let network = match client.network_get(net.1).await {
            Err(error) if error.is(Status::NOT_FOUND) => return Ok(Ok(())),
            network => network?,
        };
        if network.deleting {
            return Ok(Err(format!("network {} is being deleted", net.1)));
        }
        self.reader.network(&client, network, &self.projects).await?;
        Ok(Ok(()))
    }
}
