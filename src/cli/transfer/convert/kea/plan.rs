//! From Kea's configuration to networks, subnets and pools: a link (a shared network, or a subnet of
//! its own) becomes a network. Knows no leases.

use super::client::Client;
use super::config::{Dhcp, OptionData, PdPool, Reservation, Subnet};
use super::parts::{addresses, pools, wanted};
use crate::cli::transfer::convert::account::Account;
use crate::cli::transfer::faults::Faults;
use addrd_protocol::message::subnet::DNS_SERVERS_MAX;
use addrd_protocol::{Family, Prefix, Range, Text};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Prefixes of one pool, at most.
const PREFIXES_MAX: usize = addrd_protocol::message::pool::POOL_PREFIXES_MAX;

/// What there is before anybody holds anything.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) nets: Vec<Net>,
    pub(super) subnets: Vec<Sub>,
    pub(super) kept: Vec<Kept>,
    by_name: HashMap<Text, usize>,
    by_first: BTreeMap<IpAddr, usize>,
    delegated: BTreeMap<IpAddr, (Prefix, usize)>,
    /// All links in one network of this name.
    one: Option<Text>,
}

/// A network.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) name: Text,
    /// Of the shared network, as it is written.
    shared: Option<String>,
    /// What prefixes are delegated from: of all its subnets.
    pub(super) delegated: Option<Delegated>,
}

/// What prefixes are delegated from, and how long they are.
#[derive(Debug)]
pub(super) struct Delegated {
    pub(super) prefixes: Vec<Prefix>,
    pub(super) default: u8,
    pub(super) shortest: u8,
    pub(super) longest: u8,
}

/// A subnet.
#[derive(Debug)]
pub(super) struct Sub {
    pub(super) net: usize,
    pub(super) cidr: Prefix,
    /// As the configuration says; 0 = it says none.
    pub(super) id: u32,
    pub(super) pools: Vec<Range>,
    pub(super) gateway: Option<IpAddr>,
    pub(super) dns_servers: Vec<IpAddr>,
    /// Kea hands out an address that a broadcast subnet keeps back.
    pub(super) is_routed: bool,
}

/// What is kept for a client.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) place: String,
    pub(super) client: Client,
    pub(super) what: Result<IpAddr, Prefix>,
    /// Of the subnet that it stands in.
    subnet: Option<usize>,
}

/// Where a link's subnets stand, and what they take from above.
struct Link<'a> {
    family: Family,
    place: String,
    net: Option<usize>,
    options: Vec<&'a [OptionData]>,
}

impl Plan {
    pub(super) fn new(one: Option<Text>) -> Self {
        Self { one, ..Self::default() }
    }

    /// Adds what a server's configuration says.
    pub(super) fn add(
        &mut self,
        (family, dhcp): &(Family, Dhcp),
        file: &str,
        faults: &mut Faults,
        account: &mut Account,
    ) {
        let digit = if *family == Family::V4 { 4 } else { 6 };
        let place = format!("{file}: Dhcp{digit}");
        for (at, shared) in dhcp.shared_networks.iter().enumerate() {
            let place = format!("{place}.shared-networks[{at}]");
            let net = match self.shared_net(&shared.name) {
                Ok(net) => Some(net),
                Err(what) => {
                    faults.add(&place, what);
                    continue;
                }
            };
            let options = vec![shared.option_data.as_slice(), dhcp.option_data.as_slice()];
            let link = Link { family: *family, place, net, options };
            self.subnets(&shared.subnets, &link, faults, account);
        }
        let options = vec![dhcp.option_data.as_slice()];
        let link = Link { family: *family, place: place.clone(), net: None, options };
        self.subnets(&dhcp.subnets, &link, faults, account);
        self.reservations(&dhcp.reservations, &place, None, faults, account);
    }

    fn subnets(
        &mut self,
        subnets: &[Subnet],
        link: &Link<'_>,
        faults: &mut Faults,
        account: &mut Account,
    ) {
        let digit = if link.family == Family::V4 { 4 } else { 6 };
        for (at, subnet) in subnets.iter().enumerate() {
            let place = format!("{}.subnet{digit}[{at}]", link.place);
            match self.subnet(subnet, link, &place, account) {
                Ok(sub) => {
                    self.reservations(&subnet.reservations, &place, Some(sub), faults, account);
                }
                Err(what) => faults.add(&place, what),
            }
        }
    }

