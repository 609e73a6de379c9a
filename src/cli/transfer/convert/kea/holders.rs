//! Who holds what: leases and reservations in the networks and pools of a plan, with owners and
//! slots. Writes nothing.

use super::client::{Client, DECLINED};
use super::leases::{Lease, Leases};
use super::parts::is_edge;
use super::plan::{Kept, Plan};
use crate::cli::owner::Owner;
use crate::cli::transfer::convert::account::Account;
use crate::cli::transfer::faults::Faults;
use addrd_protocol::{OwnerId, Prefix, Slot, Text};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Pins of a subnet, at most; with more reservations they are allocations.
const PINS_MAX: usize = addrd::limits::PINS_PER_SUBNET_MAX;

/// Of one network, or of its pool.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// By address.
    pub(super) held: BTreeMap<IpAddr, Holder>,
    pub(super) pins: BTreeMap<IpAddr, Holder>,
}

/// Who holds an address or a prefix, or has it pinned.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) owner: Owner,
    pub(super) slot: Slot,
    /// Of a prefix.
    pub(super) length: Option<u8>,
    pub(super) label: Option<Text>,
    /// When its lease ends, s since the Unix epoch.
    pub(super) expire: Option<u64>,
}

/// All holders: of each network its addresses, and its prefixes.
#[derive(Debug, Default)]
pub(super) struct Holders {
    pub(super) addresses: Vec<Book>,
    pub(super) prefixes: Vec<Book>,
}

/// A reservation that has its place.
struct Place<'a> {
    kept: &'a Kept,
    owner: Owner,
    net: usize,
    subnet: Option<usize>,
    length: Option<u8>,
}

type Key = (bool, IpAddr);

/// Everybody's addresses and prefixes.
pub(super) fn holders(
    plan: &mut Plan,
    leases: &Leases,
    faults: &mut Faults,
    account: &mut Account,
) -> Holders {
    let kept = std::mem::take(&mut plan.kept);
    let places = places(plan, &kept, faults);
    let books = |_| Book::default();
    let mut all = Holders {
        addresses: (0..plan.nets.len()).map(books).collect(),
        prefixes: (0..plan.nets.len()).map(books).collect(),
    };
    for (key, lease) in &leases.live {
        let held = match lease.length {
            None => address(plan, *key, lease, places.get(key)),
            Some(length) => prefix(plan, *key, lease, length, places.get(key)),
        };
        let held = held.and_then(|(net, holder)| all.hold(*key, net, holder));
        if let Err(what) = held {
            faults.add(leases.place(lease), what);
        }
    }
    keep(plan, places, &mut all, faults, account);
    for book in all.addresses.iter_mut().chain(&mut all.prefixes) {
        if book.number_slots().is_none() {
            faults.add("one link", "more than 65,536 addresses of one owner");
        }
    }
    all
}

impl Holders {
    /// Leases come by address: a prefix can only overlap the one before.
    fn hold(
        &mut self,
        (is_prefix, address): Key,
        net: usize,
        holder: Holder,
    ) -> Result<(), String> {
        let books = if is_prefix { &mut self.prefixes } else { &mut self.addresses };
        let Some(book) = books.get_mut(net) else { return Ok(()) };
        let before = book.held.last_key_value().and_then(|(first, before)| {
            Prefix::new(*first, before.length?).filter(|before| before.contains(&address))
        });
        if let Some(before) = before {
            return Err(format!("{address} has two owners: it lies in {before}, which is leased"));
        }
        book.held.insert(address, holder);
        Ok(())
    }
}

/// Where each reservation belongs; each address has one.
fn places<'a>(plan: &Plan, kept: &'a [Kept], faults: &mut Faults) -> BTreeMap<Key, Place<'a>> {
    let mut places: BTreeMap<Key, Place<'a>> = BTreeMap::new();
    for kept in kept {
        let (key, place) = match place(plan, kept) {
            Ok(placed) => placed,
            Err(what) => {
                faults.add(&kept.place, what);
                continue;
            }
        };
        if let Some(other) = places.get(&key) {
            let other = &other.kept.place;
            faults.add(&kept.place, format_args!("{} has two owners: see {other}", key.1));
            continue;
        }
        places.insert(key, place);
    }
    places
}

