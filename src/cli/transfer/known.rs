//! What is known of a server and of the lines read so far: whether a further line agrees with all
//! of it. Asks nobody.
//!
//! Memory: about 390 bytes a line, measured with a million allocations.

use super::carving::Carving;
use super::identity::{self, Identity, Net};
use super::line::{self, Line};
use super::names::Names;
use super::reader::Sink;
use crate::cli::fault::Fault;
use addrd::allocator;
use addrd_protocol::Prefix;
use addrd_protocol::message::pool::PrefixChoice;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// What a line adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The server has nothing under its key.
    New,
    /// The server has it, as the line says.
    There,
}

/// Where an object was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Server,
    Line(u64),
}

/// An object.
#[derive(Clone, Debug)]
struct Entry {
    origin: Origin,
    content: Content,
}

/// What the server has of an object.
#[derive(Clone, Debug)]
enum Content {
    /// Of those that there may be millions of.
    Digest(u64),
    /// The line.
    Text(Box<str>),
    /// It is of a line: nobody compares with it.
    Unkept,
}

/// Objects, addresses and subnets.
#[derive(Debug, Default)]
pub(super) struct Known {
    objects: HashMap<Identity, Entry>,
    nets: HashMap<Net, Contents>,
    /// Pools and scopes of all projects, since shared ones are named by id alone.
    catalogue: HashSet<uuid::Uuid>,
    /// Networks that other projects may use.
    shared: HashSet<Net>,
    texts: Names,
    carving: Carving,
}

/// What lies in a network, as numbers of addresses.
#[derive(Debug, Default)]
struct Contents {
    /// First to last of what is taken, and by whom.
    taken: BTreeMap<u128, (u128, Origin)>,
    subnets: BTreeMap<u128, Prefix>,
}

impl Known {
    /// A line of the file. `Err` says what it contradicts.
    pub(super) fn file(&mut self, line: &Line, number: u64) -> Result<Seen, String> {
        let Some(identity) = Identity::of(line) else { return Ok(Seen::New) };
        if let Some(Entry { origin, content }) = self.objects.get(&identity) {
            return match origin {
                Origin::Line(other) => Err(format!("{identity}: line {other} says it already")),
                Origin::Server => match differing(line, content)? {
                    None => Ok(Seen::There),
                    Some(what) => {
                        Err(format!("{identity}: the server has it, with another {what}"))
                    }
                },
            };
        }
        self.names(line)?;
        self.texts.check(line)?;
        self.carving.check(line)?;
        // A pool chooses the prefix of one that is not exact.
        if let Line::Subnet(subnet) = line
            && subnet.object.from_pool.as_ref().is_none_or(|from| from.by == PrefixChoice::Exact)
        {
            let alone = allocator::check_subnet(&subnet.object);
            alone.map_err(|failure| format!("{}: {}", failure.status, failure.message))?;
        }
        let mac = mac_of(line);
        if let Some(mac) = &mac
            && let Some(entry) = self.objects.get(mac)
        {
            return Err(format!("{mac}: in use {}", entry.origin.told()));
        }
        self.takes(line)?;
        let entry = Entry { origin: Origin::Line(number), content: Content::Unkept };
        self.note(identity, mac, line, entry);
        Ok(Seen::New)
    }

    /// Whether everything that a line names is there.
    fn names(&self, line: &Line) -> Result<(), String> {
        let project = identity::project_of(line).map(Identity::Project);
        let net = identity::net_of(line).map(Identity::Network);
        let net = net.filter(|_| !matches!(line, Line::Network(_)));
        let named = project.into_iter().chain(net).chain(identity::named_by(line));
        for named in named {
            if !self.objects.contains_key(&named) {
                return Err(format!("there is no {named} on the server or in a line before"));
            }
        }
        if let Some(net) = guest_net(line)
            && !self.shared.contains(&net)
        {
            return Err(format!("{} is not shared by its project", Identity::Network(net)));
        }
        for (kind, id) in named_of_catalogue(line) {
            if !self.catalogue.contains(&id) {
                return Err(format!("there is no {kind} {id} on the server or in a line before"));
            }
        }
        Ok(())
    }

    /// Whether the addresses of a line lie in a subnet and are free, and a subnet overlaps none.
    fn takes(&self, line: &Line) -> Result<(), String> {
        let Some(net) = identity::net_of(line) else { return Ok(()) };
        let Some(contents) = self.nets.get(&net) else { return Ok(()) };
        if let Line::Subnet(subnet) = line
            && let Some(other) = contents.subnet_over(&subnet.object.cidr)
        {
            return Err(format!("{} overlaps subnet {other} of its network", subnet.object.cidr));
        }
        let mut own: Vec<(u128, u128)> = Vec::new();
        for (address, length) in identity::taken_by(line) {
            let (first, last) = span(address, length)?;
            if contents.subnet_around(first, last).is_none() {
                return Err(format!("{address} lies in no subnet of its network"));
            }
            if let Some(origin) = contents.taken_in(first, last) {
                return Err(format!("{address}: taken {}", origin.told()));
            }
            if own.iter().any(|other| other.0 <= last && first <= other.1) {
                return Err(format!("{address} is in the line twice"));
            }
            own.push((first, last));
        }
        Ok(())
    }