    /// Gives the number of the subnet.
    fn subnet(
        &mut self,
        subnet: &Subnet,
        link: &Link<'_>,
        place: &str,
        account: &mut Account,
    ) -> Result<usize, String> {
        let cidr: Prefix = subnet.subnet.parse().map_err(|error| format!("{error}"))?;
        if cidr.family() != link.family {
            return Err(format!("{cidr} is of another family than the server"));
        }
        let before = self.by_first.range(..=cidr.last()).next_back();
        let other = before.and_then(|(_, at)| self.subnets.get(*at));
        if let Some(other) = other.filter(|other| other.cidr.overlaps(&cidr)) {
            return Err(format!("{cidr} overlaps {}", other.cidr));
        }
        let mut options = vec![subnet.option_data.as_slice()];
        options.extend(&link.options);
        let gateway = match link.family {
            Family::V4 => addresses(&options, "routers", 3, Family::V4)?.into_iter().next(),
            Family::V6 => None,
        };
        let mut dns_servers = match link.family {
            Family::V4 => addresses(&options, "domain-name-servers", 6, Family::V4)?,
            Family::V6 => addresses(&options, "dns-servers", 23, Family::V6)?,
        };
        if dns_servers.len() > DNS_SERVERS_MAX {
            let count = dns_servers.len();
            account.remark(format!(
                "{place}: {count} DNS servers: the first {DNS_SERVERS_MAX} are kept"
            ));
            dns_servers.truncate(DNS_SERVERS_MAX);
        }
        let (pools, is_routed) = pools(subnet, &cidr, gateway)?;
        let delegated = subnet.pd_pools.iter().map(|pool| self.pd_pool(pool));
        let delegated = delegated.collect::<Result<Vec<_>, String>>()?;
        let net = self.net_of(link, subnet.id)?;
        for (prefix, length) in delegated {
            self.delegate(net, prefix, length)?;
        }
        let sub = self.subnets.len();
        self.by_first.insert(cidr.first(), sub);
        let id = subnet.id;
        self.subnets.push(Sub { net, cidr, id, pools, gateway, dns_servers, is_routed });
        Ok(sub)
    }

    /// The network of a link; a subnet of its own has one by its number.
    fn net_of(&mut self, link: &Link<'_>, id: u32) -> Result<usize, String> {
        if let Some(net) = link.net {
            return Ok(net);
        }
        let digit = if link.family == Family::V4 { 4 } else { 6 };
        let is_numbered = id != 0;
        let number = if is_numbered { u64::from(id) } else { self.nets.len() as u64 + 1 };
        let text = format!("kea{digit}-{}{number}", if is_numbered { "" } else { "link" });
        let name = Text::new(&text).map_err(|error| error.to_string())?;
        if self.one.is_none() && self.by_name.contains_key(&name) {
            return Err(format!("there is another network \"{name}\""));
        }
        Ok(self.net(name, None))
    }

    /// Of a shared network; the two servers may have one of the same name, which is the same link.
    fn shared_net(&mut self, shared: &str) -> Result<usize, String> {
        let name = named(shared).ok_or_else(|| format!("\"{shared}\" can be no name"))?;
        let net = self.net(name.clone(), Some(shared));
        let own = self.nets.get(net).and_then(|net| net.shared.as_deref());
        match self.one.is_some() || own == Some(shared) {
            true => Ok(net),
            false => Err(format!("\"{shared}\": there is another network \"{name}\"")),
        }
    }

    fn net(&mut self, name: Text, shared: Option<&str>) -> usize {
        let name = self.one.clone().unwrap_or(name);
        if let Some(net) = self.by_name.get(&name) {
            return *net;
        }
        let net = self.nets.len();
        self.by_name.insert(name.clone(), net);
        self.nets.push(Net { name, shared: shared.map(str::to_owned), delegated: None });
        net
    }