fn place<'a>(plan: &Plan, kept: &'a Kept) -> Result<(Key, Place<'a>), String> {
    let owner = kept.client.owner()?;
    match kept.what {
        Ok(address) => {
            let subnet = plan.subnet_of_kept(kept, address);
            let subnet = subnet.ok_or_else(|| format!("{address} lies outside its subnet"))?;
            let net = plan.subnets.get(subnet).map(|sub| sub.net).unwrap_or_default();
            let subnet = Some(subnet);
            Ok(((false, address), Place { kept, owner, net, subnet, length: None }))
        }
        Err(prefix) => {
            let net = plan.net_of_prefix(&prefix);
            let net = net.ok_or_else(|| format!("{prefix} lies in no pd-pool"))?;
            let length = Some(prefix.length());
            Ok(((true, prefix.first()), Place { kept, owner, net, subnet: None, length }))
        }
    }
}

/// The holder of an address, and its network.
fn address(
    plan: &mut Plan,
    (_, address): Key,
    lease: &Lease,
    reserved: Option<&Place<'_>>,
) -> Result<(usize, Holder), String> {
    let at = plan.subnet_of(address);
    let sub = at.and_then(|at| plan.subnets.get_mut(at));
    let sub = sub.ok_or_else(|| format!("{address} lies in no subnet of the configuration"))?;
    if sub.id != 0 && sub.id != lease.subnet_id {
        let (own, said) = (sub.id, lease.subnet_id);
        return Err(format!("{address} is in subnet {own} of the configuration, not in {said}"));
    }
    let holder = holder(lease, None, reserved)?;
    sub.is_routed |= is_edge(&sub.cidr, &address);
    Ok((sub.net, holder))
}

/// The same for a delegated prefix.
fn prefix(
    plan: &mut Plan,
    (_, address): Key,
    lease: &Lease,
    length: u8,
    reserved: Option<&Place<'_>>,
) -> Result<(usize, Holder), String> {
    let prefix = Prefix::new(address, length);
    let prefix = prefix.ok_or_else(|| format!("{address}/{length} is no prefix"))?;
    let net = plan.net_of_prefix(&prefix);
    let net = net.ok_or_else(|| format!("{prefix} lies in no pd-pool of the configuration"))?;
    let pool = plan.nets.get_mut(net).and_then(|net| net.delegated.as_mut());
    if let Some(pool) = pool {
        pool.extend_to(length);
    }
    Ok((net, holder(lease, Some(length), reserved)?))
}

fn holder(
    lease: &Lease,
    length: Option<u8>,
    reserved: Option<&Place<'_>>,
) -> Result<Holder, String> {
    let has = |client: &Client| {
        [&lease.hardware, &lease.client].into_iter().flatten().any(|own| own == client)
    };
    let reserved = reserved.filter(|reserved| has(&reserved.kept.client));
    let owner = match reserved {
        _ if lease.is_declined() => DECLINED.parse()?,
        Some(reserved) => reserved.owner.clone(),
        None => client(lease).ok_or_else(|| "its row names no client".to_owned())?.owner()?,
    };
    let label = label(lease, owner.name.as_deref().unwrap_or_default());
    Ok(Holder { owner, slot: Slot(0), length, label, expire: lease.expire })
}

/// Whose the lease is: DHCPv4 by MAC, if there is one; DHCPv6 by DUID.
fn client(lease: &Lease) -> Option<&Client> {
    let hardware = lease.hardware.as_ref().filter(|_| lease.iaid.is_none());
    let by_mac = hardware.filter(|hardware| hardware.mac().is_some());
    by_mac.or(lease.client.as_ref()).or(lease.hardware.as_ref())
}