    fn note(&mut self, identity: Identity, mac: Option<Identity>, line: &Line, entry: Entry) {
        match line {
            Line::Pool(pool) => {
                self.catalogue.insert(pool.subnet_pool_id.0);
            }
            Line::Scope(scope) => {
                self.catalogue.insert(scope.address_scope_id.0);
            }
            Line::Network(network) if network.object.shared => {
                self.shared.insert(Net(network.project_id, network.network_id));
            }
            _ => {}
        }
        self.texts.note(line, entry.origin);
        self.carving.note(line, entry.origin);
        if let Some(net) = identity::net_of(line) {
            let contents = self.nets.entry(net).or_default();
            if let Line::Subnet(subnet) = line {
                let cidr = subnet.object.cidr;
                contents.subnets.insert(number(cidr.first()), cidr);
            }
            for (address, length) in identity::taken_by(line) {
                if let Ok((first, last)) = span(address, length) {
                    contents.taken.insert(first, (last, entry.origin));
                }
            }
        }
        let of_mac = Entry { origin: entry.origin, content: Content::Unkept };
        self.objects.extend(mac.map(|mac| (mac, of_mac)));
        self.objects.insert(identity, entry);
    }
}

/// Lines of the server are believed.
impl Sink for Known {
    fn object(&mut self, line: &Line) -> Result<(), Fault> {
        if let Some(identity) = Identity::of(line) {
            let content = Content::of(line).map_err(Fault::Internal)?;
            let entry = Entry { origin: Origin::Server, content };
            self.note(identity, mac_of(line), line, entry);
        }
        Ok(())
    }
}

impl Content {
    fn of(line: &Line) -> Result<Self, String> {
        Ok(match line {
            Line::Allocation(_) | Line::Prefix(_) => Self::Digest(digest(line)?),
            line => Self::Text(text(line)?.into()),
        })
    }
}

impl Origin {
    pub(super) fn told(self) -> String {
        match self {
            Self::Server => "on the server".to_owned(),
            Self::Line(number) => format!("by line {number}"),
        }
    }
}

impl Contents {
    fn subnet_over(&self, cidr: &Prefix) -> Option<&Prefix> {
        let before = self.subnets.range(..=number(cidr.last())).next_back();
        before.map(|(_, other)| other).filter(|other| number(other.last()) >= number(cidr.first()))
    }

    fn subnet_around(&self, first: u128, last: u128) -> Option<&Prefix> {
        let before = self.subnets.range(..=first).next_back();
        before.map(|(_, subnet)| subnet).filter(|subnet| number(subnet.last()) >= last)
    }

    fn taken_in(&self, first: u128, last: u128) -> Option<Origin> {
        let before = self.taken.range(..=last).next_back();
        before.filter(|(_, (end, _))| *end >= first).map(|(_, (_, origin))| *origin)
    }
}

/// The network of another project that a line is in.
fn guest_net(line: &Line) -> Option<Net> {
    let is_guest = match line {
        Line::Port(port) => port.is_guest(),
        Line::Allocation(held) => held.is_guest(),
        _ => false,
    };
    identity::net_of(line).filter(|_| is_guest)
}

fn mac_of(line: &Line) -> Option<Identity> {
    let Line::Port(port) = line else { return None };
    Some(Identity::Mac(Net(port.home(), port.network_id), port.object.mac?))
}

/// Pools and scopes that a line names; they may be of other projects.
fn named_of_catalogue(line: &Line) -> Vec<(&'static str, uuid::Uuid)> {
    match line {
        Line::Prefix(prefix) => vec![("pool", prefix.subnet_pool_id.0)],
        Line::Subnet(subnet) => {
            let pool = subnet.object.from_pool.as_ref().map(|pool| pool.subnet_pool_id);
            let pool = pool.filter(|pool| !pool.is_nil());
            pool.map(|pool| ("pool", pool.0)).into_iter().collect()
        }
        Line::Network(network) => {
            let scopes = [network.object.scope_v4, network.object.scope_v6];
            scopes.into_iter().flatten().map(|scope| ("scope", scope.0)).collect()
        }
        Line::Pool(pool) => {
            let scope = pool.object.address_scope_id.map(|scope| ("scope", scope.0));
            scope.into_iter().chain(pool.object.parent_id.map(|pool| ("pool", pool.0))).collect()
        }
        _ => Vec::new(),
    }
}

/// An address of either family as one number.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn span(address: IpAddr, length: Option<u8>) -> Result<(u128, u128), String> {
    let Some(length) = length else { return Ok((number(address), number(address))) };
    let block = Prefix::new(address, length);
    let block = block.ok_or_else(|| format!("{address}/{length} is no block of addresses"))?;
    Ok((number(block.first()), number(block.last())))
}

/// The first member that a line gives and the server has otherwise.
fn differing(line: &Line, content: &Content) -> Result<Option<String>, String> {
    match content {
        Content::Unkept => Ok(None),
        Content::Digest(known) => {
            let differs = digest(line)? != *known;
            Ok(differs.then(|| "address, length, instance or text".to_owned()))
        }
        Content::Text(known) => {
            let fault = |error: serde_json::Error| error.to_string();
            let known = line::members(known).map_err(fault)?;
            let given = line::members(&text(line)?).map_err(fault)?;
            let differs = |(name, value): &(String, Value)| known.get(name) != Some(value);
            let mut given = given.into_iter().filter(|(name, value)| says(name, value));
            Ok(given.find(differs).map(|(name, _)| name))
        }
    }
}

/// Whether a member says something about the object: `allow_gateway` is a permission for the
/// request, and the strategy `default` leaves the choice to the server.
fn says(name: &str, value: &Value) -> bool {
    name != "allow_gateway" && !(name == "strategy" && value == "default")
}

fn text(line: &Line) -> Result<String, String> {
    line.text().map_err(|error| error.to_string())
}

fn digest(line: &Line) -> Result<u64, String> {
    let mut hasher = DefaultHasher::new();
    text(line)?.hash(&mut hasher);
    Ok(hasher.finish())
}
