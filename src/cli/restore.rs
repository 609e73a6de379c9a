//! `addrd server restore`: a data directory from a backup, which appears when it is whole and sound.
//! Needs no server.

use super::backup::Described;
use super::check;
use super::fault::{Fault, told};
use super::output;
use super::session::Session;
use super::transfer::whole;
use super::view::View;
use addrd::engine::clock;
use addrd::limits;
use addrd::model::{Incarnation, Tick};
use addrd::store::{
    self, BackupSummary, Disk, RealDisk, RestoreError, Restored, Restoring, Settings,
    restore_backup, verify_backup,
};
use serde::Serialize;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Incarnations count the seconds since then: the first moment of 2026, s since the Unix epoch.
const INCARNATION_EPOCH_S: u64 = 1_767_225_600;

/// Makes a data directory of a backup.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All of the file is checked before anything is made, and the directory before it appears under its
name. It has the id of the backup's server and a higher incarnation, so that clients see that time
went back, and begins in adoption mode: owners re-take what they hold, and nothing is chosen until
`addrd server adopt --end`. With --dry-run the file is only checked.

The clock of this machine must be right: revisions go on behind it, above all that the lost server
can have given.

Examples:
  addrd server restore addrd.backup ./addrd-data
  addrd server restore addrd.backup ./addrd-data --dry-run
  addrd serve --data ./addrd-data")]
pub(crate) struct Restore {
    /// The backup
    file: PathBuf,
    /// The data directory to make; it must not be there yet, or be empty
    directory: PathBuf,
    /// The incarnation that it gets, higher than any before [default: seconds since 2026]
    #[arg(long, value_name = "NUMBER")]
    incarnation: Option<u32>,
}

/// The result for eyes and programs.
#[derive(Debug, Serialize)]
struct Made {
    directory: String,
    server_id: String,
    incarnation: u32,
    position: String,
    allocations: u64,
}

impl View for Made {
    const COLUMNS: &'static [&'static str] =
        &["directory", "server_id", "incarnation", "position", "allocations"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.directory.clone(),
            self.server_id.clone(),
            self.incarnation.to_string(),
            self.position.clone(),
            self.allocations.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.directory.clone()]
    }
}

pub(crate) fn run(session: &Session, restore: &Restore) -> Result<(), Fault> {
    let mut file = File::open(&restore.file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Fault::NotFound(format!("there is no file {}", restore.file.display()))
        }
        _ => Fault::Internal(format!("{}: {error}", restore.file.display())),
    })?;
    let summary = verify_backup(&mut file).map_err(|error| fault_of(restore, &error))?;
    let restoring = plan(restore, &summary)?;
    if session.global.dry_run {
        return session.output.one(&Described::of(&restore.file, &summary));
    }
    if restore.directory.file_name().is_none() {
        return Err(Fault::Usage(format!(
            "{} can't be given a new directory: name it as its parent does",
            restore.directory.display()
        )));
    }
    refuse_mount_point(&restore.directory)?;
    refuse_content(&restore.directory)?;
    let part = whole::part_of(&restore.directory);
    begin(&part)?;
    let made = make(restore, &part, &mut file, &summary, restoring);
    let made = match made {
        Ok(made) => made,
        Err(fault) => {
            // Half a directory is of no use; why it is one is told all the same.
            let _ = fs::remove_dir_all(&part);
            return Err(fault);
        }
    };
    if restore.incarnation.is_none() {
        outlast(restoring.incarnation);
    }
    let appeared = whole::appear(&part, &restore.directory);
    appeared.map_err(|error| {
        Fault::Internal(format!(
            "{} is whole, but can't be renamed to {}: {error}",
            part.display(),
            restore.directory.display()
        ))
    })?;
    session.output.one(&made)?;
    if !session.output.is_quiet() {
        output::to_stderr(
            "it begins in adoption mode: see `addrd server adopt` once owners have come back",
        );
    }
    Ok(())
}

