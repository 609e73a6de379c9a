//! The only way into the state: an effect is absorbed, live and at recovery alike. Never decides.
//!
//! Effects are absolute. At recovery they may meet rows that are ahead of them (a fold that was
//! cut short is replayed from its start); so an allocation that is put pushes out whatever shares
//! an address or the key with it, and what is gone already may go again. Once the last effect is
//! absorbed, the state is the one that the live shard had.

use super::Shard;
use super::free_map::FreeMap;
use super::growth::Samples;
use super::levels::LevelBounds;
use super::network::{Network, family_index};
use super::subnet::{Subnet, last_of};
use super::undo::{Savepoint, Step};
use crate::limits::DEPARTED_SUBNETS_MAX;
use crate::model::{
    AllocationPlace, AllocationRow, Effect, EffectSink, ExclusionRow, HeldBy, JobRow, LevelRow,
    NetworkHandle, NetworkRow, Revision, SubnetHandle, SubnetRow, Thing,
};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::{AllocationState, Service};
use std::fmt;

/// Why an effect cannot be absorbed. The state is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbsorbError {
    /// Its network does not exist. Lawful only while replaying what a cut fold has folded already.
    UnknownNetwork(NetworkHandle),
    /// Its subnet does not exist. Lawful only while replaying what a cut fold has folded already.
    UnknownSubnet(NetworkHandle, SubnetHandle),
    /// Its place lies outside the subnet or is not aligned.
    OutsideSubnet(AllocationPlace),
    /// A held cell says that it is free.
    StateFree(AllocationPlace),
    /// A range lies outside its subnet or has the wrong family.
    RangeOutside(NetworkHandle, SubnetHandle),
}

impl fmt::Display for AbsorbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownNetwork(network) => write!(f, "network {} does not exist", network.0),
            Self::UnknownSubnet(network, subnet) => {
                write!(f, "subnet {} of network {} does not exist", subnet.0, network.0)
            }
            Self::OutsideSubnet(place) => write!(f, "{place:?} lies outside its subnet"),
            Self::StateFree(place) => write!(f, "{place:?} is held and free at once"),
            Self::RangeOutside(network, subnet) => {
                write!(f, "a range lies outside subnet {} of network {}", subnet.0, network.0)
            }
        }
    }
}

impl std::error::Error for AbsorbError {}

impl Shard {
    /// Takes an effect into the state.
    ///
    /// Shape: constant for allocations; for `SubnetPut` and exclusions proportional to pools and
    /// exclusions.
    ///
    /// # Errors
    /// [`AbsorbError`]; the state is then unchanged.
    pub fn absorb(&mut self, effect: &Effect) -> Result<(), AbsorbError> {
        match effect {
            Effect::NetworkPut(row) => self.put_network(row),
            Effect::NetworkGone { network, .. } => self.drop_network(*network),
            Effect::SubnetPut(row) => return self.put_subnet(row),
            Effect::SubnetGone { network, subnet, revision } => {
                let of = self.marked(*network, *revision)?;
                // Rows that are ahead of the journal may have another subnet under this handle, or
                // none, so nobody knows any more which one it was.
                self.networks.at_mut(of).forget_before(*revision);
                if let Some(at) = self.find_subnet_handle(of, *subnet) {
                    self.drop_subnet(at);
                }
            }
            Effect::ExclusionPut(row) => return self.put_exclusion(row),
            Effect::ExclusionGone { network, subnet, revision, first } => {
                let of = self.marked(*network, *revision)?;
                let unknown = AbsorbError::UnknownSubnet(*network, *subnet);
                let at = self.find_subnet_handle(of, *subnet).ok_or(unknown)?;
                self.drop_exclusion(at, *first);
            }
            Effect::AllocationPut(row) => return self.put_allocation(row),
            Effect::AllocationGone { place, revision, .. } => {
                let of = self.marked(place.network, *revision)?;
                if let Some(at) = self.find_subnet_handle(of, place.subnet) {
                    self.drop_allocation(at, place);
                    self.subnets.at_mut(at).counted = self.networks.at(of).revision;
                }
            }
            Effect::SegmentPut(row) => {
                let of = self.marked(row.network, row.revision)?;
                self.put_segment(of, row);
            }
            Effect::HostPut(row) => {
                let of = self.marked(row.network, row.created)?;
                self.put_host(of, row);
            }
            Effect::PortPut(row) => {
                let of = self.marked(row.network, row.revision)?;
                self.put_port(of, row);
            }
            Effect::PinPut(row) => {
                let of = self.marked(row.network, row.created)?;
                return self.put_pin(of, row);
            }
            Effect::ThingGone { network, revision, created, was } => {
                let of = self.marked(*network, *revision)?;
                match was.thing() {
                    Thing::Port => self.drop_port(of, *created),
                    thing => self.drop_planned(of, thing, *created),
                }
            }
            Effect::JobPut(row) => self.put_job(row),
            Effect::LevelPut(row) => self.put_level(row),
            Effect::HostLeasePut(row) => self.ledger.hosts.put_lease(row),
            Effect::HostLeaseGone { of, life } => self.ledger.hosts.drop_lease(of, *life),
            // The catalogue's, which no shard keeps.
            Effect::ProjectPut(_)
            | Effect::ScopePut(_)
            | Effect::PoolPut(_)
            | Effect::PrincipalPut(_)
            | Effect::ObjectGone { .. }
            // Nothing is kept of who asked.
            | Effect::Asked(_)
            // The whole server's: [`Shard::set_adopting`].
            | Effect::Adoption { .. } => {}
            Effect::JobGone { network, revision, job } => {
                self.jobs.remove(job);
                self.finished.retain(|finished| finished != job);
                self.mark_if_known(*network, *revision);
            }
        }
        Ok(())
    }