    fn pd_pool(&self, pool: &PdPool) -> Result<(Prefix, u8), String> {
        let PdPool { prefix, prefix_len, delegated_len } = pool;
        let first: IpAddr = prefix.parse().map_err(|_| format!("\"{prefix}\" is no address"))?;
        let prefix = Prefix::truncated(first, *prefix_len).filter(|_| first.is_ipv6());
        let prefix = prefix.ok_or_else(|| format!("{first}/{prefix_len} is no prefix of IPv6"))?;
        if !(prefix.length()..=Family::V6.bits()).contains(delegated_len) {
            return Err(format!("delegated-len {delegated_len} does not fit {prefix}"));
        }
        match self.delegated_over(&prefix) {
            Some((other, _)) => Err(format!("pd-pool {prefix} overlaps {other}")),
            None => Ok((prefix, *delegated_len)),
        }
    }

    fn delegated_over(&self, prefix: &Prefix) -> Option<&(Prefix, usize)> {
        let before = self.delegated.range(..=prefix.last()).next_back();
        before.map(|(_, known)| known).filter(|(other, _)| other.overlaps(prefix))
    }

    fn delegate(&mut self, net: usize, prefix: Prefix, length: u8) -> Result<(), String> {
        if let Some((other, _)) = self.delegated_over(&prefix) {
            return Err(format!("pd-pool {prefix} overlaps {other}"));
        }
        self.delegated.insert(prefix.first(), (prefix, net));
        let Some(net) = self.nets.get_mut(net) else { return Ok(()) };
        let delegated = net.delegated.get_or_insert_with(|| Delegated {
            prefixes: Vec::new(),
            default: length,
            shortest: length,
            longest: length,
        });
        // As a pool shows them: neighbours are one.
        let mut nets: Vec<IpNet> = delegated.prefixes.iter().map(Prefix::net).collect();
        nets.push(prefix.net());
        let merged = IpNet::aggregate(&nets);
        let prefixes = merged.iter().filter_map(|net| Prefix::new(net.addr(), net.prefix_len()));
        delegated.prefixes = prefixes.collect();
        delegated.prefixes.sort();
        delegated.extend_to(length);
        match delegated.prefixes.len() <= PREFIXES_MAX {
            true => Ok(()),
            false => Err(format!("more than {PREFIXES_MAX} pd-pools of one link")),
        }
    }

    fn reservations(
        &mut self,
        reservations: &[Reservation],
        place: &str,
        subnet: Option<usize>,
        faults: &mut Faults,
        account: &mut Account,
    ) {
        for (at, reservation) in reservations.iter().enumerate() {
            let place = format!("{place}.reservations[{at}]");
            let wanted = match wanted(reservation) {
                Ok(wanted) => wanted,
                Err(what) => {
                    faults.add(&place, what);
                    continue;
                }
            };
            if wanted.is_empty() {
                account.leave_out("reservations without an address");
                continue;
            }
            match Client::reserved(reservation) {
                Ok(client) => self.kept.extend(wanted.into_iter().map(|what| Kept {
                    place: place.clone(),
                    client: client.clone(),
                    what,
                    subnet,
                })),
                Err(what) => faults.add(&place, what),
            }
        }
    }

    /// The subnet that an address lies in.
    pub(super) fn subnet_of(&self, address: IpAddr) -> Option<usize> {
        let (_, at) = self.by_first.range(..=address).next_back()?;
        self.subnets.get(*at).filter(|sub| sub.cidr.contains(&address)).map(|_| *at)
    }

    /// The same for something that is kept, which lies in the subnet that it stands in.
    pub(super) fn subnet_of_kept(&self, kept: &Kept, address: IpAddr) -> Option<usize> {
        self.subnet_of(address).filter(|sub| kept.subnet.is_none_or(|own| own == *sub))
    }

    /// The network whose pool a prefix lies in, and whether the pool gives that length.
    pub(super) fn net_of_prefix(&self, prefix: &Prefix) -> Option<usize> {
        let (_, (pool, net)) = self.delegated.range(..=prefix.first()).next_back()?;
        (pool.net().contains(&prefix.net())).then_some(*net)
    }
}

impl Delegated {
    /// Gives prefixes of this length too.
    pub(super) fn extend_to(&mut self, length: u8) {
        self.shortest = self.shortest.min(length);
        self.longest = self.longest.max(length);
    }
}

/// A text as a name: what no name has becomes a hyphen. `None` if that is none either.
pub(super) fn named(text: &str) -> Option<Text> {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let text: String = text.chars().map(|c| if is_kept(c) { c } else { '-' }).collect();
    Text::new(&text).ok().filter(Text::is_name)
}
