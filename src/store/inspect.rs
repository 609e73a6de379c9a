//! Looks at a state as it streams past, and finds what contradicts itself: objects twice, blocks
//! that overlap, keys held twice, places outside, marks that are behind. Changes nothing.

use super::check::{CheckProgress, CheckReport, CheckStage};
use super::recover::Restore;
use crate::model::{
    AllocationRow, Effect, ExclusionRow, Family, Mac, NetworkHandle, NetworkId, NetworkRow, PortId,
    PortRow, Prefix, ProjectId, Revision, SubnetHandle, SubnetRow, Text,
};
use addrd_protocol::message::AllocationState;
use std::collections::{HashMap, HashSet};

/// Objects after which progress is told.
const PROGRESS_OBJECTS: u64 = 100_000;

/// A visitor of [`super::Store::recover`] that looks at everything and refuses nothing.
pub(crate) struct Inspector<'a> {
    report: &'a mut CheckReport,
    progress: &'a mut dyn FnMut(CheckProgress),
    networks: HashMap<NetworkHandle, Seen>,
    ids: HashSet<(ProjectId, NetworkId)>,
    names: HashSet<(ProjectId, Text)>,
    subnets: HashMap<(NetworkHandle, SubnetHandle), Prefix>,
    /// By project as well: guests of a shared network name their ports for themselves.
    port_ids: HashSet<(NetworkHandle, Option<ProjectId>, PortId)>,
    macs: HashSet<(NetworkHandle, Mac)>,
    cells: Cells,
}

/// What is known of a network.
struct Seen {
    /// The highest revision in its rows.
    highest: Revision,
    /// The mark was there.
    marked: bool,
    prefixes: Vec<Prefix>,
}

/// The allocations before the one that comes.
#[derive(Default)]
struct Cells {
    network: Option<NetworkHandle>,
    subnet: Option<SubnetHandle>,
    /// The last offset that the last block in this subnet covers.
    covered: Option<u128>,
    /// A number for each key of this network.
    keys: Vec<u128>,
}

impl<'a> Inspector<'a> {
    pub(crate) fn new(
        report: &'a mut CheckReport,
        progress: &'a mut dyn FnMut(CheckProgress),
    ) -> Self {
        Self {
            report,
            progress,
            networks: HashMap::new(),
            ids: HashSet::new(),
            names: HashSet::new(),
            subnets: HashMap::new(),
            port_ids: HashSet::new(),
            macs: HashSet::new(),
            cells: Cells::default(),
        }
    }

    /// After the last row.
    pub(crate) fn finish(mut self) {
        self.finish_network();
        let unmarked: Vec<_> =
            self.networks.iter().filter(|(_, seen)| !seen.marked).map(|(n, _)| n.0).collect();
        for network in unmarked {
            self.report.find(format!("network {network} has no last revision"));
        }
    }

    fn tell_progress(&mut self) {
        let report = &*self.report;
        let done = report.networks
            + report.subnets
            + report.ports
            + report.allocations
            + report.resting
            + report.jobs;
        if done.is_multiple_of(PROGRESS_OBJECTS) {
            (self.progress)(CheckProgress { stage: CheckStage::Reading, done });
        }
    }

    fn note_revision(&mut self, network: NetworkHandle, revision: Revision, what: &str) {
        match self.networks.get_mut(&network) {
            Some(seen) => seen.highest = seen.highest.max(revision),
            None => self.report.find(format!("{what} of network {} without it", network.0)),
        }
    }

    fn network(&mut self, row: &NetworkRow) {
        self.report.networks += 1;
        let seen = Seen { highest: row.revision, marked: false, prefixes: Vec::new() };
        self.networks.insert(row.network, seen);
        if !self.ids.insert((row.project, row.id)) {
            self.report.find(format!("network id {} twice in project {}", row.id, row.project));
        }
        if let Some(name) = &row.name
            && !self.names.insert((row.project, name.clone()))
        {
            self.report.find(format!("network name {name:?} twice in project {}", row.project));
        }
    }

    fn object(&mut self, handle: NetworkHandle, revision: Revision) {
        let seen = Seen { highest: revision, marked: false, prefixes: Vec::new() };
        if self.networks.insert(handle, seen).is_some() {
            self.report.find(format!("number {} twice", handle.0));
        }
    }

    fn subnet(&mut self, row: &SubnetRow) {
        self.report.subnets += 1;
        self.note_revision(row.network, row.revision, "a subnet");
        let what = format!("subnet {} of network {}", row.prefix, row.network.0);
        self.subnets.insert((row.network, row.subnet), row.prefix);
        if let Some(seen) = self.networks.get_mut(&row.network) {
            if let Some(other) = seen.prefixes.iter().find(|other| other.overlaps(&row.prefix)) {
                self.report.find(format!("{what} overlaps subnet {other}"));
            }
            seen.prefixes.push(row.prefix);
        }
        for (at, pool) in row.pools.iter().enumerate() {
            if !row.prefix.contains(&pool.first()) || !row.prefix.contains(&pool.last()) {
                self.report.find(format!("{what}: pool {pool} lies outside"));
            }
            if row.pools[..at].iter().any(|other| other.overlaps(pool)) {
                self.report.find(format!("{what}: pool {pool} overlaps another one"));
            }
        }
    }

    fn exclusion(&mut self, row: &ExclusionRow) {
        self.note_revision(row.network, row.revision, "an exclusion");
        let range = row.exclusion.range;
        let inside = self.subnets.get(&(row.network, row.subnet)).is_some_and(|prefix| {
            prefix.contains(&range.first()) && prefix.contains(&range.last())
        });
        if !inside {
            let what = format!("exclusion {range} of network {} outside its subnet", row.network.0);
            self.report.find(what);
        }
    }