    fn put_job(&mut self, row: &JobRow) {
        self.jobs.insert(row.job, *row);
        self.finished.retain(|job| *job != row.job);
        if row.finished {
            self.finished.push_back(row.job);
        }
        self.mark_if_known(row.network, row.revision);
    }

    /// Of a subnet; those of pools are the catalogue's.
    fn put_level(&mut self, row: &LevelRow) {
        if let (Ok(of), Some(subnet)) = (self.marked(row.network, row.revision), row.subnet)
            && let Some(at) = self.find_subnet_handle(of, subnet)
            && !is_planted(Bug::ToldLevelForgotten)
        {
            self.set_level(at, row.level);
        }
    }

    /// At recovery: the last revision of a network, which its last record may have lost.
    pub fn restore_marks(&mut self, network: NetworkHandle, revision: Revision) {
        self.mark_if_known(network, revision);
        if let Some(at) = self.find_network_handle(network) {
            self.networks.at_mut(at).forget_before(revision);
        }
    }

    /// At recovery: where `next` goes on in a subnet ([`AllocationPlace::cursor_behind`]).
    pub fn restore_cursor(&mut self, network: NetworkHandle, subnet: SubnetHandle, offset: u128) {
        let of = self.find_network_handle(network);
        if let Some(at) = of.and_then(|of| self.find_subnet_handle(of, subnet)) {
            self.subnets.at_mut(at).cursor = offset;
        }
    }

    /// Pushes an effect and absorbs it.
    pub(super) fn commit(&mut self, effect: &Effect, sink: &mut impl EffectSink) {
        sink.push(effect);
        let absorbed = self.absorb(effect);
        assert!(absorbed.is_ok(), "what was decided can be absorbed: {absorbed:?}");
    }

    /// Pushes and absorbs an allocation whose key and place are free; gives its record.
    pub(super) fn commit_fresh(
        &mut self,
        subnet: u32,
        row: AllocationRow,
        sink: &mut impl EffectSink,
    ) -> u32 {
        let effect = Effect::AllocationPut(row);
        sink.push(&effect);
        let Effect::AllocationPut(row) = &effect else { unreachable!("made two lines above") };
        if self.undo.active {
            let cursor = self.subnets.at(subnet).cursor;
            self.undo.steps.push(Step::Fresh { subnet, offset: row.place.offset, cursor });
        }
        let network = self.subnets.at(subnet).network;
        self.networks.at_mut(network).mark(row.changed);
        self.insert_fresh(subnet, row)
    }

