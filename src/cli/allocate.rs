//! `addrd allocate`.

use super::fault::Fault;
use super::owner::Owner;
use super::session::Session;
use super::subnet::{StrategyName, range};
use super::view::{self, View};
use super::{duration, find, hold, network, several};
use addrd_client::plain_allocate;
use addrd_protocol::message::allocate::{AllocatedAddress, SubnetSettings};
use addrd_protocol::message::{
    Allocate as AllocateRequest, AllocateExtras, AllocateFlags, Allocated, AllocationState,
    FamilyChoice, Strategy,
};
use addrd_protocol::{Instance, Mac, NetworkId, OwnerId, Prefix, Range, Slot, SubnetId, Text};
use serde::Serialize;
use std::net::IpAddr;
use uuid::Uuid;

/// Allocates an address (or a block) for an owner.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd allocate demo
  ip=$(addrd allocate blue --owner web-1 -q)
  addrd allocate blue --owner mac:02:00:00:00:00:01 --address 10.0.0.77
  addrd allocate blue --owner vm-7 --family each
  addrd allocate blue --owner job-9 --lease 15m
  addrd allocate blue --owner web-1 --hold request-7 --hold-for 30s
  addrd allocate front back storage --owner pod-1
  addrd allocate pods --owner node-3 --length 24
  addrd allocate --pool nodes --length 24 --owner node-7")]
pub(crate) struct Allocate {
    /// Name or id of the network; of several, an address in each of them or in none
    #[arg(value_name = "NETWORK", required_unless_present_any = ["network_option", "pool"])]
    networks: Vec<String>,
    /// The same as an option
    #[arg(long = "network", value_name = "NETWORK", conflicts_with = "networks")]
    network_option: Vec<String>,
    /// A prefix of this subnet pool instead of an address: name or id
    #[arg(long, conflicts_with_all = ["networks", "network_option", "subnets"])]
    pool: Option<String>,
    /// Who will hold it: any text, an id, or mac:02:00:00:00:00:01 [default: a new id]
    #[arg(long, short = 'w', value_name = "TEXT")]
    owner: Option<Owner>,
    /// Ordinal, when an owner holds several
    #[arg(long, default_value_t = 0)]
    slot: u16,
    /// Which life of the owner asks
    #[arg(long, default_value_t = 0)]
    instance: u64,
    /// Which families: one address, or one of each
    #[arg(long, value_enum, default_value_t = FamilyName::One)]
    family: FamilyName,
    /// How a free address is chosen [default: as the subnet says]
    #[arg(long, value_enum)]
    strategy: Option<StrategyName>,
    /// A block of this prefix length instead of one address
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(0..=128))]
    length: Option<u8>,
    /// Exactly this address
    #[arg(long, value_name = "ADDRESS", conflicts_with = "strategy")]
    address: Option<IpAddr>,
    /// This address if it is free
    #[arg(long, value_name = "ADDRESS", conflicts_with = "address")]
    prefer: Option<IpAddr>,
    /// Only inside this range
    #[arg(long, value_name = "FIRST-LAST", value_parser = range)]
    range: Option<Range>,
    /// Name, id or prefix of a candidate subnet; may be given several times, tried in order
    #[arg(long = "subnet", value_name = "SUBNET")]
    subnets: Vec<String>,
    /// The IPv6 address that follows from this MAC (EUI-64)
    #[arg(long, conflicts_with_all = ["address", "strategy"])]
    mac: Option<Mac>,
    /// Machine that it lives on
    #[arg(long, value_parser = network::text)]
    host: Option<Text>,
    /// System that keeps it
    #[arg(long, value_parser = network::text)]
    manager: Option<Text>,
    /// Label: key=value pairs separated by commas, or free text
    #[arg(long, value_parser = network::text)]
    label: Option<Text>,
    /// It ends so long from now on, unless it is renewed: 90s, 15m, 1h, 7d
    #[arg(long, value_name = "DURATION", value_parser = duration::lease)]
    lease: Option<u64>,
    /// It ends with the lease of its host at the latest (addrd host-lease renew); needs --manager and --host
    #[arg(long, requires_all = ["manager", "host"], conflicts_with = "pool")]
    follow_host: bool,
    /// Hold it under this token until it is confirmed: an id, or any text
    #[arg(long, value_name = "TEXT", value_parser = hold::token, conflicts_with_all = ["lease", "takeover", "pool"])]
    hold: Option<Uuid>,
    /// Let the server choose the slot: the same number of the same token is the same allocation
    #[arg(long, value_name = "NUMBER", requires = "hold", conflicts_with = "slot")]
    hold_item: Option<u16>,
    /// The hold runs out so long from now on [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration::lease, requires = "hold")]
    hold_for: Option<u64>,
    /// Take over from another instance of the same owner
    #[arg(long)]
    takeover: bool,
    /// The exact address may be the gateway
    #[arg(long)]
    allow_gateway: bool,
    /// If nothing is free, take what rests longest since its release
    #[arg(long, conflicts_with = "pool")]
    allow_resting: bool,
    /// Show gateway, DNS servers and routes too
    #[arg(long)]
    want_subnet: bool,
}

