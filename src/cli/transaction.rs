//! `addrd transaction`: several operations on several networks and pools, all or nothing.

use super::fault::Fault;
use super::output;
use super::session::Session;
use addrd_protocol::codec::BATCH_BYTES_MAX;
use addrd_protocol::message::Transaction as Request;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Longest text that is read, bytes: JSON is several times as long as a frame.
const TEXT_BYTES_MAX: u64 = 8 * BATCH_BYTES_MAX as u64;

/// Does several things on several networks and pools, all or nothing.
///
/// FILE is an object with `items`: each has `network` (an id), `pool` if that is a subnet pool,
/// `network_project` if another project shares it, and `operation`, an item of a batch as in the
/// specification of the protocol.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd transaction changes.json
  addrd transaction - <<'END'
  {\"items\": [
    {\"network\": \"22222222-2222-4222-8222-222222222222\",
     \"operation\": {\"port_delete\": {\"port_id\": \"55555555-5555-4555-8555-555555555555\", \"expected\": \"0\"}}}
  ]}
  END

`addrd allocate NETWORK NETWORK ..` does the same for one owner in several networks, and
`addrd allocate NETWORK .. --dry-run` shows how an item is written.")]
pub(crate) struct Transaction {
    /// JSON text; - reads standard input
    file: PathBuf,
}

pub(crate) async fn run(session: &Session, transaction: Transaction) -> Result<(), Fault> {
    let text = read(&transaction.file)?;
    let request: Request = serde_json::from_str(&text).map_err(|error| {
        Fault::Usage(format!("{}: not a transaction: {error}", transaction.file.display()))
    })?;
    if session.is_dry("do so, all or nothing", &request)? {
        return Ok(());
    }
    let client = session.client().await?;
    output::json(&client.transaction(request).await?)
}

fn read(file: &Path) -> Result<String, Fault> {
    let failed = |error: io::Error| Fault::Usage(format!("{}: {error}", file.display()));
    let from: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(file).map_err(failed)?),
    };
    let mut text = String::new();
    from.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        let message = format!("{}: longer than {TEXT_BYTES_MAX} bytes", file.display());
        return Err(Fault::Usage(message));
    }
    Ok(text)
}
