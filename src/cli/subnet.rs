//! `addrd subnet`: reading, creating and deleting. Changes are in `subnet_change.rs`.

use super::fault::Fault;
use super::session::Session;
use super::subnet_change::{self, Exclude, Include, Update};
use super::{ask, duration, find, network, pool};
use addrd_client::Client;
use addrd_protocol::id::NAMESPACE;
use addrd_protocol::message::{
    FromPool, Ipv6Mode, PrefixChoice, Route, Service, Strategy, Subnet as SubnetObject,
    SubnetCreate, SubnetDelete, SubnetKind,
};
use addrd_protocol::{
    Family, NetworkId, Prefix, Range, Revision, SegmentId, Setting, SubnetId, Text,
};
use std::net::IpAddr;
use uuid::Uuid;

/// Subnets: create, get, list, update, delete, exclude, include.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subnet {
    /// Creates a subnet; the same command again finds it.
    #[command(after_help = "\
Examples:
  addrd subnet create blue 10.0.0.0/24
  addrd subnet create blue fd00:1::/64 --name blue-v6 --dns fd00::53
  addrd subnet create blue 10.1.0.0/24 --gateway 10.1.0.254 --pool 10.1.0.10-10.1.0.99
  addrd subnet create pods 10.244.0.0/16 --routed
  addrd subnet create blue --from-pool nodes --length 26 --name blue-2
  addrd subnet create blue fd00:2::/64 --enable-dhcp --ipv6-ra-mode slaac --ipv6-address-mode slaac")]
    Create(Box<Create>),
    /// Shows a subnet.
    #[command(visible_alias = "show")]
    Get(Get),
    /// Lists the subnets of a network.
    #[command(visible_alias = "ls")]
    List(List),
    /// Changes a subnet; its prefix and kind stay.
    #[command(after_help = "Example:\n  addrd subnet update blue 10.0.0.0/24 --no-gateway")]
    Update(Box<Update>),
    /// Deletes a subnet; with live allocations only with --force.
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Keeps a range from being handed out.
    #[command(
        after_help = "Example:\n  addrd subnet exclude blue 10.0.0.0/24 10.0.0.200-10.0.0.220 --reason printers"
    )]
    Exclude(Exclude),
    /// Ends the exclusion of exactly this range.
    Include(Include),
}

/// Creates a subnet.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name or id of the network
    network: String,
    /// The prefix, for example 10.0.0.0/24; with --from-pool it may be left out
    #[arg(required_unless_present = "from_pool")]
    cidr: Option<Prefix>,
    /// Take the prefix from this subnet pool: name or id
    #[arg(long, value_name = "POOL")]
    from_pool: Option<String>,
    /// Any prefix of this length of the pool [default: the pool's default length]
    #[arg(long, value_name = "BITS", requires = "from_pool", conflicts_with = "cidr")]
    length: Option<u8>,
    /// Only inside this part of the pool; may be given several times
    #[arg(long = "allow", value_name = "CIDR", requires = "from_pool")]
    allowed: Vec<Prefix>,
    /// Overlapping nothing of this; may be given several times
    #[arg(long = "avoid", value_name = "CIDR", requires = "from_pool")]
    disallowed: Vec<Prefix>,
    /// Name: 1 to 63 of A-Z a-z 0-9 . _ -
    #[arg(long)]
    name: Option<String>,
    /// Its id [default: follows from network and prefix]
    #[arg(long)]
    id: Option<SubnetId>,
    /// Every address can be used; no gateway unless given
    #[arg(long)]
    routed: bool,
    /// Gateway [default: the first address, in a subnet that has one]
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<IpAddr>,
    /// No gateway
    #[arg(long, conflicts_with = "gateway")]
    no_gateway: bool,
    /// Range that addresses are drawn from; may be given several times [default: all usable]
    #[arg(long = "pool", value_name = "FIRST-LAST", value_parser = range)]
    pools: Vec<Range>,
    /// Draw no address automatically
    #[arg(long, conflicts_with = "pools")]
    no_pools: bool,
    /// How addresses are chosen for requests that do not say
    #[arg(long, value_enum, default_value_t = StrategyName::Next)]
    strategy: StrategyName,
    /// DNS server, stored for clients; may be given several times
    #[arg(long = "dns", value_name = "ADDRESS")]
    dns_servers: Vec<IpAddr>,
    /// Route, stored for clients; may be given several times
    #[arg(long = "route", value_name = "CIDR=HOP", value_parser = route)]
    routes: Vec<Route>,
    /// Stored for clients; decides nothing here
    #[arg(long)]
    enable_dhcp: bool,
    /// For people
    #[arg(long, value_parser = network::text)]
    description: Option<Text>,
    /// What routers announce; needs --enable-dhcp
    #[arg(long, value_enum, value_name = "MODE")]
    ipv6_ra_mode: Option<ModeName>,
    /// How addresses are given; needs --enable-dhcp
    #[arg(long, value_enum, value_name = "MODE")]
    ipv6_address_mode: Option<ModeName>,
    /// Only for ports of this device owner; may be given several times
    #[arg(long = "service-type", value_name = "OWNER", value_parser = network::text)]
    service_types: Vec<Text>,
    /// Id of the segment that it is on
    #[arg(long, value_name = "ID")]
    segment: Option<SegmentId>,
    /// How long an address rests once it was released; 0: not at all [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration::rest)]
    quarantine: Option<u64>,
}