    fn port(&mut self, row: &PortRow) {
        self.report.ports += 1;
        self.note_revision(row.network, row.revision, "a port");
        if !self.port_ids.insert((row.network, row.project, row.id)) {
            self.report.find(format!("port id {} twice in network {}", row.id, row.network.0));
        }
        if !self.macs.insert((row.network, row.mac)) {
            self.report.find(format!("MAC {} twice in network {}", row.mac, row.network.0));
        }
    }

    fn allocation(&mut self, row: &AllocationRow) {
        let rests = row.state == AllocationState::Quarantined;
        let count = if rests { &mut self.report.resting } else { &mut self.report.allocations };
        *count += 1;
        let place = row.place;
        self.note_revision(place.network, row.changed.max(row.revision), "an allocation");
        if self.cells.network != Some(place.network) {
            self.finish_network();
            self.cells = Cells { network: Some(place.network), ..Cells::default() };
        }
        if self.cells.subnet != Some(place.subnet) {
            (self.cells.subnet, self.cells.covered) = (Some(place.subnet), None);
        }
        let Some(prefix) = self.subnets.get(&(place.network, place.subnet)) else {
            let what = format!("an allocation in subnet {} without it", place.subnet.0);
            return self.report.find(what);
        };
        let size = 1_u128.checked_shl(u32::from(place.block_bits)).unwrap_or(0);
        let last = place.offset | size.wrapping_sub(1);
        let what = || format!("allocation at offset {} of subnet {prefix}", place.offset);
        if place.offset & size.wrapping_sub(1) != 0 {
            self.report.find(format!("{}: the block is not aligned", what()));
        }
        if last > prefix.offset_max() {
            self.report.find(format!("{}: outside", what()));
        }
        if self.cells.covered.is_some_and(|covered| covered >= place.offset) {
            self.report.find(format!("{}: overlaps the one before it", what()));
        }
        self.cells.covered = Some(last);
        let end = row.extras.as_deref().and_then(|extras| extras.quarantine_end);
        if rests && end.is_none() {
            self.report.find(format!("{}: it rests without an end", what()));
        }
        // The key of what rests is free.
        if !rests {
            self.cells.keys.push(key_of(row));
        }
    }

    /// Keys of a network that are held twice.
    fn finish_network(&mut self) {
        let Some(network) = self.cells.network else { return };
        self.cells.keys.sort_unstable();
        let twice = self.cells.keys.windows(2).filter(|pair| pair[0] == pair[1]).count();
        if twice > 0 {
            let what = format!("{twice} keys (owner, slot) held twice in network {}", network.0);
            self.report.find(what);
        }
    }
}

/// All addresses of a family.
fn whole(family: Family) -> Prefix {
    let first = match family {
        Family::V4 => std::net::IpAddr::from([0; 4]),
        Family::V6 => std::net::IpAddr::from([0; 16]),
    };
    Prefix::truncated(first, 0).expect("0 bits are a length of every family")
}

/// A number for a key: the same for no two owners of one project and slot, and for others by a
/// chance of 1 in 2^128.
fn key_of(row: &AllocationRow) -> u128 {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let project = row.extras.as_deref().and_then(|extras| extras.project).unwrap_or_default();
    let rest = project.0.as_u128().wrapping_mul(ODD) ^ u128::from(row.slot.0).wrapping_mul(ODD);
    row.owner.0.as_u128() ^ rest.rotate_left(41).wrapping_mul(ODD)
}

impl Restore for Inspector<'_> {
    fn effect(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::NetworkPut(row) => self.network(row),
            Effect::SubnetPut(row) => self.subnet(row),
            Effect::ExclusionPut(row) => self.exclusion(row),
            Effect::SegmentPut(row) => {
                self.note_revision(row.network, row.revision, "a segment");
            }
            Effect::HostPut(row) => self.note_revision(row.network, row.created, "a host"),
            Effect::PinPut(row) => self.note_revision(row.network, row.created, "a pin"),
            Effect::PortPut(row) => self.port(row),
            Effect::AllocationPut(row) => self.allocation(row),
            Effect::ProjectPut(row) => self.object(row.handle, row.revision),
            Effect::ScopePut(row) => self.object(row.handle, row.revision),
            Effect::PrincipalPut(row) => self.object(row.handle, row.revision),
            Effect::PoolPut(row) => {
                self.object(row.handle, row.revision);
                // What is taken from a pool lies at the number of its address.
                self.subnets.insert((row.handle, SubnetHandle(0)), whole(row.family));
            }
            Effect::JobPut(_) => self.report.jobs += 1,
            Effect::HostLeasePut(_) => {}
            // Everything is folded: there are only rows.
            _ => self.report.find("a record behind the fold"),
        }
        self.tell_progress();
        Ok(())
    }

    fn revision(&mut self, network: NetworkHandle, revision: Revision) {
        let Some(seen) = self.networks.get_mut(&network) else {
            let what = format!("a last revision of network {} without it", network.0);
            return self.report.find(what);
        };
        seen.marked = true;
        if seen.highest > revision {
            let highest = seen.highest;
            let what = format!("network {}: revision {highest} behind the last one", network.0);
            self.report.find(what);
        }
    }

    fn cursor(&mut self, network: NetworkHandle, subnet: SubnetHandle, _: u128) {
        if !self.subnets.contains_key(&(network, subnet)) {
            self.report.find(format!("a cursor of subnet {} without it", subnet.0));
        }
    }
}