/// What else is known, as pairs between commas; those that don't fit any more are left out.
fn label(lease: &Lease, owner: &str) -> Option<Text> {
    let expire = lease.expire.map_or_else(|| "never".to_owned(), |expire| expire.to_string());
    let mut pairs = vec![format!("expire={expire}")];
    pairs.extend(lease.iaid.map(|iaid| format!("iaid={iaid}")));
    let clients = [("hw", &lease.hardware), ("client", &lease.client)];
    for (name, client) in clients.into_iter().filter_map(|(name, c)| Some((name, c.as_ref()?))) {
        let says_it = client.mac().unwrap_or(client.hex());
        if !owner.ends_with(&format!(":{says_it}")) {
            pairs.push(format!("{name}={}", client.hex()));
        }
    }
    if !lease.hostname.is_empty() && !lease.hostname.contains(',') {
        pairs.push(format!("hostname={}", lease.hostname));
    }
    let mut text = None;
    for pair in pairs {
        let more =
            text.as_ref().map_or_else(|| pair.clone(), |text: &Text| format!("{text},{pair}"));
        text = Text::new(&more).ok().or(text);
    }
    text
}

/// Reservations: pins, or allocations where there are more than a subnet has pins.
fn keep(
    plan: &mut Plan,
    places: BTreeMap<Key, Place<'_>>,
    all: &mut Holders,
    faults: &mut Faults,
    account: &mut Account,
) {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for subnet in places.values().filter_map(|place| place.subnet) {
        *counts.entry(subnet).or_default() += 1;
    }
    for (subnet, count) in counts.iter().filter(|(_, count)| **count > PINS_MAX) {
        let cidr = plan.subnets.get(*subnet).map(|sub| sub.cidr.to_string()).unwrap_or_default();
        account.remark(format!(
            "{cidr} has {count} reservations, and a subnet at most {PINS_MAX} pins: each is held by \
             its owner as an allocation"
        ));
    }
    for ((is_prefix, address), place) in places {
        let Place { kept, owner, net, subnet, length } = place;
        if let Some(sub) = subnet.and_then(|subnet| plan.subnets.get_mut(subnet)) {
            sub.is_routed |= is_edge(&sub.cidr, &address);
        }
        let pool = plan.nets.get_mut(net).and_then(|net| net.delegated.as_mut());
        if let (Some(pool), Some(length)) = (pool, length) {
            pool.extend_to(length);
        }
        let is_pin =
            subnet.is_some_and(|subnet| counts.get(&subnet).is_none_or(|n| *n <= PINS_MAX));
        let books = if is_prefix { &mut all.prefixes } else { &mut all.addresses };
        let Some(book) = books.get_mut(net) else { continue };
        let holder = Holder { owner, slot: Slot(0), length, label: None, expire: None };
        if is_pin {
            book.pins.insert(address, holder);
            continue;
        }
        let held = book.held.entry(address).or_insert_with(|| holder.clone());
        if held.owner != holder.owner {
            let other = held.owner.told();
            faults.add(&kept.place, format_args!("{address} has two owners: {other} leases it"));
        }
    }
}

impl Book {
    /// Gives each owner's addresses numbers from 0: first those that are pinned, then the others,
    /// each by address. `None` if there are more than numbers.
    fn number_slots(&mut self) -> Option<()> {
        let mut next: HashMap<OwnerId, u32> = HashMap::new();
        let mut number = |owner: &Owner| {
            let next = next.entry(owner.id).or_default();
            let slot = u16::try_from(*next).ok().map(Slot);
            *next += 1;
            slot
        };
        for pin in self.pins.values_mut() {
            pin.slot = number(&pin.owner)?;
        }
        for (address, held) in &mut self.held {
            let pin = self.pins.get(address).filter(|pin| pin.owner == held.owner);
            held.slot = match pin {
                Some(pin) => pin.slot,
                None => number(&held.owner)?,
            };
        }
        Some(())
    }
}