/// The incarnation and the time that the directory gets.
fn plan(restore: &Restore, summary: &BackupSummary) -> Result<Restoring, Fault> {
    let now = clock::wall_ms();
    if now <= summary.end.tick.0 {
        return Err(Fault::Refused(format!(
            "the clock of this machine is {} s behind the backup's: set it right, since revisions go \
             on behind it",
            summary.end.tick.0.saturating_sub(now) / 1_000 + 1
        )));
    }
    let seconds = (now / 1_000).saturating_sub(INCARNATION_EPOCH_S);
    let incarnation = restore.incarnation.or_else(|| u32::try_from(seconds).ok());
    let known = summary.begin.incarnation.0;
    match incarnation.filter(|incarnation| *incarnation > known) {
        Some(number) => Ok(Restoring { incarnation: Incarnation(number), now: Tick(now) }),
        None => Err(Fault::Refused(format!(
            "the backup is of incarnation {known}, and a restore raises that: give a higher one with \
             --incarnation"
        ))),
    }
}

/// Waits until the second is over that an incarnation is named after, so that the next restore gets
/// a higher one.
fn outlast(incarnation: Incarnation) {
    let end_ms = (INCARNATION_EPOCH_S + u64::from(incarnation.0) + 1) * 1_000;
    let left = end_ms.saturating_sub(clock::wall_ms()).min(1_000);
    std::thread::sleep(Duration::from_millis(left));
}

/// Makes the directory under a name of its own, and looks at all of it.
fn make(
    restore: &Restore,
    part: &Path,
    file: &mut File,
    summary: &BackupSummary,
    restoring: Restoring,
) -> Result<Made, Fault> {
    let failed = |error: io::Error| Fault::Internal(format!("{}: {error}", part.display()));
    RealDisk::make(part).map_err(failed)?;
    // A server gives journal and reserve the length that its settings say when it starts.
    let settings = Settings {
        journal_records_max: limits::JOURNAL_RECORDS_MAX_DEV,
        reserve_bytes: 0,
        ..Settings::default()
    };
    let disk = || Arc::new(RealDisk::new(part)) as Arc<dyn Disk>;
    let restored = restore_backup(&disk(), &settings, file, summary, restoring);
    let Restored { format, .. } = restored.map_err(|error| fault_of(restore, &error))?;
    let report = store::check(disk(), &settings, &mut |_| {});
    let report = report.map_err(|error| check::fault_of(&error, told(&error)))?;
    if let Some(finding) = report.findings.first() {
        let more = report.findings.len() - 1;
        return Err(Fault::Internal(format!(
            "the backup is whole, but what it holds is not sound: {} (and {more} more)",
            finding.what
        )));
    }
    Ok(Made {
        directory: restore.directory.display().to_string(),
        server_id: format.server.to_string(),
        incarnation: format.incarnation.0,
        position: summary.end.last.to_string(),
        allocations: report.allocations,
    })
}

fn fault_of(restore: &Restore, error: &RestoreError) -> Fault {
    match error {
        RestoreError::Backup(fault) => {
            let mut text = format!("{}: {fault}", restore.file.display());
            if let Some(cause) = std::error::Error::source(fault) {
                text.push_str(&format!(": {cause}"));
            }
            Fault::Refused(text)
        }
        RestoreError::Store(error) => check::fault_of(error, told(error)),
    }
}

/// Makes the place to work in. Whoever finds one there leaves it alone: another restore may be at work.
fn begin(part: &Path) -> Result<(), Fault> {
    DirBuilder::new().mode(0o700).create(part).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Fault::Refused(format!(
            "{} is there, of a restore that is at work or was interrupted: if none is, remove it and \
             try again",
            part.display()
        )),
        _ => Fault::Internal(format!("{}: {error}", part.display())),
    })
}

/// What is made beside a mount point can't be renamed to it.
fn refuse_mount_point(directory: &Path) -> Result<(), Fault> {
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev());
    let above = match directory.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    match (device(directory), device(above)) {
        (Ok(own), Ok(above)) if own != above => Err(Fault::Refused(format!(
            "{} is a mount point, which no directory can take the place of: name one inside it",
            directory.display()
        ))),
        _ => Ok(()),
    }
}

fn refuse_content(directory: &Path) -> Result<(), Fault> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Fault::Internal(format!("{}: {error}", directory.display()))),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Fault::Refused(format!(
                "{} is not empty: a restore makes a data directory of its own",
                directory.display()
            ))),
        },
    }
}
