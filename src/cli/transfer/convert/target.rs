//! Where a conversion goes, and whether it goes there: the options that all converters have.
//! Knows no system.

use super::account::Account;
use crate::cli::connect;
use crate::cli::fault::Fault;
use crate::cli::output;
use crate::cli::session::Session;
use crate::cli::transfer::faults::Faults;
use crate::cli::transfer::file::Writer;
use crate::cli::transfer::line::{InProject, Line};
use crate::cli::transfer::reader::Sink;
use addrd_protocol::message::ProjectCreate;
use addrd_protocol::{ProjectId, Text};
use std::path::PathBuf;

/// Options of every converter.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The file, which appears when it is whole [default: standard output]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Leave out what is at fault instead of writing nothing
    #[arg(long)]
    skip_faulty: bool,
}

impl Target {
    /// Writes all lines that `write` gives, unless there are faults or it is a dry run; shows the
    /// account.
    pub(super) fn finish(
        &self,
        session: &Session,
        faults: &Faults,
        mut account: Account,
        write: impl FnOnce(&mut dyn FnMut(Line) -> Result<(), Fault>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        account.faults = faults.count;
        if !self.skip_faulty {
            faults.verdict("nothing was written; --skip-faulty leaves out what is at fault")?;
        }
        let (dry, quiet) = (session.global.dry_run, session.output.is_quiet());
        let mut writer = match dry {
            true => None,
            false => Some(Writer::begin(self.to.as_deref(), !quiet)?),
        };
        write(&mut |line| {
            account.carry(kind_of(&line));
            writer.as_mut().map_or(Ok(()), |writer| writer.object(&line))
        })?;
        if let Some(writer) = writer {
            writer.end()?;
        }
        if quiet {
            return Ok(());
        }
        if self.to.is_some() || dry {
            return session.output.one(&account);
        }
        output::to_stderr(&account.text());
        Ok(())
    }
}

/// The project of the options, and its line.
pub(super) fn project(session: &Session) -> Result<(ProjectId, Line), Fault> {
    let project_id = connect::named_project(&session.global)?.unwrap_or(ProjectId::DEFAULT);
    let given = session.global.project.as_deref().filter(|text| text.parse::<ProjectId>().is_err());
    let name = match project_id {
        ProjectId::DEFAULT => Some("default"),
        _ => given,
    };
    let name = name.and_then(|name| Text::new(name).ok());
    let object = ProjectCreate { name, ..ProjectCreate::default() };
    Ok((project_id, Line::Project(InProject { project_id, object })))
}

fn kind_of(line: &Line) -> &'static str {
    match line {
        Line::Export(_) | Line::End(_) => "lines",
        Line::Project(_) => "projects",
        Line::Scope(_) => "scopes",
        Line::Pool(_) => "pools",
        Line::Prefix(_) => "prefixes",
        Line::Network(_) => "networks",
        Line::Segment(_) => "segments",
        Line::Host(_) => "hosts",
        Line::Subnet(_) => "subnets",
        Line::Port(_) => "ports",
        Line::Allocation(_) => "allocations",
        Line::Pin(_) => "pins",
        Line::Exclusion(_) => "exclusions",
    }
}