    /// Pushes and absorbs the only allocation of its owner, outside of batches; `hash` is the
    /// owner's.
    #[inline]
    pub(super) fn commit_first(
        &mut self,
        subnet: u32,
        row: AllocationRow,
        hash: u64,
        sink: &mut impl EffectSink,
    ) {
        let effect = Effect::AllocationPut(row);
        sink.push(&effect);
        let Effect::AllocationPut(row) = &effect else { unreachable!("made two lines above") };
        let network = self.subnets.at(subnet).network;
        self.networks.at_mut(network).mark(row.changed);
        let handle = self.ledger.insert_first(&self.subnets, subnet, row, hash);
        self.occupy(subnet, row.place.offset, row.place.block_bits, true);
        self.move_cursor(subnet, row);
        self.count_allocation(network, None, row.place.block_bits, false, true);
        self.seek_holder(network, handle);
    }

    /// Pushes and absorbs a change of an allocation that keeps its key and place.
    pub(super) fn commit_changed(
        &mut self,
        handle: u32,
        row: AllocationRow,
        sink: &mut impl EffectSink,
    ) {
        self.remember(handle);
        let effect = Effect::AllocationPut(row);
        self.commit(&effect, sink);
    }

    /// Who holds an allocation, as the record of its release says it.
    pub(super) fn holder_of(&self, handle: u32) -> HeldBy {
        let record = self.ledger.at(handle);
        let project = self.ledger.extras_row(record).and_then(|row| row.project);
        HeldBy { owner: record.owner(), slot: record.slot, project }
    }

    /// The same of what begins at a place; `None` if nothing does.
    pub(super) fn holder_at(&self, place: &AllocationPlace) -> Option<HeldBy> {
        let network = self.find_network_handle(place.network)?;
        let subnet = self.find_subnet_handle(network, place.subnet)?;
        self.ledger.find_at(subnet, place.offset).map(|handle| self.holder_of(handle))
    }

    /// Pushes and absorbs that a place is free.
    pub(super) fn commit_free(&mut self, handle: u32, sink: &mut impl EffectSink) -> Revision {
        self.remember(handle);
        let record = self.ledger.at(handle);
        let subnet = self.subnets.at(record.subnet);
        let place = AllocationPlace {
            network: subnet.network_handle,
            subnet: subnet.handle,
            offset: self.ledger.offset(record),
            block_bits: record.block_bits,
        };
        let held_by = (!record.rests()).then(|| self.holder_of(handle));
        let network = self.networks.at_mut(subnet.network);
        let revision = network.next_revision();
        network.mark(revision);
        if !is_planted(Bug::ReleaseRecordDropped) {
            sink.push(&Effect::AllocationGone { place, revision, held_by });
        }
        self.take_out(handle);
        revision
    }

    /// Pushes and absorbs that an empty subnet without pins is gone, and remembers it for whoever
    /// polls.
    pub(super) fn commit_subnet_gone(&mut self, at: u32, sink: &mut impl EffectSink) -> Effect {
        let subnet = self.subnets.at(at);
        let (id, family) = (subnet.row.id, subnet.family);
        let (network, subnet) = (subnet.network_handle, subnet.handle);
        let of = self.networks.at_mut(self.subnets.at(at).network);
        let revision = of.next_revision();
        of.mark(revision);
        let effect = Effect::SubnetGone { network, subnet, revision };
        sink.push(&effect);
        self.drop_subnet(at);
        let place = (network, revision.0);
        let forgotten = self.departed.note(place, (id, family), DEPARTED_SUBNETS_MAX);
        if let Some((network, revision)) = forgotten
            && let Some(of) = self.find_network_handle(network)
        {
            self.networks.at_mut(of).forget_before(Revision(revision));
        }
        effect
    }

    pub(super) fn remember(&mut self, handle: u32) {
        if self.undo.active {
            let row = self.ledger.row_of(&self.subnets, handle);
            let record = self.ledger.at(handle);
            let (subnet, grace) = (record.subnet, self.ledger.grace(record));
            self.undo.steps.push(Step::Was { subnet, row, grace });
        }
    }

    /// Remembers what a port is, before it changes.
    pub(super) fn remember_port(&mut self, network: u32, created: Revision) {
        if !self.undo.active {
            return;
        }
        let step = match self.networks.at(network).ports.get(&created.0) {
            Some(&port) => Step::PortWas { network, row: Box::new(self.port_row(port)) },
            None => Step::PortFresh { network, created },
        };
        self.undo.steps.push(step);
    }

