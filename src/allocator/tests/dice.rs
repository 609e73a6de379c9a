//! Random requests, derived from a number and from what there is. Small worlds, so that requests
//! meet each other; edges more often than chance would have them.

use super::naive::{Naive, Net};
use super::*;
use crate::allocator::index::split_mix;
use crate::model::{Instance, Prefix, Range, Revision, Setting};
use addrd_protocol::message::{
    AllocateFlags, AllocationUpdate, Exclusion, ExclusionMode, FamilyChoice, HoldEnd, HoldRelease,
    NetworkUpdate, Renew, Route, Strategy, SubnetDelete, SubnetExclude, SubnetInclude, SubnetKind,
    SubnetUpdate, Transfer,
};
use uuid::Uuid;

/// Prefixes that subnets are made of: edges of both families, some overlapping.
const PREFIXES: [&str; 26] = [
    "10.0.0.0/29",
    "10.0.0.0/28",
    "10.0.0.8/29",
    "10.0.0.16/30",
    "10.0.0.20/31",
    "10.0.0.22/32",
    "10.0.1.0/24",
    "10.0.1.128/26",
    "10.0.0.0/8",
    "192.168.0.0/16",
    "128.0.0.0/1",
    "0.0.0.0/0",
    "255.255.255.240/28",
    "224.0.0.0/29",
    "127.0.0.0/30",
    "fd00::/125",
    "fd00::8/126",
    "fd00::10/127",
    "fd00::12/128",
    "fd00:1::/64",
    "fd00::/32",
    "8000::/1",
    "::/0",
    "::/64",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124",
    "ff00::/120",
];