/// Names a subnet.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// Name or id of the network
    network: String,
    /// Name, id or prefix of the subnet
    subnet: String,
}

/// Lists subnets.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Name or id of the network
    network: String,
}

/// Deletes a subnet.
#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// Name or id of the network
    network: String,
    /// Name, id or prefix of the subnet
    subnet: String,
    /// Release what is live in it
    #[arg(long)]
    force: bool,
    /// Do not wait until everything is released
    #[arg(long)]
    no_wait: bool,
}

/// How hosts of an IPv6 subnet get their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ModeName {
    /// From the prefix and their MAC
    Slaac,
    /// From DHCPv6
    #[value(name = "dhcpv6-stateful")]
    Stateful,
    /// Like slaac; DHCPv6 gives what else there is
    #[value(name = "dhcpv6-stateless")]
    Stateless,
}

impl ModeName {
    fn mode(self) -> Ipv6Mode {
        match self {
            Self::Slaac => Ipv6Mode::Slaac,
            Self::Stateful => Ipv6Mode::Stateful,
            Self::Stateless => Ipv6Mode::Stateless,
        }
    }
}

/// How a free address is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StrategyName {
    /// The lowest free address
    Lowest,
    /// The first free one after the last that was handed out
    Next,
    /// The first free one after a random place
    Random,
    /// The first free one after a place derived from the owner
    Hashed,
}

impl StrategyName {
    pub(crate) fn strategy(self) -> Strategy {
        match self {
            Self::Lowest => Strategy::Lowest,
            Self::Next => Strategy::Next,
            Self::Random => Strategy::Random,
            Self::Hashed => Strategy::Hashed,
        }
    }
}

/// `FIRST-LAST`, a prefix, or a single address.
pub(crate) fn range(text: &str) -> Result<Range, String> {
    let error = || format!("\"{text}\" is not FIRST-LAST, a prefix or an address");
    if let Some((first, last)) = text.split_once('-') {
        let first = first.trim().parse().map_err(|_| error())?;
        let last = last.trim().parse().map_err(|_| error())?;
        return Range::new(first, last)
            .ok_or_else(|| format!("{first} to {last} is no rising range of one family"));
    }
    if let Ok(prefix) = text.parse::<Prefix>() {
        return Ok(prefix.range());
    }
    let address: IpAddr = text.parse().map_err(|_| error())?;
    Range::new(address, address).ok_or_else(error)
}

/// `CIDR=HOP`.
pub(crate) fn route(text: &str) -> Result<Route, String> {
    let error = || format!("\"{text}\" is not CIDR=HOP");
    let (destination, next_hop) = text.split_once('=').ok_or_else(error)?;
    Ok(Route {
        destination: destination.parse().map_err(|_| error())?,
        next_hop: next_hop.parse().map_err(|_| error())?,
    })
}

pub(crate) async fn run(session: &Session, subnet: Subnet) -> Result<(), Fault> {
    match subnet {
        Subnet::Create(create) => self::create(session, *create).await,
        Subnet::Get(get) => {
            let client = session.client().await?;
            let (client, network) = find::usable(&client, &get.network).await?;
            session.output.one(&find::subnet(&client, network, &get.subnet).await?)
        }
        Subnet::List(list) => self::list(session, &list.network).await,
        Subnet::Update(update) => subnet_change::update(session, *update).await,
        Subnet::Delete(delete) => self::delete(session, delete).await,
        Subnet::Exclude(exclude) => subnet_change::exclude(session, exclude).await,
        Subnet::Include(include) => subnet_change::include(session, &include).await,
    }
}

