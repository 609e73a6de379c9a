//! `addrd server backup`: fetches a backup of a serving server into a file, which appears when it is
//! whole and on disk. Restores nothing.

use super::fault::Fault;
use super::output;
use super::session::Session;
use super::transfer::whole;
use super::view::View;
use addrd::store::{BackupCheck, BackupSummary};
use addrd_client::Client;
use addrd_protocol::message::backup::{BACKUP_RATE_MAX, BACKUP_RATE_MIN};
use serde::Serialize;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// Bytes between two words of how far it is.
const PROGRESS_BYTES: u64 = 256 << 20;

/// Fetches a backup while the server serves.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file holds everything at one position of the journal, at which all is done that had been
acknowledged when the backup began. It appears when it is whole; until then FILE.part is there,
which no restore takes. It is readable by its user alone and not encrypted.

One backup at a time. It costs the server no more than --rate bytes of reading a second, and ends
if the journal fills up faster than it is fetched.

Examples:
  addrd server backup addrd-monday.backup
  addrd server backup addrd.backup --rate 16MiB --force
  addrd server restore addrd.backup ./new-data")]
pub(crate) struct Backup {
    /// The file
    file: PathBuf,
    /// Most bytes of the state that the server reads in a second, such as 16MiB [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    rate: Option<u64>,
    /// Replace a file that is there, once the backup is whole
    #[arg(long)]
    force: bool,
}

/// A rate, at least what the protocol has as the least.
fn rate(text: &str) -> Result<u64, String> {
    let allowed = BACKUP_RATE_MIN..=BACKUP_RATE_MAX;
    let size = addrd::config::any_size(text).filter(|size| allowed.contains(size));
    size.ok_or_else(|| "expected a size from 64KiB to 1TiB, such as 16MiB".to_owned())
}

/// What a backup is, for eyes and programs.
#[derive(Debug, Serialize)]
pub(super) struct Described {
    file: String,
    bytes: u64,
    server_id: String,
    incarnation: u32,
    position: String,
    rows: u64,
    records: u64,
}

impl Described {
    pub(super) fn of(file: &Path, summary: &BackupSummary) -> Self {
        Self {
            file: file.display().to_string(),
            bytes: summary.bytes,
            server_id: summary.begin.server.to_string(),
            incarnation: summary.begin.incarnation.0,
            position: summary.end.last.to_string(),
            rows: summary.end.rows,
            records: summary.end.records,
        }
    }
}

impl View for Described {
    const COLUMNS: &'static [&'static str] =
        &["file", "bytes", "server_id", "incarnation", "position", "rows", "records"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.file.clone(),
            self.bytes.to_string(),
            self.server_id.clone(),
            self.incarnation.to_string(),
            self.position.clone(),
            self.rows.to_string(),
            self.records.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.file.clone()]
    }
}

pub(crate) async fn run(session: &Session, backup: &Backup) -> Result<(), Fault> {
    if backup.file.is_dir() {
        return Err(Fault::Usage(format!("{} is a directory", backup.file.display())));
    }
    if backup.file.exists() && !backup.force {
        return Err(Fault::Refused(format!(
            "{} is there already; --force would replace it",
            backup.file.display()
        )));
    }
    let client = session.client().await?;
    let part = whole::part_of(&backup.file);
    let file = begin(&part)?;
    let fetched = fetch(session, &client, backup, &part, &file).await;
    let summary = match fetched {
        Ok(summary) => summary,
        Err(fault) => {
            // What is there is no backup; why it isn't is told all the same.
            let _ = fs::remove_file(&part);
            return Err(fault);
        }
    };
    whole::appear(&part, &backup.file).map_err(|error| told(&backup.file, &error))?;
    session.output.one(&Described::of(&backup.file, &summary))
}

/// The file that becomes the backup, empty, readable by its user alone, and nobody else's: what a backup
/// that was killed left is taken over, what another one writes is not touched.
fn begin(part: &Path) -> Result<File, Fault> {
    let failed = |error: &io::Error| told(part, error);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(part).map_err(|error| failed(&error))?;
    let opened = file.metadata().map_err(|error| failed(&error))?;
    let is_ours = match file.try_lock() {
        Ok(()) => {
            // Whoever had the lock may have given the file its final name meanwhile.
            let there = fs::metadata(part);
            there.is_ok_and(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino()))
        }
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => return Err(failed(&error)),
    };
    if !is_ours {
        return Err(Fault::Refused(format!("another backup writes {}", part.display())));
    }
    if !opened.is_file() {
        return Ok(file);
    }
    let private = fs::Permissions::from_mode(0o600);
    file.set_permissions(private).and_then(|()| file.set_len(0)).map_err(|error| failed(&error))?;
    Ok(file)
}

/// Fetches all blocks into a file, and syncs it.
async fn fetch(
    session: &Session,
    client: &Client,
    backup: &Backup,
    part: &Path,
    mut file: &File,
) -> Result<BackupSummary, Fault> {
    let mut check = BackupCheck::default();
    let (id, mut number, mut shown) = (Uuid::new_v4(), 0, 0);
    loop {
        let block = client.backup_read(id, number, backup.rate.unwrap_or(0)).await?;
        if block.wait_ms > 0 {
            tokio::time::sleep(Duration::from_millis(block.wait_ms.into())).await;
            continue;
        }
        let checked = check.take(&block.bytes);
        checked.map_err(|fault| Fault::Internal(format!("what the server sent: {fault}")))?;
        file.write_all(&block.bytes).map_err(|error| told(part, &error))?;
        if check.bytes() >= shown + PROGRESS_BYTES && !session.output.is_quiet() {
            shown = check.bytes();
            output::to_stderr(&format!("{} MiB", shown >> 20));
        }
        if block.last {
            break;
        }
        number = number.saturating_add(1);
    }
    file.sync_all().map_err(|error| told(part, &error))?;
    let summary = check.summary();
    summary.ok_or_else(|| Fault::Internal("the server ended before the backup did".to_owned()))
}

fn told(path: &Path, error: &io::Error) -> Fault {
    Fault::Internal(format!("{} can't be written: {error}", path.display()))
}
