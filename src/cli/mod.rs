//! The command line: reads arguments, asks the server through the client, prints. Decides nothing
//! about addresses.

mod access_view;
mod allocate;
mod allocation;
mod ask;
mod backup;
mod bench;
mod catalogue_view;
mod check;
mod connect;
mod context;
mod duration;
mod fault;
mod find;
mod free;
mod global;
mod grant;
mod held;
mod history;
mod hold;
mod host_lease;
mod job;
mod lookup;
mod manager;
mod network;
mod new_holder;
mod outlook;
mod output;
mod owner;
#[cfg(test)]
mod pages;
mod pin;
mod pool;
mod port;
mod principal;
mod project;
mod release;
mod renew;
mod restore;
mod scope;
mod segment;
mod serve;
mod server;
mod session;
mod several;
mod subnet;
mod subnet_change;
mod table;
mod time;
mod tls;
mod token;
mod top;
mod transaction;
mod transfer;
mod usage;
mod view;
mod watch;

use clap::{CommandFactory, Parser, Subcommand};
use fault::Fault;
use global::Global;
use session::Session;
use std::ffi::OsString;
use std::process::ExitCode;

/// Hands out IP addresses and prefixes: a server, its clients and its tools in one program.
#[derive(Debug, Parser)]
#[command(
    name = "addrd",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = EXAMPLES,
    propagate_version = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  addrd serve --dev                             a server to try things with
  addrd allocate demo                           an address of the network \"demo\"
  addrd network create blue
  addrd subnet create blue 10.0.0.0/24
  addrd allocate blue --owner web-1
  ip=$(addrd allocate blue --owner web-1 -q)    the same address again
  addrd lookup 10.0.0.2
  addrd release 10.0.0.2

Exit codes: 0 done, 1 fault of addrd, 2 usage or configuration, 3 refused, 4 not found, 5 denied,
6 try later, 7 cannot reach the server, 8 outcome unknown.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a server.
    Serve(serve::Serve),
    /// Networks: create, get, list, update, delete.
    #[command(subcommand)]
    Network(network::Network),
    /// Subnets: create, get, list, update, delete, exclude, include.
    #[command(subcommand)]
    Subnet(subnet::Subnet),
    /// Ports: create, get, list, update, delete.
    #[command(subcommand)]
    Port(port::Port),
    /// Segments of routed networks: create, get, list, update, delete.
    #[command(subcommand)]
    Segment(segment::Segment),
    /// Hosts mapped to segments: create, list, delete.
    #[command(subcommand)]
    Host(segment::Host),
    /// Leases of hosts, which allocations follow: renew, end, list.
    #[command(subcommand)]
    HostLease(host_lease::HostLease),
    /// Managers that keep allocations: list, hosts.
    #[command(subcommand)]
    Manager(manager::Manager),
    /// Says everything that lives on a host, so that the rest is released in the end.
    Reconcile(manager::Reconcile),
    /// Allocations that the last reconciliation of their host missed: list.
    #[command(subcommand)]
    Suspect(manager::Suspect),
    /// Addresses kept for an owner: create, list, delete.
    #[command(subcommand)]
    Pin(pin::Pin),
    /// Allocations: create, get, list, update, delete.
    #[command(subcommand)]
    Allocation(allocation::Allocation),
    /// Projects: create, get, list, update, delete.
    #[command(subcommand)]
    Project(project::Project),
    /// Address scopes: create, get, list, update, delete.
    #[command(subcommand)]
    Scope(scope::Scope),
    /// Subnet pools: create, get, list, update, delete, preview.
    #[command(subcommand)]
    Pool(pool::Pool),
    /// Principals, who may do what: create, get, list, update, delete.
    #[command(subcommand)]
    Principal(principal::Principal),
    /// Tokens of principals: create, list, revoke, rotate.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Jobs of the server: get, list, wait.
    #[command(subcommand)]
    Job(job::Job),
    /// The server: status, accept-clock, adopt, backup, restore, check.
    #[command(subcommand)]
    Server(server::Server),
    /// Allocates an address (or a block) for an owner.
    Allocate(allocate::Allocate),
    /// Does several things on several networks and pools, all or nothing.
    Transaction(transaction::Transaction),
    /// Releases what an address or an owner holds.
    Release(release::Release),
    /// Makes holds allocations.
    Confirm(hold::Confirm),
    /// Ends holds and frees their addresses at once.
    Cancel(hold::Cancel),
    /// Renews the lease of what an address or an owner holds.
    Renew(renew::Renew),
    /// Gives what an address or an owner holds to another owner; the address stays.
    Transfer(new_holder::Transfer),
    /// Finds who holds an address, or what an owner holds.
    Lookup(lookup::Lookup),
    /// Lists allocations.
    List(allocation::List),
    /// Counts of addresses: free, allocated, excluded.
    Usage(usage::Usage),
    /// How full a server is, again and again.
    Top(top::Top),
    /// Free addresses or ranges.
    Free(free::Free),
    /// Who held an address, or what an owner held.
    History(history::History),
    /// Prints changes as they come.
    Watch(watch::Watch),
    /// Writes what a server holds as JSON lines.
    Export(transfer::export::Export),
    /// Shows what differs between a file of `addrd export` and a server.
    Compare(transfer::compare::Compare),
    /// Makes what is in a file of `addrd export`.
    Import(transfer::import::Import),
    /// Makes such a file of what another system kept.
    #[command(subcommand)]
    Convert(transfer::convert::Convert),
    /// Checks a data directory without changing it; no server may use it.
    Check(check::Check),
    /// Servers and settings under a name: set, use, list, delete.
    #[command(subcommand)]
    Context(context::Context),
    /// Measures a server.
    Bench(bench::Bench),
    /// Prints a completion script for a shell.
    Completions(Completions),
    /// Writes manual pages, one for each command, into a directory.
    Man(Man),
}

