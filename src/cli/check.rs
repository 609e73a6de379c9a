//! `addrd check`: whether a data directory is sound. Changes nothing in it.

use super::fault::{Fault, told};
use super::output;
use super::session::Session;
use super::view::View;
use addrd::store::{self, CheckReport, CheckStage, RealDisk, StoreError};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Progress is shown every so many steps.
const PROGRESS_STEPS: u64 = 100_000;

/// Checks a data directory without changing it; no server may use it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything that is wrong is printed, and then the exit code is 1.

Example:
  addrd check ./addrd-data")]
pub(crate) struct Check {
    /// Data directory
    directory: PathBuf,
}

/// The result for eyes and programs.
#[derive(Debug, Serialize)]
struct Checked {
    directory: String,
    sound: bool,
    findings: Vec<String>,
    more_findings: bool,
    position: addrd_protocol::Seq,
    folded: addrd_protocol::Seq,
    networks: u64,
    subnets: u64,
    allocations: u64,
    resting: u64,
    jobs: u64,
}

impl View for Checked {
    const COLUMNS: &'static [&'static str] = &[
        "sound",
        "directory",
        "findings",
        "position",
        "folded",
        "networks",
        "subnets",
        "allocations",
        "resting",
        "jobs",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.sound.to_string(),
            self.directory.clone(),
            self.findings.len().to_string(),
            self.position.to_string(),
            self.folded.to_string(),
            self.networks.to_string(),
            self.subnets.to_string(),
            self.allocations.to_string(),
            self.resting.to_string(),
            self.jobs.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        self.findings.clone()
    }

    fn titles(&self) -> Vec<String> {
        let verdict = if self.sound { "sound" } else { "damaged" };
        std::iter::once(format!("{} is {verdict}", self.directory))
            .chain(self.findings.iter().map(|what| format!("  {what}")))
            .chain(self.more_findings.then(|| "  and more".to_owned()))
            .collect()
    }
}

pub(crate) fn run(session: &Session, check: &Check) -> Result<(), Fault> {
    if !check.directory.is_dir() {
        return Err(Fault::NotFound(format!(
            "there is no directory {}",
            check.directory.display()
        )));
    }
    let disk = Arc::new(RealDisk::new(&check.directory));
    let watched = output::is_interactive();
    let report = store::check(disk, &store::Settings::default(), &mut |progress| {
        if watched && progress.done.is_multiple_of(PROGRESS_STEPS) {
            let stage = match progress.stage {
                CheckStage::Opening => "opening",
                CheckStage::Folding => "folding, in memory",
                CheckStage::Reading => "reading",
            };
            session.output.remark(&format!("{stage}: {}", progress.done));
        }
    });
    let report = report.map_err(|error| fault_of(&error, told(&error)))?;
    let checked = checked(check, report);
    session.output.one(&checked)?;
    match checked.sound {
        true => Ok(()),
        false => Err(Fault::Internal(format!("{} is damaged", checked.directory))),
    }
}

fn checked(check: &Check, report: CheckReport) -> Checked {
    Checked {
        directory: check.directory.display().to_string(),
        sound: report.findings.is_empty(),
        findings: report.findings.into_iter().map(|finding| finding.what).collect(),
        more_findings: report.more,
        position: report.last,
        folded: report.folded,
        networks: report.networks,
        subnets: report.subnets,
        allocations: report.allocations,
        resting: report.resting,
        jobs: report.jobs,
    }
}

/// Whose fault it is that a data directory can't be used; `text` is what people are told.
pub(super) fn fault_of(error: &StoreError, text: String) -> Fault {
    match error {
        StoreError::Locked { .. } => Fault::Refused(text),
        StoreError::Absent { .. } => Fault::NotFound(text),
        StoreError::Unfinished { .. } | StoreError::Strange { .. } | StoreError::Newer { .. } => {
            Fault::Usage(text)
        }
        _ => Fault::Internal(text),
    }
}