/// A source of choices.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        split_mix(&mut self.0) % sides
    }

    /// True once in `sides`.
    pub(super) fn once_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len() as u64) as usize]
    }

    pub(super) fn network(&mut self) -> u128 {
        if self.once_in(8) { 2 } else { 1 }
    }

    /// A subnet, mostly one that exists.
    fn subnet(&mut self, net: Option<&Net>) -> SubnetId {
        match net.filter(|net| !net.subnets.is_empty()) {
            Some(net) if !self.once_in(6) => {
                net.subnets[self.roll(net.subnets.len() as u64) as usize].id
            }
            _ => subnet_id(u128::from(self.roll(6)) + 1),
        }
    }

    fn owner(&mut self) -> OwnerId {
        owner(u128::from(self.roll(9)) + 1)
    }

    fn slot(&mut self) -> Slot {
        Slot(self.one_of(&[0, 0, 0, 0, 1, 2, 65_534, u16::MAX]))
    }

    fn instance(&mut self) -> Instance {
        Instance(self.one_of(&[0, 0, 0, 0, 0, 7]))
    }

    fn text(&mut self) -> Text {
        super::text(self.one_of(&["a", "k=v", "k=v,x=y", "blue"]))
    }

    fn some<T>(&mut self, sides: u64, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.once_in(sides).then(|| make(self))
    }

    fn setting<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Setting<T> {
        match self.roll(4) {
            0 => Setting::Null,
            1 => Setting::Value(make(self)),
            _ => Setting::Unset,
        }
    }

    pub(super) fn name(&mut self) -> Text {
        super::text(self.one_of(&["red", "green", "blue", "10.0.0.0/8", "fd00::1", "no name"]))
    }

    fn prefix(&mut self) -> Prefix {
        self.one_of(&PREFIXES).parse().unwrap()
    }

    /// An address in or near a prefix, mostly near its ends.
    fn near(&mut self, prefix: &Prefix) -> IpAddr {
        let most = prefix.offset_max();
        let small = u128::from(self.roll(20));
        let offset = match self.roll(8) {
            0 => most - small.min(most),
            1 => most / 2 + small.min(most / 2),
            _ => small,
        };
        let number = prefix.base().checked_add(offset).unwrap_or(prefix.base());
        prefix.family().address(number).unwrap_or(prefix.first())
    }

    fn prefix_of(&mut self, net: Option<&Net>) -> Prefix {
        let known: Vec<Prefix> =
            net.iter().flat_map(|n| n.subnets.iter()).map(|s| s.prefix).collect();
        if known.is_empty() || self.once_in(8) { self.prefix() } else { self.one_of(&known) }
    }

    pub(super) fn address(&mut self, net: Option<&Net>) -> IpAddr {
        let gateways: Vec<IpAddr> =
            net.iter().flat_map(|n| n.subnets.iter()).filter_map(|sub| sub.gateway).collect();
        if !gateways.is_empty() && self.once_in(8) {
            return self.one_of(&gateways);
        }
        if let Some(net) = net.filter(|net| !net.held.is_empty())
            && self.once_in(3)
        {
            let at = self.roll(net.held.len() as u64) as usize;
            return net.held[at].address();
        }
        if let Some(net) = net.filter(|net| !net.resting.is_empty())
            && self.once_in(4)
        {
            let rest = &net.resting[self.roll(net.resting.len() as u64) as usize];
            return rest.family.address(rest.first).unwrap();
        }
        let prefix = self.prefix_of(net);
        self.near(&prefix)
    }

    fn range(&mut self, prefix: &Prefix) -> Range {
        // Small ones mostly, so that several fit beside each other.
        if !self.once_in(4)
            && let Some(first) = prefix.offset_of(&self.near(prefix))
        {
            let last = first.saturating_add(u128::from(self.roll(4))).min(prefix.offset_max());
            let address = |offset| prefix.address_at(offset).unwrap_or(prefix.first());
            return Range::new(address(first), address(last)).unwrap_or(prefix.range());
        }
        let (a, b) = (self.near(prefix), self.near(prefix));
        Range::new(a.min(b), a.max(b)).unwrap_or(prefix.range())
    }

    fn pools(&mut self, prefix: &Prefix) -> Vec<Range> {
        (0..self.roll(4)).map(|_| self.range(prefix)).collect()
    }

    fn gateway(&mut self, prefix: &Prefix) -> IpAddr {
        let prefix = if self.once_in(8) { self.prefix() } else { *prefix };
        self.near(&prefix)
    }

    fn strategy(&mut self) -> Strategy {
        let odd = [self.once_in(4), self.once_in(2)];
        self.one_of(&[
            Strategy::Default,
            Strategy::Default,
            Strategy::Default,
            Strategy::Default,
            Strategy::Lowest,
            Strategy::Lowest,
            Strategy::Next,
            Strategy::Next,
            Strategy::Random,
            Strategy::Hashed,
            Strategy::Hashed,
            if odd[0] { Strategy::Eui64 } else { Strategy::Default },
            if odd[1] { Strategy::Exact } else { Strategy::Default },
        ])
    }

    fn dns(&mut self) -> Vec<IpAddr> {
        (0..self.one_of(&[0, 1, 1, 1, 5, 5, 6])).map(|_| super::ip("10.0.0.53")).collect()
    }

    fn routes(&mut self) -> Vec<Route> {
        let destination = super::subnet(1, "10.0.0.0/8").cidr;
        let next_hop = super::ip(
            self.one_of(&["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1", "fd00::1"]),
        );
        let count = self.one_of(&[0, 1, 1, 1, 1, 20, 20, 21]);
        (0..count).map(|_| Route { destination, next_hop }).collect()
    }

    /// An expected revision: mostly none, sometimes right, sometimes wrong.
    fn expected(&mut self, right: Option<u64>) -> Revision {
        match self.roll(6) {
            0 => Revision(right.unwrap_or_default()),
            1 => Revision(right.unwrap_or_default() + 1),
            _ => Revision(0),
        }
    }

    pub(super) fn network_create(&mut self) -> NetworkCreate {
        NetworkCreate {
            name: self.some(3, Self::name),
            description: self.some(4, Self::text),
            ..NetworkCreate::default()
        }
    }

    pub(super) fn network_update(&mut self, net: Option<&Net>) -> NetworkUpdate {
        NetworkUpdate {
            expected: self.expected(net.map(|net| net.attributes)),
            name: self.setting(Self::name),
            description: self.setting(Self::text),
            ..NetworkUpdate::default()
        }
    }

    pub(super) fn network_delete(&mut self, net: Option<&Net>) -> NetworkDelete {
        let expected = self.expected(net.map(|net| net.attributes));
        NetworkDelete { force: self.once_in(2), expected }
    }

    pub(super) fn subnet_create(&mut self) -> SubnetCreate {
        let cidr = self.prefix();
        SubnetCreate {
            subnet_id: subnet_id(u128::from(self.roll(6)) + 1),
            cidr,
            kind: self.one_of(&[SubnetKind::Broadcast, SubnetKind::Broadcast, SubnetKind::Routed]),
            strategy: self.strategy(),
            enable_dhcp: self.once_in(4),
            gateway: self.setting(|dice| dice.gateway(&cidr)),
            pools: self.setting(|dice| dice.pools(&cidr)),
            dns_servers: if self.once_in(4) { self.dns() } else { Vec::new() },
            routes: if self.once_in(4) { self.routes() } else { Vec::new() },
            name: self.some(4, Self::name),
            description: self.some(6, Self::text),
            from_pool: None,
            quarantine_ms: self.some(2, |dice| dice.quarantine()).or(Some(0)),
            service: Default::default(),
        }
    }

    pub(super) fn subnet_update(&mut self, net: Option<&Net>) -> SubnetUpdate {
        let subnet_id = self.subnet(net);
        let known = net.and_then(|net| net.sub(subnet_id));
        let prefix = known.map_or_else(|| self.prefix(), |sub| sub.prefix);
        SubnetUpdate {
            subnet_id,
            expected: self.expected(known.map(|sub| sub.revision)),
            strategy: self.setting(Self::strategy),
            enable_dhcp: self.setting(|dice| dice.once_in(2)),
            gateway: self.setting(|dice| dice.gateway(&prefix)),
            pools: self.setting(|dice| dice.pools(&prefix)),
            dns_servers: self.setting(Self::dns),
            routes: self.setting(Self::routes),
            name: self.setting(Self::name),
            description: self.setting(Self::text),
            service_types: Default::default(),
            segment_id: Default::default(),
            quarantine_ms: self.setting(Self::quarantine),
        }
    }

    pub(super) fn subnet_delete(&mut self, net: Option<&Net>) -> SubnetDelete {
        let subnet_id = self.subnet(net);
        let right = net.and_then(|net| net.sub(subnet_id)).map(|sub| sub.revision);
        SubnetDelete { subnet_id, force: self.once_in(2), expected: self.expected(right) }
    }

    pub(super) fn subnet_exclude(&mut self, net: Option<&Net>) -> SubnetExclude {
        let subnet_id = self.subnet(net);
        let prefix = net.and_then(|net| net.sub(subnet_id)).map(|sub| sub.prefix);
        let prefix = prefix.unwrap_or_else(|| self.prefix());
        let mode = self.one_of(&[ExclusionMode::Automatic, ExclusionMode::Everyone]);
        let exclusion =
            Exclusion { range: self.range(&prefix), mode, reason: self.some(2, Self::text) };
        SubnetExclude { subnet_id, exclusion }
    }

    pub(super) fn subnet_include(&mut self, net: Option<&Net>) -> SubnetInclude {
        let subnet_id = self.subnet(net);
        let known = net.and_then(|net| net.sub(subnet_id));
        let ranges: Vec<Range> =
            known.map(|sub| sub.exclusions.iter().map(|e| e.range).collect()).unwrap_or_default();
        let range = if ranges.is_empty() {
            let prefix = self.prefix();
            self.range(&prefix)
        } else {
            self.one_of(&ranges)
        };
        SubnetInclude { subnet_id, range }
    }

    pub(super) fn allocate(&mut self, net: Option<&Net>) -> Allocate {
        let extras = self.some(2, |dice| Box::new(dice.extras(net)));
        let mut extras = extras.filter(|extras| **extras != AllocateExtras::default());
        let mut takeover = self.once_in(3);
        if self.once_in(4) {
            let extras = extras.get_or_insert_default();
            self.hold(extras);
            takeover &= self.once_in(8);
        }
        let mut slot = self.slot();
        if extras.as_deref().is_some_and(|extras| extras.hold_item.is_some()) && !self.once_in(8) {
            slot = Slot(0);
        }
        Allocate {
            owner: self.owner(),
            slot,
            instance: self.instance(),
            family: self.one_of(&[
                FamilyChoice::One,
                FamilyChoice::One,
                FamilyChoice::One,
                FamilyChoice::V4,
                FamilyChoice::V6,
                FamilyChoice::Each,
                FamilyChoice::Both,
            ]),
            strategy: self.strategy(),
            length: self.some(4, |dice| dice.one_of(&[24, 29, 30, 31, 32, 65, 126, 127, 128, 129])),
            flags: AllocateFlags {
                takeover,
                allow_gateway: self.once_in(4),
                allow_resting: self.once_in(8),
                want_subnet: self.once_in(4),
            },
            extras,
        }
    }

    /// Makes it a hold.
    fn hold(&mut self, extras: &mut AllocateExtras) {
        extras.hold_token = Some(self.token());
        extras.hold_ms = self.some(2, |dice| match dice.once_in(32) {
            true => dice.one_of(&[0, 999, 315_360_000_001]),
            false => 1_000 + dice.roll(20_000),
        });
        extras.hold_item = self.some(3, |dice| dice.roll(3) as u16);
        if !self.once_in(16) {
            extras.lease_ms = None;
        }
    }

    fn token(&mut self) -> Uuid {
        Uuid::from_u128(1 + u128::from(self.roll(3)))
    }

    pub(super) fn hold_release(&mut self, net: Option<&Net>) -> HoldRelease {
        let target = self.target(net);
        let fences = if self.once_in(2) { Fences::default() } else { self.fences(net, &target) };
        let hold_ms = self.some(2, |dice| match dice.once_in(32) {
            true => dice.one_of(&[999, 315_360_000_001]),
            false => 1_000 + dice.roll(20_000),
        });
        HoldRelease { target, fences, token: self.token(), hold_ms }
    }

    /// Mostly of a hold that is open or has run out, with what it needs.
    pub(super) fn hold_end(&mut self, net: Option<&Net>) -> HoldEnd {
        let (mut target, token) = (self.target(net), self.token());
        let release = self.once_in(8);
        let mut end = HoldEnd { target, revision: Revision(5), token, release };
        let Some(net) = net else { return end };
        let is_open = |held: &&super::naive::Held| held.token.is_some() || held.releasing.is_some();
        let open = net.held.iter().filter(is_open);
        let over = net.resting.iter().filter_map(|rest| rest.hold.as_deref());
        let holds: Vec<_> = open.chain(over).collect();
        if let Some(hold) = holds.get(self.roll(holds.len() as u64 + 1) as usize) {
            target = match self.once_in(2) {
                true => Target::Address(hold.address()),
                false => Target::Key { owner: hold.owner, slot: hold.slot },
            };
            let revision = Revision(hold.revision + u64::from(self.once_in(8)));
            let release = hold.releasing.is_some() ^ self.once_in(8);
            let own = hold.token.or(hold.releasing.map(|(token, _)| token));
            end = HoldEnd { target, revision, token: own.unwrap_or(token), release };
        } else if let Ok(Some(at)) = super::naive::target(net, &target) {
            end.revision = net.held[at].revision();
        }
        if self.once_in(8) {
            end.token = self.token();
        }
        end
    }

    fn extras(&mut self, net: Option<&Net>) -> AllocateExtras {
        AllocateExtras {
            subnets: if self.once_in(3) {
                (0..=self.roll(3)).map(|_| self.subnet(net)).collect()
            } else {
                Vec::new()
            },
            exact: self.some(4, |dice| dice.address(net)),
            preferred: self.some(4, |dice| dice.address(net)),
            limit: self.some(4, |dice| {
                let prefix = dice.prefix_of(net);
                dice.range(&prefix)
            }),
            lease_ms: self.some(3, Self::lease_ms),
            hold_token: None,
            hold_ms: self.some(64, |_| 1_000),
            hold_item: self.some(64, |_| 1),
            manager: self.some(6, Self::text),
            host: self.some(6, Self::text),
            label: self.some(6, Self::text),
            owner_name: self.some(6, Self::text),
            trace: self.some(6, |_| Default::default()),
            mac: None,
            follow_host: false,
        }
    }

    fn target(&mut self, net: Option<&Net>) -> Target {
        match net.filter(|net| !net.held.is_empty()) {
            Some(net) if !self.once_in(4) => {
                let held = &net.held[self.roll(net.held.len() as u64) as usize];
                if self.once_in(3) {
                    let inside = held.first.saturating_add(u128::from(self.once_in(4)));
                    Target::Address(held.family.address(inside).unwrap_or(held.address()))
                } else {
                    Target::Key { owner: held.owner, slot: held.slot }
                }
            }
            _ if self.once_in(3) => Target::Address(self.address(net)),
            _ => Target::Key { owner: self.owner(), slot: self.slot() },
        }
    }

    fn fences(&mut self, net: Option<&Net>, target: &Target) -> Fences {
        let held = net.and_then(|net| match target {
            Target::Key { owner, slot } => net.by_key(*owner, *slot).map(|at| &net.held[at]),
            Target::Address(address) => net.by_address(address).map(|at| &net.held[at]),
        });
        let wrong = self.once_in(4);
        let revision = held.map_or(5, |held| held.revision) + u64::from(wrong);
        Fences {
            revision: self.some(3, |_| Revision(revision)),
            owner: self.some(3, |dice| match held {
                Some(held) if !wrong => held.owner,
                _ => dice.owner(),
            }),
            instance: self.some(4, |dice| match held {
                Some(held) if !wrong => held.instance,
                _ => dice.instance(),
            }),
            manager: self.some(6, |dice| {
                held.and_then(|held| held.manager.clone()).unwrap_or_else(|| dice.text())
            }),
        }
    }

    pub(super) fn release(&mut self, net: Option<&Net>) -> Release {
        let target = self.target(net);
        let fences = if self.once_in(2) { Fences::default() } else { self.fences(net, &target) };
        Release { target, fences, any: self.once_in(3) }
    }

    pub(super) fn update(&mut self, net: Option<&Net>) -> AllocationUpdate {
        let target = self.target(net);
        AllocationUpdate {
            target,
            fences: self.fences(net, &target),
            label: self.setting(Self::text),
            host: self.setting(Self::text),
            manager_name: self.setting(Self::text),
            owner_name: self.setting(Self::text),
            lease_ms: match self.roll(4) {
                0 => Setting::Null,
                1 => Setting::Value(1_000 + self.roll(20_000)),
                _ => Setting::Unset,
            },
            follow_host: None,
        }
    }

    /// Mostly of what somebody holds, under fences that mostly hold.
    pub(super) fn transfer(&mut self, net: Option<&Net>) -> Transfer {
        let target = self.target(net);
        let address = match target {
            Target::Address(address) => address,
            Target::Key { owner, slot } => {
                let held = net.and_then(|net| net.by_key(owner, slot).map(|at| &net.held[at]));
                held.map_or_else(|| self.address(net), |held| held.address())
            }
        };
        let mut fences = self.fences(net, &Target::Address(address));
        if fences.is_empty() {
            let held = net.and_then(|net| net.by_address(&address).map(|at| &net.held[at]));
            fences.revision = Some(Revision(held.map_or(5, |held| held.revision)));
        }
        let to_owner = self.some(2, Self::owner);
        let to_slot = self.some(2, Self::slot);
        let to_instance = self.some(3, Self::instance);
        let to_owner = match (to_slot, to_instance) {
            (None, None) => Some(to_owner.unwrap_or_else(|| self.owner())),
            _ => to_owner,
        };
        let owner_name = self.some(3, Self::text).filter(|_| to_owner.is_some());
        Transfer { address, fences, to_owner, to_slot, to_instance, to_project: None, owner_name }
    }

    pub(super) fn renew(&mut self, net: Option<&Net>) -> Renew {
        let target = self.target(net);
        let fences = if self.once_in(2) { Fences::default() } else { self.fences(net, &target) };
        Renew { target, fences, lease_ms: 1_000 + self.roll(20_000) }
    }

    fn quarantine(&mut self) -> u64 {
        match self.roll(16) {
            0 => 365 * 24 * 3_600_000 + self.roll(2),
            1..3 => 0,
            _ => 1 + self.roll(12_000),
        }
    }

    /// Mostly a short one.
    fn lease_ms(&mut self) -> u64 {
        if self.once_in(32) {
            self.one_of(&[0, 999, 315_360_000_001])
        } else {
            1_000 + self.roll(20_000)
        }
    }
}

/// The network that a number names, in the naive server.
pub(super) fn net_of(naive: &Naive, network: u128) -> Option<&Net> {
    naive.find(network_id(network)).map(|at| &naive.networks[at])
}