async fn create(session: &Session, create: Create) -> Result<(), Fault> {
    let name = create.name.as_deref().map(find::name).transpose()?;
    let client = session.client().await?;
    let network = find::network_id(&client, &create.network).await?;
    let (cidr, from_pool) = source(&client, &create).await?;
    let id = match (create.id, create.cidr, &name) {
        (Some(id), _, _) => id,
        (None, Some(cidr), _) => id_of(network, &cidr),
        (None, None, Some(name)) => {
            let text = format!("subnet:{network}:{name}");
            SubnetId(Uuid::new_v5(&NAMESPACE, text.as_bytes()))
        }
        (None, None, None) => SubnetId(Uuid::new_v4()),
    };
    let request = SubnetCreate {
        subnet_id: id,
        cidr,
        from_pool,
        kind: if create.routed { SubnetKind::Routed } else { SubnetKind::Broadcast },
        strategy: create.strategy.strategy(),
        enable_dhcp: create.enable_dhcp,
        gateway: match (create.gateway, create.no_gateway) {
            (Some(gateway), _) => Setting::Value(gateway),
            (None, true) => Setting::Null,
            (None, false) => Setting::Unset,
        },
        pools: match (create.pools.is_empty(), create.no_pools) {
            (false, _) | (true, true) => Setting::Value(create.pools),
            (true, false) => Setting::Unset,
        },
        dns_servers: create.dns_servers,
        routes: create.routes,
        name,
        description: create.description,
        quarantine_ms: create.quarantine,
        service: Service {
            ipv6_ra_mode: create.ipv6_ra_mode.map(ModeName::mode),
            ipv6_address_mode: create.ipv6_address_mode.map(ModeName::mode),
            service_types: create.service_types,
            segment_id: create.segment,
        },
    };
    if session.is_dry("create this subnet", &request)? {
        return Ok(());
    }
    let made = client.subnet_create(network, request).await?;
    if made.repeated {
        session.output.remark("note: it existed already; nothing was changed");
    }
    session.output.one(&made)
}

/// The prefix that is asked for, and the pool that it comes from.
async fn source(
    client: &Client,
    create: &Create,
) -> Result<(Prefix, Option<Box<FromPool>>), Fault> {
    let Some(named) = &create.from_pool else {
        let cidr = create.cidr.ok_or_else(|| Fault::Usage("a prefix is needed".to_owned()))?;
        return Ok((cidr, None));
    };
    let pool = pool::find(client, named).await?;
    let first = match pool.family {
        Family::V4 => IpAddr::from([0; 4]),
        Family::V6 => IpAddr::from([0; 16]),
    };
    let (cidr, by) = match (create.cidr, create.length) {
        (Some(cidr), _) => (cidr, PrefixChoice::Exact),
        (None, length) => {
            let by = length.map_or(PrefixChoice::DefaultLength, |_| PrefixChoice::Length);
            let cidr = Prefix::truncated(first, length.unwrap_or(0));
            (cidr.ok_or_else(|| Fault::Usage("the length is too long".to_owned()))?, by)
        }
    };
    let from = FromPool {
        subnet_pool_id: pool.subnet_pool_id,
        by,
        allowed: create.allowed.clone(),
        disallowed: create.disallowed.clone(),
    };
    Ok((cidr, Some(Box::new(from))))
}

/// The id of a subnet whose creator names none: a prefix is unique in its network.
pub(crate) fn id_of(network: NetworkId, cidr: &Prefix) -> SubnetId {
    let text = format!("subnet:{network}:{cidr}");
    SubnetId(Uuid::new_v5(&NAMESPACE, text.as_bytes()))
}

async fn list(session: &Session, network: &str) -> Result<(), Fault> {
    let client = session.client().await?;
    let (client, network) = find::usable(&client, network).await?;
    let most = session.output.objects_max();
    let mut subnets = client.subnets(network);
    let mut out = session.output.list::<SubnetObject>();
    while let Some(subnet) = subnets.next().await? {
        if out.count() >= most {
            return out.end(true);
        }
        out.add(subnet)?;
    }
    out.end(false)
}

async fn delete(session: &Session, delete: Delete) -> Result<(), Fault> {
    let client = session.client().await?;
    let network = find::network_id(&client, &delete.network).await?;
    let subnet = find::subnet(&client, network, &delete.subnet).await?;
    let what = format!(
        "delete subnet {} ({}) with {} allocations",
        subnet.cidr, subnet.subnet_id, subnet.allocations
    );
    if session.is_dry(&what, &subnet)? {
        return Ok(());
    }
    ask::confirm(&session.global, &format!("{what}?"))?;
    let request =
        SubnetDelete { subnet_id: subnet.subnet_id, force: delete.force, expected: Revision(0) };
    let deleted = client.subnet_delete(network, request).await?;
    network::finish(session, &client, deleted, delete.no_wait).await?;
    network::gone(session, &format!("subnet {}", subnet.cidr), &subnet.subnet_id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_people_write_them() {
        let read = |text: &str| range(text).map(|range| range.to_string());
        assert_eq!(read("10.0.0.1-10.0.0.9"), Ok("10.0.0.1-10.0.0.9".to_owned()));
        assert_eq!(read("10.0.0.8/30"), Ok("10.0.0.8-10.0.0.11".to_owned()));
        assert_eq!(read("fd00::1"), Ok("fd00::1-fd00::1".to_owned()));
        for wrong in ["", "10.0.0.9-10.0.0.1", "10.0.0.1-fd00::1", "a-b", "10.0.0.1-"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn routes_are_read_as_people_write_them() {
        let read = route("0.0.0.0/0=10.0.0.1").unwrap();
        assert_eq!(read.next_hop, IpAddr::from([10, 0, 0, 1]));
        for wrong in ["", "0.0.0.0/0", "x=10.0.0.1", "0.0.0.0/0=x"] {
            assert!(route(wrong).is_err(), "{wrong}");
        }
    }
}