    /// From here on, changes of allocations and ports of this network can be taken back.
    pub(super) fn begin_undo(&mut self, network: u32) -> Savepoint {
        let savepoint = Savepoint {
            was_active: self.undo.active,
            steps: self.undo.steps.len(),
            network,
            revision: self.networks.at(network).revision,
            payer: self.payer(network),
        };
        self.undo.active = true;
        savepoint
    }

    /// What was done since the savepoint stays; an outer one can still take it back.
    pub(super) fn end_undo(&mut self, savepoint: Savepoint) {
        if !savepoint.was_active {
            self.undo.active = false;
            self.undo.steps.clear();
        }
    }

    /// Takes back what was done since the savepoint.
    pub(super) fn take_back(&mut self, savepoint: Savepoint) {
        self.undo.active = false;
        while self.undo.steps.len() > savepoint.steps {
            let Some(step) = self.undo.steps.pop() else { break };
            match step {
                Step::Fresh { subnet, offset, cursor } => {
                    self.subnets.at_mut(subnet).cursor = cursor;
                    let handle = self.ledger.find_at(subnet, offset);
                    self.take_out(handle.expect("what was put and not taken back is there"));
                }
                Step::Was { subnet, row, grace } => {
                    let there = self.ledger.find_at(subnet, row.place.offset);
                    let rests = row.state == AllocationState::Quarantined;
                    let handle = match there {
                        Some(handle) if !rests && self.is_same_key(handle, &row) => {
                            self.rewrite(handle, &row);
                            handle
                        }
                        there => {
                            there.into_iter().for_each(|handle| self.take_out(handle));
                            self.insert_fresh(subnet, &row)
                        }
                    };
                    self.ledger.restore_grace(handle, grace);
                }
                Step::PortFresh { network, created } => self.drop_port(network, created),
                Step::PortWas { network, row } => self.put_port(network, &row),
            }
        }
        self.networks.at_mut(savepoint.network).revision = savepoint.revision;
        self.undo.active = savepoint.was_active;
    }

    fn put_network(&mut self, row: &NetworkRow) {
        let lent = (row.id, row.project);
        let Some(at) = self.find_network_handle(row.network) else {
            let owner_salt = self.owner_salt(row.project);
            let account = self.accounts.of(row.project);
            let key_salt = self.ledger.hasher.hash(u128::from(row.network.0), 3);
            let at = self.add_network(Network {
                handle: row.network,
                project: row.project,
                id: row.id,
                account,
                revision: row.revision,
                attributes: row.revision,
                deleting: row.deleting,
                shared: row.shared,
                guests: Default::default(),
                name: row.name.as_ref().map(super::owned),
                description: row.description.as_ref().map(super::owned),
                scope_v4: row.scope_v4,
                scope_v6: row.scope_v6,
                allocations: 0,
                rests: None,
                known_from: row.revision,
                totals: [None, None],
                usable: [0; 2],
                first_open: [None; 2],
                order: Default::default(),
                next_subnet: 0,
                key_salt,
                owner_salt,
                pinned: false,
                ports: Default::default(),
                plan: None,
            });
            self.lend(lent, at, row.shared);
            return;
        };
        // At recovery a network of the same id may have come and gone meanwhile.
        self.ordered.insert((row.project, row.id), at);
        self.leave_network_name(at);
        let network = self.networks.at_mut(at);
        network.mark(row.revision);
        network.attributes = row.revision;
        network.deleting = row.deleting;
        network.shared = row.shared;
        network.name = row.name.as_ref().map(super::owned);
        network.description = row.description.as_ref().map(super::owned);
        self.enter_network_name(at);
        self.lend(lent, at, row.shared);
    }

    fn drop_network(&mut self, handle: NetworkHandle) {
        let Some(at) = self.find_network_handle(handle) else { return };
        while let Some(key) = self.first_subnet(at) {
            self.drop_subnet(key);
        }
        while let Some((&created, _)) = self.networks.at(at).ports.first_key_value() {
            self.drop_port(at, Revision(created));
        }
        self.remove_network(at);
        self.departed.forget(handle);
    }

