//! `addrd export`: the state of a server as JSON lines. Changes nothing.

use super::file::Writer;
use super::reader::Reader;
use crate::cli::connect;
use crate::cli::fault::Fault;
use crate::cli::output;
use crate::cli::session::Session;
use addrd_protocol::Seq;
use std::path::PathBuf;

/// Writes what a server holds as JSON lines.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All projects, or with --project one. What a server numbers and counts itself (revisions, counts) is
not in it: the same state gives the same bytes. Nothing is stopped meanwhile; if something changed
while it was read, that is said at the end. With --leases whatever has a lease says how long it still
goes on, and goes on for so long from when it is imported.

Examples:
  addrd export state.jsonl
  addrd export | gzip > state.jsonl.gz
  addrd export --project blue blue.jsonl
  addrd export --leases state.jsonl")]
pub(crate) struct Export {
    /// The file, which appears when it is whole [default: standard output]
    file: Option<PathBuf>,
    /// Write how long each lease still goes on; without it nothing ends where the file is imported
    #[arg(long)]
    leases: bool,
}

/// What the state of a server says that doubts its clock, or is in adoption mode.
const NO_LEASE_ENDS: &str = "no lease ends";

pub(crate) async fn run(session: &Session, export: Export) -> Result<(), Fault> {
    let client = session.client().await?;
    let only = connect::named_project(&session.global)?;
    if let Some(only) = only {
        client.in_project(only).project_get(None).await?;
    }
    let status = client.server_status().await?;
    if export.leases && (status.adopting || status.state.as_str().contains(NO_LEASE_ENDS)) {
        let why = "what is over by the time goes on now, since the server is in adoption mode or doubts its clock: \
                   --leases would let it end where the file is imported";
        return Err(Fault::Refused(why.to_owned()));
    }
    let begin = status.position;
    let mut writer = Writer::begin(export.file.as_deref(), !session.output.is_quiet())?;
    let mut reader = Reader::new(client, &mut writer);
    reader.leaves_out_holds = true;
    reader.with_leases = export.leases;
    let read = reader.all(only).await?;
    let (end, left_out) = (reader.client.server_status().await?.position, reader.left_out);
    let (leases, resting, holds) = (reader.leases, reader.resting, reader.holds);
    let objects = writer.end()?;
    if session.output.is_quiet() {
        return Ok(());
    }
    output::to_stderr(&format!("{objects} objects of {read} projects at position {}", begin.0));
    if left_out > 0 {
        output::to_stderr(&format!("left out, since they are being deleted: {left_out}"));
    }
    if leases > 0 && !export.leases {
        output::to_stderr(&format!(
            "note: {leases} allocations have a lease, which the file doesn't say without --leases: they \
             don't end where it is imported"
        ));
    }
    if holds > 0 {
        output::to_stderr(&format!(
            "note: left out, since they are held under a token and not confirmed yet: {holds}"
        ));
    }
    if resting > 0 {
        output::to_stderr(&format!(
            "note: {resting} addresses rest, which a file doesn't have: they are free where it is imported"
        ));
    }
    if begin != end {
        output::to_stderr(&moved(begin, end));
    }
    Ok(())
}

fn moved(begin: Seq, end: Seq) -> String {
    format!(
        "note: the state changed while it was read (positions {} to {}): what changed may be in it \
         as it was before or after",
        begin.0, end.0
    )
}
