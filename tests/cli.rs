//! The command line as people and scripts use it: the real program against a real server, and for
//! answers that a healthy server does not give, against a peer whose frames the test writes.

#[path = "cli/access.rs"]
mod access;
#[path = "cli/adoption.rs"]
mod adoption;
#[path = "cli/backups.rs"]
mod backups;
#[path = "cli/codes.rs"]
mod codes;
#[path = "cli/converts_kea.rs"]
mod converts_kea;
#[path = "cli/converts_neutron.rs"]
mod converts_neutron;
#[path = "cli/exports.rs"]
mod exports;
#[path = "cli/first_setup.rs"]
mod first_setup;
#[path = "cli/forms.rs"]
mod forms;
#[path = "cli/history.rs"]
mod history;
#[path = "cli/holds.rs"]
mod holds;
#[path = "cli/host_leases.rs"]
mod host_leases;
#[path = "cli/leases.rs"]
mod leases;
#[path = "cli/levels.rs"]
mod levels;
#[path = "cli/objects.rs"]
mod objects;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/reconciling.rs"]
mod reconciling;
#[path = "cli/round_trips.rs"]
mod round_trips;
#[path = "cli/secrets.rs"]
mod secrets;
#[expect(dead_code, reason = "other tests choose more kinds of things")]
#[path = "support/seed.rs"]
mod seed;
#[path = "cli/serving.rs"]
mod serving;
#[path = "cli/shared.rs"]
mod shared;
#[path = "cli/shown.rs"]
mod shown;
#[path = "cli/tour.rs"]
mod tour;
#[path = "cli/transactions.rs"]
mod transactions;
#[path = "cli/transfers.rs"]
mod transfers;

/// Says something in the output of a run.
#[expect(clippy::print_stderr, reason = "seeds are read in the output of the run")]
fn say(text: &str) {
    eprintln!("{text}");
}
