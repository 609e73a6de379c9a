//! `addrd convert neutron`: Neutron's tables, which its operator takes out of the database with a
//! query that is printed here. Reads a file only; knows no database.

mod catalogue;
mod inside;
mod net;
mod rows;
mod tables;

use super::account::Account;
use super::target::Target;
use crate::cli::fault::Fault;
use crate::cli::output;
use crate::cli::session::Session;
use crate::cli::transfer::faults::Faults;
use catalogue::Catalogue;
use std::path::PathBuf;
use tables::Tables;

/// What the operator runs.
const QUERY: &str = include_str!("query.sql");

/// Makes a file for `addrd import` of Neutron's tables.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The query reads Neutron's database at one moment, with the database's own program, and gives rows as
lines of JSON; addrd needs no access to it. Ids stay what they are: networks, subnets, ports, pools,
scopes, segments. Names, which are not unique in Neutron, become descriptions. A row that can't be
carried over is told with its line, and then nothing is written.

Examples:
  addrd convert neutron --query | mysql --batch --raw --skip-column-names --quick \\
      --default-character-set=utf8mb4 neutron > rows.jsonl
  addrd convert neutron --query | sqlite3 neutron.sqlite > rows.jsonl
  addrd convert neutron rows.jsonl --to state.jsonl
  addrd import state.jsonl --dry-run")]
pub(crate) struct Neutron {
    /// What the query gave
    #[arg(required_unless_present = "query", conflicts_with = "query", value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Print the query
    #[arg(long)]
    query: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(session: &Session, neutron: &Neutron) -> Result<(), Fault> {
    let Some(path) = &neutron.rows else { return output::text(QUERY) };
    let mut account = Account::new(!session.output.is_quiet());
    let mut faults = Faults::default();
    let tables = Tables::read(path, &mut faults, &account)?;
    let name = path.display().to_string();
    let mut lines = Vec::new();
    let catalogue = Catalogue::of(&tables, &name, &mut lines, &mut faults, &mut account);
    inside::networks(tables, &catalogue, &name, &mut lines, &mut faults, &mut account);
    neutron.target.finish(session, &faults, account, |out| lines.into_iter().try_for_each(out))
}
