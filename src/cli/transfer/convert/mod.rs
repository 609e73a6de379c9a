//! `addrd convert`: what another system kept, as the lines of an export, which `addrd import` makes.
//! Asks no server, and leaves nothing out without saying so.

mod account;
mod kea;
mod neutron;
mod target;
mod text_lines;

use crate::cli::fault::Fault;
use crate::cli::session::Session;
use clap::Subcommand;

/// Makes a file for `addrd import` of what another system kept.
#[derive(Debug, Subcommand)]
pub(crate) enum Convert {
    /// Kea: its lease files and configurations.
    Kea(kea::Kea),
    /// Neutron: the tables of its database.
    Neutron(neutron::Neutron),
}

pub(crate) fn run(session: &Session, convert: Convert) -> Result<(), Fault> {
    match convert {
        Convert::Kea(kea) => kea::run(session, &kea),
        Convert::Neutron(neutron) => neutron::run(session, &neutron),
    }
}