    fn first_subnet(&self, network: u32) -> Option<u32> {
        let first = super::order::Key::before(crate::model::Family::V4, 0);
        self.networks.at(network).order.iter_from(first).next().map(|key| key.subnet())
    }

    fn put_subnet(&mut self, row: &SubnetRow) -> Result<(), AbsorbError> {
        let outside = AbsorbError::RangeOutside(row.network, row.subnet);
        let range = row.prefix.range();
        let inside = |pool: &crate::model::Range| {
            range.contains(&pool.first()) && range.contains(&pool.last())
        };
        if !row.pools.iter().all(inside) {
            return Err(outside);
        }
        let of = self.marked(row.network, row.revision)?;
        let old = self.find_subnet_handle(of, row.subnet);
        let same = old.filter(|&at| {
            let old = &self.subnets.at(at).row;
            old.prefix == row.prefix && old.id == row.id
        });
        let at = match (old, same) {
            (_, Some(at)) => at,
            (Some(other), None) => {
                self.drop_subnet(other);
                self.new_subnet(of, row)
            }
            (None, None) => self.new_subnet(of, row),
        };
        self.leave_subnet_name(at);
        self.leave_plan(at);
        let subnet = self.subnets.at_mut(at);
        let family = family_index(subnet.family);
        let was_usable = subnet.is_usable();
        subnet.deleting = row.deleting;
        subnet.open = row.service.is_open();
        let usable = &mut self.networks.at_mut(of).usable[family];
        *usable = *usable + u32::from(subnet.is_usable()) - u32::from(was_usable);
        subnet.strategy = row.strategy;
        subnet.quarantine_ms = row.quarantine_ms;
        self.levels.moved(subnet.row.level, row.level);
        *subnet.row = owned_row(row);
        self.enter_subnet_name(at);
        self.enter_plan(at);
        self.recut(at);
        Ok(())
    }

    fn new_subnet(&mut self, of: u32, row: &SubnetRow) -> u32 {
        let network = self.networks.at_mut(of);
        network.next_subnet = network.next_subnet.max(row.subnet.0.saturating_add(1));
        let mut plain = owned_row(row);
        (plain.name, plain.level) = (None, 0);
        let subnet = Subnet {
            network: of,
            project: network.project,
            network_handle: network.handle,
            key_salt: network.key_salt,
            owner_salt: network.owner_salt,
            handle: row.subnet,
            family: row.prefix.family(),
            host_bits: row.prefix.host_bits(),
            room: 0,
            strategy: row.strategy,
            deleting: true,
            open: row.service.is_open(),
            base: row.prefix.base(),
            cursor: 0,
            allocations: 0,
            quarantine_ms: row.quarantine_ms,
            rests: None,
            holds: None,
            of_ports: 0,
            of_yielding: 0,
            counted: Revision(0),
            map: FreeMap::new(row.prefix.host_bits()),
            pieces: Default::default(),
            samples: Samples::default(),
            bounds: LevelBounds::NEVER,
            is_crossed: false,
            block_orders: 0,
            blocks: 0,
            exclusions: Vec::new(),
            pins: Vec::new(),
            row: Box::new(plain),
        };
        self.add_subnet(subnet)
    }

    /// Takes a subnet out with whatever is in it; in live operation nothing is.
    fn drop_subnet(&mut self, at: u32) {
        while let Some(offset) = self.subnets.at(at).map.next_taken(&self.maps, 0) {
            let handle = self.ledger.find_at(at, offset);
            self.take_out(handle.expect("each taken offset begins or lies in an allocation"));
        }
        self.drop_pins_in(at);
        self.leave_plan(at);
        self.remove_subnet(at);
    }

