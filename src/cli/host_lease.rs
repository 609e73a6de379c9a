//! `addrd host-lease`: one deadline for all that follows a host.

use super::fault::Fault;
use super::session::Session;
use super::view::View;
use super::{duration, manager, network};
use addrd_protocol::Text;
use addrd_protocol::message::{
    EndHost, EndedHost, HostLease as Lease, HostLeaseList, HostLeaseState, OnEnd, RenewHost,
    RenewedHost,
};

/// Host leases: renew, end, list.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum HostLease {
    /// Begins the lease of a host, or lets it go on.
    #[command(after_help = "\
Examples:
  addrd host-lease renew --manager cni n1 --lease 10m --begin
  addrd host-lease renew --manager cni n1 --lease 10m
  addrd host-lease renew --manager cni n1 --lease 10m --begin --on-end release
  addrd allocate blue --owner web-1 --manager cni --host n1 --follow-host")]
    Renew(Renew),
    /// Ends the lease of a host now.
    #[command(after_help = "\
Examples:
  addrd host-lease end --manager cni n1
  addrd host-lease end --manager cni n1 --on-end release")]
    End(End),
    /// Lists hosts of a manager that have a lease.
    #[command(visible_alias = "ls", after_help = "Example:\n  addrd host-lease list --manager cni")]
    List {
        /// The manager
        #[arg(long, value_parser = network::text)]
        manager: Text,
    },
}

/// Which host.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The host
    #[arg(value_parser = network::text)]
    host: Text,
    /// The manager
    #[arg(long, value_parser = network::text)]
    manager: Text,
}

/// What is renewed.
#[derive(Debug, clap::Args)]
pub(crate) struct Renew {
    #[command(flatten)]
    which: Which,
    /// How long the lease goes on from now: 30s, 10m, 1d
    #[arg(long, value_name = "DURATION", value_parser = duration::lease)]
    lease: u64,
    /// What comes of a host that doesn't renew
    #[arg(long, value_enum, default_value = "report")]
    on_end: EndName,
    /// Begins a life of the host, under this number; the time in ms if none is given
    #[arg(long, value_name = "LIFE", num_args = 0..=1)]
    begin: Option<Option<u64>>,
    /// Only if this is the last life that began
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    life: u64,
}

/// What is ended.
#[derive(Debug, clap::Args)]
pub(crate) struct End {
    #[command(flatten)]
    which: Which,
    /// What comes of what follows the host: it stays, or is released
    #[arg(long, value_enum, default_value = "report")]
    on_end: EndName,
    /// Only if this is the last life that began
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    life: u64,
}

/// What comes of a host.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum EndName {
    /// It is told, and nothing is released
    Report,
    /// What follows it is released
    Release,
}

impl EndName {
    const fn on_end(self) -> OnEnd {
        match self {
            Self::Report => OnEnd::Report,
            Self::Release => OnEnd::Release,
        }
    }
}

const fn state_name(state: HostLeaseState) -> &'static str {
    match state {
        HostLeaseState::Absent => "absent",
        HostLeaseState::Running => "running",
        HostLeaseState::Overdue => "overdue",
        HostLeaseState::Ended => "ended",
    }
}

const fn end_name(on_end: OnEnd) -> &'static str {
    match on_end {
        OnEnd::Report => "report",
        OnEnd::Release => "release",
    }
}

impl View for Lease {
    const COLUMNS: &'static [&'static str] =
        &["host", "state", "time_left", "following", "on_end", "life"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.host.to_string(),
            state_name(self.state).to_owned(),
            duration::left(self.time_left_ms),
            self.following.to_string(),
            end_name(self.on_end).to_owned(),
            self.life.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.host.to_string()]
    }
}

impl View for RenewedHost {
    const COLUMNS: &'static [&'static str] = &["time_left", "following", "was", "life"];

    fn cells(&self) -> Vec<String> {
        vec![
            duration::left(self.time_left_ms),
            self.following.to_string(),
            state_name(self.was).to_owned(),
            self.life.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.life.to_string()]
    }
}

impl View for EndedHost {
    const COLUMNS: &'static [&'static str] = &["following", "was"];

    fn cells(&self) -> Vec<String> {
        vec![self.following.to_string(), state_name(self.was).to_owned()]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.following.to_string()]
    }
}

pub(crate) async fn run(session: &Session, lease: HostLease) -> Result<(), Fault> {
    match lease {
        HostLease::Renew(renew) => self::renew(session, renew).await,
        HostLease::End(end) => self::end(session, end).await,
        HostLease::List { manager } => list(session, manager).await,
    }
}

async fn renew(session: &Session, renew: Renew) -> Result<(), Fault> {
    let begin = renew.begin.map_or(0, |life| life.unwrap_or_else(manager::number_of_now));
    let Which { host, manager } = renew.which;
    let on_end = renew.on_end.on_end();
    let request =
        RenewHost { manager, host, lease_ms: renew.lease, on_end, begin, life: renew.life };
    if session.is_dry("renew the lease of the host so", &request)? {
        return Ok(());
    }
    let renewed = session.client().await?.renew_host(request).await?;
    if renewed.was == HostLeaseState::Overdue {
        session.output.remark("the lease of the host was overdue");
    }
    session.output.one(&renewed)
}

async fn end(session: &Session, end: End) -> Result<(), Fault> {
    let Which { host, manager } = end.which;
    let request = EndHost { manager, host, on_end: end.on_end.on_end(), life: end.life };
    if session.is_dry("end the lease of the host so", &request)? {
        return Ok(());
    }
    let ended = session.client().await?.end_host(request).await?;
    session.output.one(&ended)
}

async fn list(session: &Session, manager: Text) -> Result<(), Fault> {
    let client = session.client().await?;
    let list = HostLeaseList { manager, limit: 0, after: None };
    let mut out = session.output.list::<Lease>();
    for item in client.host_leases(list).await? {
        if out.count() >= session.output.objects_max() {
            return out.end(true);
        }
        out.add(item)?;
    }
    out.end(false)
}