/// Which families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FamilyName {
    /// Any single address, IPv4 first
    One,
    /// One IPv4 address
    V4,
    /// One IPv6 address
    V6,
    /// One for every family that the network has
    Each,
    /// One IPv4 and one IPv6 address
    Both,
}

impl FamilyName {
    fn choice(self) -> FamilyChoice {
        match self {
            Self::One => FamilyChoice::One,
            Self::V4 => FamilyChoice::V4,
            Self::V6 => FamilyChoice::V6,
            Self::Each => FamilyChoice::Each,
            Self::Both => FamilyChoice::Both,
        }
    }
}

/// What was allocated, with what the caller knows besides.
#[derive(Debug, Serialize)]
pub(super) struct Got {
    #[serde(flatten)]
    first: AllocatedAddress,
    network_id: NetworkId,
    cidr: Option<Prefix>,
    owner: OwnerId,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second: Option<Second>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Box<[SubnetSettings; 2]>>,
}

/// The second address, with where it is: programs take it like the first.
#[derive(Debug, Serialize)]
struct Second {
    #[serde(flatten)]
    address: AllocatedAddress,
    network_id: NetworkId,
    cidr: Option<Prefix>,
}

impl Got {
    pub(super) fn new(network_id: NetworkId, owner: Owner, allocated: Allocated) -> Self {
        let Allocated { first, second, settings } = allocated;
        Self {
            first,
            network_id,
            cidr: cidr(&first),
            owner: owner.id,
            owner_name: owner.name,
            second: second.map(|address| Second { address, network_id, cidr: cidr(&address) }),
            settings,
        }
    }

    fn all(&self) -> impl Iterator<Item = &AllocatedAddress> {
        std::iter::once(&self.first).chain(self.second.as_ref().map(|second| &second.address))
    }

    /// A field of every address, joined.
    fn each(&self, show: impl Fn(&AllocatedAddress) -> String) -> String {
        self.all().map(show).collect::<Vec<_>>().join(", ")
    }
}

fn cidr(address: &AllocatedAddress) -> Option<Prefix> {
    view::subnet(&address.address, address.subnet_length)
}

impl View for Got {
    const COLUMNS: &'static [&'static str] =
        &["address", "owner", "slot", "subnet_id", "cidr", "revision", "time_left", "note"];

    fn cells(&self) -> Vec<String> {
        let owner = self.owner_name.as_ref().map(ToString::to_string);
        vec![
            self.keys().join(","),
            owner.unwrap_or_else(|| self.owner.to_string()),
            self.each(|address| address.slot.0.to_string()),
            self.each(|address| address.subnet_id.to_string()),
            self.each(|address| cidr(address).map(|c| c.to_string()).unwrap_or_default()),
            self.each(|address| address.revision.to_string()),
            self.time_left(),
            self.note().to_owned(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        self.all().map(|address| view::address(&address.address, address.length)).collect()
    }

    fn titles(&self) -> Vec<String> {
        self.keys()
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let owner = match &self.owner_name {
            Some(name) => format!("{name} ({})", self.owner),
            None => self.owner.to_string(),
        };
        let subnet = self.each(|address| match cidr(address) {
            Some(cidr) => format!("{cidr} ({})", address.subnet_id),
            None => address.subnet_id.to_string(),
        });
        let mut fields = vec![
            ("owner", owner),
            ("slot", self.each(|address| address.slot.0.to_string())),
            (if self.cidr.is_some() { "subnet" } else { "pool" }, subnet),
            ("revision", self.each(|address| address.revision.to_string())),
            ("time_left", self.time_left()),
            ("note", self.note().to_owned()),
        ];
        for (settings, _) in self.settings.iter().flat_map(|all| all.iter()).zip(self.all()) {
            let gateway = settings.gateway.map(|gateway| gateway.to_string());
            let dns: Vec<String> = settings.dns_servers.iter().map(IpAddr::to_string).collect();
            let routes = settings.routes.iter();
            let routes: Vec<String> =
                routes.map(|route| format!("{}={}", route.destination, route.next_hop)).collect();
            fields.push(("gateway", gateway.unwrap_or_default()));
            fields.push(("dns_servers", dns.join(", ")));
            fields.push(("routes", routes.join(", ")));
        }
        fields
    }
}

impl Got {
    /// Nothing if none of them has a lease.
    fn time_left(&self) -> String {
        let has_lease = self.all().any(|address| address.time_left_ms != 0);
        if has_lease {
            self.each(|address| duration::left(address.time_left_ms))
        } else {
            String::new()
        }
    }

    fn note(&self) -> &'static str {
        match &self.first {
            first if first.repeated => "held before",
            first if first.taken_over => "taken over",
            first if first.state == AllocationState::Held => "held until it is confirmed",
            first if first.from_quarantine => "out of quarantine",
            first if first.was_preferred => "the preferred one",
            _ => "",
        }
    }
}