    fn put_exclusion(&mut self, row: &ExclusionRow) -> Result<(), AbsorbError> {
        let of = self.marked(row.network, row.revision)?;
        let unknown = AbsorbError::UnknownSubnet(row.network, row.subnet);
        let at = self.find_subnet_handle(of, row.subnet).ok_or(unknown)?;
        let subnet = self.subnets.at_mut(at);
        let range = row.exclusion.range;
        let Some((first, last)) = subnet.span_of(&range) else {
            return Err(AbsorbError::RangeOutside(row.network, row.subnet));
        };
        let mut exclusion = row.exclusion.clone();
        exclusion.reason = exclusion.reason.as_ref().map(super::owned);
        let overlapping: Vec<_> = subnet.excluded(first, last).map(|other| other.range).collect();
        subnet.exclusions.retain(|other| !overlapping.contains(&other.range));
        let place = subnet.exclusions.partition_point(|other| other.range.first() < range.first());
        subnet.exclusions.insert(place, exclusion);
        self.recut(at);
        Ok(())
    }

    fn drop_exclusion(&mut self, at: u32, first: u128) {
        let subnet = self.subnets.at_mut(at);
        let Some(address) = subnet.row.prefix.address_at(first) else { return };
        subnet.exclusions.retain(|exclusion| exclusion.range.first() != address);
        self.recut(at);
    }

    fn put_allocation(&mut self, row: &AllocationRow) -> Result<(), AbsorbError> {
        let place = &row.place;
        let unknown = AbsorbError::UnknownSubnet(place.network, place.subnet);
        let of = self.marked(place.network, row.changed)?;
        let at = self.find_subnet_handle(of, place.subnet).ok_or(unknown)?;
        let subnet = self.subnets.at(at);
        let aligned = place.block_bits <= subnet.host_bits
            && last_of(0, place.block_bits) & place.offset == 0
            && place.offset <= subnet.offset_max();
        if !aligned {
            return Err(AbsorbError::OutsideSubnet(*place));
        }
        let is_ended = row.extras.as_deref().and_then(|extras| extras.quarantine_end).is_none();
        if row.state == AllocationState::Free
            || (row.state == AllocationState::Quarantined && is_ended)
        {
            return Err(AbsorbError::StateFree(*place));
        }
        if row.state == AllocationState::Quarantined {
            self.put_resting(at, row);
            return Ok(());
        }
        let here = self.ledger.find_at(at, place.offset).filter(|&handle| {
            self.ledger.at(handle).block_bits == place.block_bits && self.is_same_key(handle, row)
        });
        match here {
            Some(handle) => {
                self.rewrite(handle, row);
                self.move_cursor(at, row);
                // At recovery the row may have been there before this revision was reached.
                self.subnets.at_mut(at).counted = self.networks.at(of).revision;
            }
            None => {
                self.push_out(of, at, row);
                self.insert_fresh(at, row);
            }
        }
        Ok(())
    }

    /// Whether what lives at the place of a row has its key.
    fn is_same_key(&self, handle: u32, row: &AllocationRow) -> bool {
        let record = self.ledger.at(handle);
        if record.rests() {
            return false;
        }
        let said = row.extras.as_deref().and_then(|extras| extras.project);
        let own = self.subnets.at(record.subnet).project;
        let is_same = record.owner() == row.owner
            && record.slot == row.slot
            && self.ledger.project_of(&self.subnets, record) == said.unwrap_or(own);
        is_same || (is_planted(Bug::TransferKeepsOldKey) && said_former(row))
    }

    /// Takes out what shares an address or the key with a row; in live operation that is only what a
    /// transfer gives to another key.
    fn push_out(&mut self, of: u32, at: u32, row: &AllocationRow) {
        let project = row.extras.as_deref().and_then(|extras| extras.project);
        let key = self.key_for(of, project, row.owner, row.slot);
        if let Some(handle) = self.ledger.find_key(&self.subnets, &key) {
            self.take_out(handle);
        }
        self.clear_place(at, row);
    }

    /// Takes in what rests from now on: what was there is live no more.
    fn put_resting(&mut self, at: u32, row: &AllocationRow) {
        self.clear_place(at, row);
        self.insert_fresh(at, row);
    }

    /// Takes out what shares an address with a row.
    fn clear_place(&mut self, at: u32, row: &AllocationRow) {
        let (offset, order) = (row.place.offset, row.place.block_bits);
        while !self.subnets.at(at).map.is_free(&self.maps, offset, order) {
            let taken = self.subnets.at(at).map.next_taken(&self.maps, offset);
            let covering = taken.and_then(|taken| self.find_covering(at, taken));
            self.take_out(covering.expect("each taken offset begins or lies in an allocation"));
        }
    }