/// Writes manual pages, one for each command, into a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd man ~/.local/share/man/man1
  addrd man . && man ./addrd-allocate.1")]
struct Man {
    /// Directory; it must be there.
    directory: std::path::PathBuf,
}

/// Prints a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd completions bash > ~/.local/share/bash-completion/completions/addrd
  addrd completions zsh > ~/.zfunc/_addrd")]
struct Completions {
    /// Which shell.
    shell: clap_complete::Shell,
}

/// Runs the program with the arguments of the process.
pub(crate) fn main() -> ExitCode {
    hear_panics();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return fault::report_usage(&error, &arguments),
    };
    let global = cli.global.clone();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fault.report(&global),
    }
}

/// A panic over a damaged file is expected, and told as damage: only other ones are shown.
fn hear_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !addrd::store::expects_panic() {
            usual(panic);
        }
    }));
}

fn run(cli: Cli) -> Result<(), Fault> {
    let session = Session::new(cli.global)?;
    match cli.command {
        Command::Serve(serve) => serve::run(&session, &serve),
        Command::Check(check) => check::run(&session, &check),
        Command::Bench(bench) => bench::run(&session, &bench),
        Command::Import(import) => transfer::import::run(&session, &import),
        Command::Convert(convert) => transfer::convert::run(&session, convert),
        Command::Context(context) => context::run(&session, context),
        Command::Completions(completions) => {
            complete(&completions);
            Ok(())
        }
        Command::Man(man) => write_man(&man),
        command => session.block_on(ask_server(&session, command)),
    }
}

async fn ask_server(session: &Session, command: Command) -> Result<(), Fault> {
    match command {
        Command::Network(network) => network::run(session, network).await,
        Command::Port(port) => port::run(session, port).await,
        Command::Segment(segment) => segment::run(session, segment).await,
        Command::Host(host) => segment::run_host(session, host).await,
        Command::Pin(pin) => pin::run(session, pin).await,
        Command::HostLease(lease) => host_lease::run(session, lease).await,
        Command::Manager(manager) => manager::run(session, manager).await,
        Command::Reconcile(reconcile) => manager::reconcile(session, reconcile).await,
        Command::Suspect(suspect) => manager::suspects(session, suspect).await,
        Command::Subnet(subnet) => subnet::run(session, subnet).await,
        Command::Allocation(allocation) => allocation::run(session, allocation).await,
        Command::Project(project) => project::run(session, project).await,
        Command::Scope(scope) => scope::run(session, scope).await,
        Command::Pool(pool) => pool::run(session, pool).await,
        Command::Principal(principal) => principal::run(session, principal).await,
        Command::Token(token) => token::run(session, token).await,
        Command::Job(job) => job::run(session, job).await,
        Command::Server(server) => server::run(session, server).await,
        Command::Allocate(allocate) => allocate::run(session, allocate).await,
        Command::Transaction(transaction) => transaction::run(session, transaction).await,
        Command::Release(release) => release::run(session, release).await,
        Command::Confirm(confirm) => hold::confirm(session, confirm).await,
        Command::Cancel(cancel) => hold::cancel(session, cancel).await,
        Command::Renew(renew) => renew::run(session, renew).await,
        Command::Transfer(transfer) => new_holder::run(session, transfer).await,
        Command::Lookup(lookup) => lookup::run(session, lookup).await,
        Command::List(list) => allocation::list(session, list).await,
        Command::Usage(usage) => usage::run(session, usage).await,
        Command::Top(top) => top::run(session, top).await,
        Command::Free(free) => free::run(session, free).await,
        Command::History(history) => history::run(session, history).await,
        Command::Watch(watch) => watch::run(session, watch).await,
        Command::Compare(compare) => transfer::compare::run(session, compare).await,
        Command::Export(export) => transfer::export::run(session, export).await,
        Command::Serve(_)
        | Command::Check(_)
        | Command::Bench(_)
        | Command::Import(_)
        | Command::Convert(_)
        | Command::Context(_)
        | Command::Completions(_)
        | Command::Man(_) => Ok(()),
    }
}

fn complete(completions: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut Cli::command(), "addrd", &mut script);
    output::raw(&script);
}

fn write_man(man: &Man) -> Result<(), Fault> {
    clap_mangen::generate_to(Cli::command(), &man.directory).map_err(|error| {
        let directory = man.directory.display();
        Fault::Usage(format!("cannot write manual pages into {directory}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