impl Allocate {
    pub(super) fn request(&self, owner: &Owner, subnets: Vec<SubnetId>) -> AllocateRequest {
        let extras = AllocateExtras {
            subnets,
            exact: self.address,
            preferred: self.prefer,
            limit: self.range,
            lease_ms: self.lease,
            hold_token: self.hold,
            hold_ms: self.hold_for,
            hold_item: self.hold_item,
            manager: self.manager.clone(),
            host: self.host.clone(),
            label: self.label.clone(),
            owner_name: owner.name.clone(),
            mac: self.mac,
            follow_host: self.follow_host,
            ..AllocateExtras::default()
        };
        let strategy = match (self.address, self.strategy) {
            _ if self.mac.is_some() => Strategy::Eui64,
            (Some(_), _) => Strategy::Exact,
            (None, Some(strategy)) => strategy.strategy(),
            (None, None) => Strategy::Default,
        };
        AllocateRequest {
            slot: Slot(self.slot),
            instance: Instance(self.instance),
            family: self.family.choice(),
            strategy,
            length: self.length,
            flags: AllocateFlags {
                takeover: self.takeover,
                allow_gateway: self.allow_gateway,
                allow_resting: self.allow_resting,
                want_subnet: self.want_subnet,
            },
            extras: (extras != AllocateExtras::default()).then(|| Box::new(extras)),
            ..plain_allocate(owner.id)
        }
    }
}

impl Allocate {
    /// Refuses what makes sense in one network alone.
    fn check_for_several(&self) -> Result<(), Fault> {
        let single = [
            ("--subnet", !self.subnets.is_empty()),
            ("--address", self.address.is_some()),
            ("--prefer", self.prefer.is_some()),
            ("--range", self.range.is_some()),
            ("--want-subnet", self.want_subnet),
        ];
        match single.iter().find(|(_, given)| *given) {
            Some((option, _)) => {
                Err(Fault::Usage(format!("{option} is for one network; several are named")))
            }
            None => Ok(()),
        }
    }
}

pub(crate) async fn run(session: &Session, allocate: Allocate) -> Result<(), Fault> {
    let owner = allocate.owner.clone().unwrap_or_else(Owner::random);
    let networks = [&allocate.networks[..], &allocate.network_option[..]].concat();
    let named = match &networks[..] {
        [_, _, ..] => {
            allocate.check_for_several()?;
            return several::run(session, &allocate, &networks, owner).await;
        }
        one => one.first(),
    };
    let client = session.client_of(owner.id).await?;
    let (client, network) = match (named, &allocate.pool) {
        (Some(named), _) => find::usable(&client, named).await?,
        (None, Some(pool)) => super::pool::as_network(&client, pool).await?,
        (None, None) => return Err(Fault::Usage("a network or --pool is needed".to_owned())),
    };
    let mut subnets = Vec::new();
    for text in &allocate.subnets {
        subnets.push(find::subnet(&client, network, text).await?.subnet_id);
    }
    let request = allocate.request(&owner, subnets);
    if session.is_dry("allocate so", &request)? {
        return Ok(());
    }
    let allocated = client.allocate(network, request).await?;
    session.output.one(&Got::new(network, owner, allocated))
}