    fn drop_allocation(&mut self, at: u32, place: &AllocationPlace) {
        let found = self.ledger.find_at(at, place.offset);
        let found = found.filter(|&at| self.ledger.at(at).block_bits == place.block_bits);
        if let Some(handle) = found {
            self.take_out(handle);
        }
    }

    pub(super) fn insert_fresh(&mut self, subnet: u32, row: &AllocationRow) -> u32 {
        if row.state == AllocationState::Quarantined {
            let handle = self.ledger.insert_resting(&self.subnets, subnet, row);
            self.note_rest(handle, true);
            return handle;
        }
        let handle = self.ledger.insert(&self.subnets, subnet, row);
        self.occupy(subnet, row.place.offset, row.place.block_bits, true);
        self.move_cursor(subnet, row);
        let network = self.subnets.at(subnet).network;
        let extras = row.extras.as_deref();
        let guest = extras.and_then(|extras| extras.project);
        let of_object = extras.is_some_and(|extras| extras.port.is_some());
        if let Some(guest) = guest {
            self.count_guest(network, guest, true);
        }
        self.count_allocation(network, guest, row.place.block_bits, of_object, true);
        self.seek_holder(network, handle);
        if row.state == AllocationState::Held {
            self.note_hold(handle, true);
        }
        handle
    }

    /// Writes what may change while an allocation keeps its key and place.
    fn rewrite(&mut self, handle: u32, row: &AllocationRow) {
        let was_held = self.ledger.at(handle).state() == AllocationState::Held;
        let is_held = row.state == AllocationState::Held;
        if was_held && !is_held {
            self.note_hold(handle, false);
        }
        self.ledger.write(&self.subnets, handle, row);
        if is_held && !was_held {
            self.note_hold(handle, true);
        }
    }

    fn move_cursor(&mut self, subnet: u32, row: &AllocationRow) {
        if row.moves_cursor {
            self.subnets.at_mut(subnet).cursor = row.place.cursor_behind();
        }
    }

    pub(super) fn take_out(&mut self, handle: u32) {
        let record = self.ledger.at(handle);
        if record.rests() {
            self.note_rest(handle, false);
            self.ledger.remove(&self.subnets, handle);
            return;
        }
        if record.state() == AllocationState::Held {
            self.note_hold(handle, false);
        }
        let record = self.ledger.at(handle);
        let (subnet, order) = (record.subnet, record.block_bits);
        let (offset, holder) = (self.ledger.offset(record), record.holder());
        let extras = self.ledger.extras_row(record);
        let guest = extras.and_then(|row| row.project);
        let of_object = extras.is_some_and(|row| row.port.is_some());
        self.ledger.remove(&self.subnets, handle);
        self.subnets.at_mut(subnet).count_holder(holder, false);
        self.occupy(subnet, offset, order, false);
        let network = self.subnets.at(subnet).network;
        if let Some(guest) = guest {
            self.count_guest(network, guest, false);
        }
        self.count_allocation(network, guest, order, of_object, false);
    }

    /// The network of a handle, its revision counter moved on.
    fn marked(&mut self, handle: NetworkHandle, revision: Revision) -> Result<u32, AbsorbError> {
        let at = self.find_network_handle(handle).ok_or(AbsorbError::UnknownNetwork(handle))?;
        self.networks.at_mut(at).mark(revision);
        Ok(at)
    }

    fn mark_if_known(&mut self, handle: NetworkHandle, revision: Revision) {
        if let Some(at) = self.find_network_handle(handle) {
            self.networks.at_mut(at).mark(revision);
        }
    }
}

/// A row whose texts keep no network buffer alive.
fn owned_row(row: &SubnetRow) -> SubnetRow {
    SubnetRow {
        name: row.name.as_ref().map(super::owned),
        description: row.description.as_ref().map(super::owned),
        service: Service {
            service_types: row.service.service_types.iter().map(super::owned).collect(),
            ..row.service.clone()
        },
        ..row.clone()
    }
}

/// Whether a row says that it was transferred.
fn said_former(row: &AllocationRow) -> bool {
    row.extras.as_deref().is_some_and(|extras| extras.former.is_some())
}
