//! Prefixes as allocations straight from a pool: allocate, release, update, transfer, get, list, lookup, usage.
//! Keys, repeats, fences and texts are the shard's; where a prefix lies is decided here.

use super::Catalogue;
use super::blocks::{Block, blocks_of_range};
use super::choose::Wanted;
use super::pool::{Pool, block_of};
use super::projects::lost;
use crate::allocator::leases::check_lease;
use crate::allocator::refusal::{Refused, limit, refuse_field, unsupported};
use crate::allocator::shard::{Answer, At, Scope};
use crate::model::{
    AllocationExtras, AllocationPlace, AllocationRow, Effect, EffectSink, Family, Instance,
    NetworkHandle, NetworkId, OwnerId, PoolId, Prefix, ProjectId, Revision, Slot, Status,
    SubnetHandle, SubnetId, Text,
};
use addrd_protocol::message::allocate::AllocateExtras;
use addrd_protocol::message::release::Target;
use addrd_protocol::message::{
    Allocate, Allocated, Allocation, AllocationState, AllocationUpdate, FamilyChoice, Lookup,
    NetworkUsage, Release, Released, Reply, Request, Strategy, SubnetUsage, Transfer, Usage,
    UsageTotals,
};
use addrd_protocol::prefix::number_of;
use std::net::IpAddr;
use uuid::Uuid;

impl Catalogue {
    /// Applies a request whose header names a pool.
    pub(super) fn apply_to_pool(
        &mut self,
        at: &At,
        scope: &Scope,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Answer {
        self.prefixes.act_for(Some(scope.project));
        self.set_time(at);
        let answer = self.decide_prefix(at, scope, request, sink);
        self.prefixes.act_for(None);
        answer
    }

    fn decide_prefix(
        &mut self,
        at: &At,
        scope: &Scope,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Answer {
        if let Request::Lookup(lookup) = request {
            return self.lookup(scope, lookup);
        }
        self.check_project(scope.project)?;
        if let Request::RenewOwner(request) = request
            && scope.network == NetworkId::NIL
        {
            let renewed = self.renew_in_all_pools(scope.project, request, sink)?;
            return Ok((Status::OK, Reply::RenewedOwner(renewed)));
        }
        let id = PoolId(scope.network.0);
        let pool = self.pool_of(scope.project, "network", id)?;
        let handle = pool.row.handle;
        let network = self.prefixes.find_network_handle(handle).ok_or_else(lost)?;
        match request {
            Request::Allocate(request) => {
                let done = self.allocate_prefix(handle, network, scope.project, request, sink)?;
                return Ok((Status::OK, Reply::Allocated(done)));
            }
            Request::Usage(request) => {
                let usage =
                    NetworkUsage { revision: self.last_revision(handle), ..usage(pool, request)? };
                return Ok((Status::OK, Reply::Usage(Box::new(usage))));
            }
            Request::Batch(request) => {
                return self.batch(handle, network, scope.project, request, sink);
            }
            Request::Release(request) => {
                let released = self.release_prefix(handle, network, request, sink)?;
                return Ok(match released {
                    Some(released) => (Status::OK, Reply::Released(released)),
                    None => (Status::NOT_HELD, Reply::Empty),
                });
            }
            Request::AllocationUpdate(request) => {
                let updated = self.update_prefix(handle, network, request, sink)?;
                return Ok((Status::OK, Reply::Allocation(Box::new(updated))));
            }
            Request::Renew(request) => {
                let renewed = self.renew_prefix(handle, network, request, sink)?;
                return Ok((Status::OK, Reply::Renewed(renewed)));
            }
            Request::RenewOwner(request) => {
                let renewed = self.renew_prefixes_of(network, request, sink)?;
                return Ok((Status::OK, Reply::RenewedOwner(renewed)));
            }
            Request::Transfer(request) => {
                let transferred = self.transfer_prefix(handle, network, request, sink)?;
                return Ok((Status::OK, Reply::Allocation(Box::new(transferred))));
            }
            Request::AllocationGet(_) | Request::AllocationList(_) => {}
            _ => return Err(unsupported("opcode", "this operation on a subnet pool")),
        }
        let within = Scope {
            project: pool.row.project,
            network: NetworkId(pool.row.id.0),
            pool: true,
            network_project: None,
            restoring: false,
        };
        self.prefixes.apply(at, &within, request, sink)
    }

    pub(super) fn release_prefix(
        &mut self,
        pool: NetworkHandle,
        network: u32,
        request: &Release,
        sink: &mut impl EffectSink,
    ) -> Result<Option<Released>, Refused> {
        self.check_own(pool, network, "target", &request.target)?;
        self.prefixes_decide(sink, |prefixes, tee| prefixes.release(network, request, tee))
    }

    pub(super) fn update_prefix(
        &mut self,
        pool: NetworkHandle,
        network: u32,
        request: &AllocationUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<Allocation, Refused> {
        if request.follow_host == Some(true) {
            return Err(unsupported(
                "follow_host",
                "a prefix of a subnet pool that follows a host",
            ));
        }
        self.check_own(pool, network, "target", &request.target)?;
        self.prefixes_decide(sink, |prefixes, tee| {
            prefixes.allocation_update(network, request, tee)
        })
    }

    /// Within a project alone: what others have of a pool counts for their own quota of it.
    pub(super) fn transfer_prefix(
        &mut self,
        pool: NetworkHandle,
        network: u32,
        request: &Transfer,
        sink: &mut impl EffectSink,
    ) -> Result<Allocation, Refused> {
        self.check_own(pool, network, "address", &Target::Address(request.address))?;
        self.prefixes_decide(sink, |prefixes, tee| prefixes.transfer(network, request, tee))
    }

    /// In the pool of the header, or in all if it names none.
    fn lookup(&self, scope: &Scope, lookup: &Lookup) -> Answer {
        let network = match scope.network {
            NetworkId::NIL => None,
            id => {
                let handle = self.pool_of(scope.project, "network", PoolId(id.0))?.row.handle;
                Some(self.prefixes.find_network_handle(handle).ok_or_else(lost)?)
            }
        };
        let mut found = self.prefixes.lookup(scope.project, network, lookup);
        // Each pool has one subnet here, all addresses: it says nothing.
        found.subnets.clear();
        Ok((Status::OK, Reply::Lookups(Box::new(found))))
    }

    pub(super) fn allocate_prefix(
        &mut self,
        handle: NetworkHandle,
        network: u32,
        project: ProjectId,
        request: &Allocate,
        sink: &mut impl EffectSink,
    ) -> Result<Allocated, Refused> {
        let pool = self.pools.get(&handle).ok_or_else(lost)?;
        check_fields(pool, request)?;
        let mut asked = request.clone();
        let extras = asked.extras.get_or_insert_default();
        let target = Target::Key { owner: request.owner, slot: request.slot };
        self.check_own(handle, network, "owner", &target)?;
        let length = request.length.unwrap_or(pool.row.default_length);
        let exact = request.extras.as_deref().and_then(|extras| extras.exact);
        let exact = exact.and_then(|exact| Prefix::new(exact, length));
        self.end_what_is_over(handle, network, &target, exact, sink);
        let pool = self.pools.get(&handle).ok_or_else(lost)?;
        let held = self.prefixes.holding(network, request.owner, request.slot);
        match held {
            // A repeat is judged against what is held; a length that isn't given fits any.
            Some(order) => asked.length = request.length.or(Some(pool.bits() - order)),
            None => {
                self.prefixes.check_room_for_records()?;
                let block = self.place(pool, project, request)?;
                self.check_prefix_quota(project)?;
                let address = pool.row.family.address(block.base).ok_or_else(lost)?;
                (extras.exact, extras.limit) = (Some(address), None);
                asked.length = Some(pool.bits() - block.order);
                asked.strategy = Strategy::Exact;
            }
        }
        self.prefixes_decide(sink, |prefixes, tee| prefixes.allocate(network, &asked, tee))
    }

    /// Where a new prefix lies.
    fn place(&self, pool: &Pool, project: ProjectId, request: &Allocate) -> Result<Block, Refused> {
        let none = AllocateExtras::default();
        let extras = request.extras.as_deref().unwrap_or(&none);
        let length = request.length.unwrap_or(pool.row.default_length);
        let mut wanted = Wanted {
            length: Some(length),
            lowest: request.strategy == Strategy::Lowest,
            ..Wanted::default()
        };
        if let Some(limit) = &extras.limit {
            let (first, last) = (number_of(&limit.first()), number_of(&limit.last()));
            wanted.allowed = Some(blocks_of_range(first, last));
        }
        if let Some(exact) = &extras.exact {
            wanted.exact = Some(prefix_at("exact", exact, length)?);
            wanted.field = "exact";
        } else if let Some(preferred) = &extras.preferred
            && let Some(prefix) = Prefix::new(*preferred, length)
            && pool.free.around(block_of(&prefix)).is_some()
        {
            let preferred = Wanted { exact: Some(prefix), ..wanted.clone() };
            if let Ok(block) = self.choose(pool, project, &preferred) {
                return Ok(block);
            }
        }
        self.choose(pool, project, &wanted)
    }

    /// Refuses to touch what a subnet or a pool has, which `field` of the request names; others'
    /// prefixes are as if they weren't there.
    pub(super) fn check_own(
        &self,
        pool: NetworkHandle,
        network: u32,
        field: &str,
        target: &Target,
    ) -> Result<(), Refused> {
        let Some((owner, object)) = self.prefixes.belongs_to(network, target) else {
            return Ok(());
        };
        let message = if object == owner.0 {
            format!("the prefix belongs to subnet pool {owner}, which gives it back itself")
        } else {
            format!("the prefix belongs to subnet {owner} of network {object}: delete the subnet")
        };
        debug_assert!(self.is_pool(pool), "the caller found it");
        Err(refuse_field(Status::HELD_BY_OBJECT, field, format_args!("{message}")))
    }

    /// What begins at an address of a pool, as its record would put it now.
    pub(super) fn row_at(&self, pool: NetworkHandle, base: u128) -> Option<AllocationRow> {
        let network = self.prefixes.find_network_handle(pool)?;
        let subnet = self.prefixes.find_subnet_handle(network, SubnetHandle(0))?;
        let held = self.prefixes.ledger.find_at(subnet, base)?;
        Some(self.prefixes.ledger.row_of(&self.prefixes.subnets, held))
    }

    /// The revision that the next record of a pool has.
    pub(super) fn next_revision(&self, pool: NetworkHandle) -> Revision {
        let network = self.prefixes.find_network_handle(pool);
        network.map_or(Revision(0), |at| self.prefixes.networks.at(at).next_revision())
    }

    fn last_revision(&self, pool: NetworkHandle) -> Revision {
        let network = self.prefixes.find_network_handle(pool);
        network.map_or(Revision(0), |at| self.prefixes.networks.at(at).revision)
    }

    /// Takes a block for a subnet or a pool; it was chosen just now. `object` is its network, or the
    /// pool itself.
    #[expect(clippy::too_many_arguments, reason = "a row's fields, each of another type")]
    pub(super) fn take(
        &mut self,
        pool: NetworkHandle,
        block: Block,
        project: ProjectId,
        owner: OwnerId,
        object: Uuid,
        text: &str,
        sink: &mut impl EffectSink,
    ) {
        let own = self.pools.get(&pool).map(|pool| pool.row.project);
        let revision = self.next_revision(pool);
        let extras = AllocationExtras {
            project: (own != Some(project)).then_some(project),
            port: Some(object),
            owner_name: Text::new(text).ok(),
            ..AllocationExtras::default()
        };
        let row = AllocationRow {
            place: place(pool, block),
            revision,
            changed: revision,
            owner,
            slot: self.free_slot(pool, project, owner).unwrap_or_default(),
            instance: Instance(0),
            state: AllocationState::Allocated,
            moves_cursor: false,
            extras: Some(Box::new(extras)),
        };
        self.commit(&Effect::AllocationPut(row), sink);
    }

    /// Gives back what begins at an address.
    pub(super) fn give(&mut self, pool: NetworkHandle, base: u128, sink: &mut impl EffectSink) {
        let taken = self.pools.get(&pool).and_then(|pool| pool.taken.get(&base)).copied();
        let Some(taken) = taken else { return };
        let revision = self.next_revision(pool);
        let place = place(pool, Block::new(base, taken.order));
        let held_by = self.prefixes.holder_at(&place);
        let held_by = held_by.expect("what a pool counts as taken is held");
        self.commit(&Effect::AllocationGone { place, revision, held_by: Some(held_by) }, sink);
    }

    /// Refuses prefixes for a subnet or a pool whose id has too few free slots: some would be lost.
    ///
    /// Shape: a look for each slot that is taken, up to the last one that is needed.
    pub(super) fn check_slots(
        &self,
        pool: NetworkHandle,
        project: ProjectId,
        owner: OwnerId,
        needed: usize,
    ) -> Result<(), Refused> {
        let free = self.free_slots(pool, project, owner).take(needed).count();
        if free == needed {
            return Ok(());
        }
        let most = u128::from(u16::MAX) + 1;
        Err(limit("slots of an owner", most + (needed - free) as u128, most))
    }

    /// Two networks may have subnets of one id: the first slot that is free under it.
    fn free_slot(&self, pool: NetworkHandle, project: ProjectId, owner: OwnerId) -> Option<Slot> {
        self.free_slots(pool, project, owner).next()
    }

    fn free_slots(
        &self,
        pool: NetworkHandle,
        project: ProjectId,
        owner: OwnerId,
    ) -> impl Iterator<Item = Slot> {
        let network = self.prefixes.find_network_handle(pool);
        let slots = network
            .into_iter()
            .flat_map(|network| (0..=u16::MAX).map(move |slot| (network, Slot(slot))));
        let free = slots.filter(move |(network, slot)| {
            let key = self.prefixes.key_for(*network, Some(project), owner, *slot);
            self.prefixes.ledger.find_key(&self.prefixes.subnets, &key).is_none()
        });
        free.map(|(_, slot)| slot)
    }
}

fn place(pool: NetworkHandle, block: Block) -> AllocationPlace {
    AllocationPlace {
        network: pool,
        subnet: SubnetHandle(0),
        offset: block.base,
        block_bits: block.order,
    }
}

/// Refuses what an allocate of a prefix can't have.
fn check_fields(pool: &Pool, request: &Allocate) -> Result<(), Refused> {
    let conflict = |field: &str, what: &str| {
        let message = format_args!("{what} has no meaning for a prefix of a pool");
        Err(refuse_field(Status::CONFLICTING_FIELDS, field, message))
    };
    let family = match request.family {
        FamilyChoice::One => pool.row.family,
        FamilyChoice::V4 => Family::V4,
        FamilyChoice::V6 => Family::V6,
        FamilyChoice::Each | FamilyChoice::Both => return conflict("family", "a pair of families"),
    };
    let extras = request.extras.as_deref();
    let addresses = extras.map(|extras| [extras.exact, extras.preferred]).unwrap_or_default();
    let limit = extras.and_then(|extras| extras.limit);
    let families = addresses.iter().flatten().map(Family::of).chain(limit.map(|l| l.family()));
    if families.chain([family]).any(|family| family != pool.row.family) {
        let name = super::choose::family_name(pool.row.family);
        let message = format_args!("the pool is of {name}, and the request is not");
        return Err(refuse_field(Status::FAMILY_MISMATCH, "family", message));
    }
    if extras.is_some_and(|extras| !extras.subnets.is_empty()) {
        return conflict("subnets", "a candidate subnet");
    }
    if let Some(lease_ms) = extras.and_then(|extras| extras.lease_ms) {
        check_lease(lease_ms)?;
    }
    if extras.is_some_and(|extras| extras.hold_token.is_some()) {
        return Err(unsupported("hold_token", "a hold of a prefix of a subnet pool"));
    }
    if extras.is_some_and(|extras| extras.follow_host) {
        return Err(unsupported("follow_host", "a prefix of a subnet pool that follows a host"));
    }
    if request.flags.want_subnet {
        return conflict("want_subnet", "the settings of a subnet");
    }
    match request.strategy {
        Strategy::Default | Strategy::Lowest => Ok(()),
        Strategy::Exact if addresses[0].is_some() => Ok(()),
        Strategy::Exact => conflict("strategy", "exact without an address"),
        Strategy::Next | Strategy::Random | Strategy::Hashed | Strategy::Eui64 => {
            let message = format_args!(
                "a pool gives the best fit (default), the lowest, or an exact prefix, by no other strategy"
            );
            Err(refuse_field(Status::CONFLICTING_FIELDS, "strategy", message))
        }
    }
}

/// The prefix of a length that begins at an address.
fn prefix_at(field: &str, address: &IpAddr, length: u8) -> Result<Prefix, Refused> {
    Prefix::new(*address, length).ok_or_else(|| {
        let message = format_args!("{address} is not the first address of a /{length}");
        refuse_field(Status::INVALID_ADDRESS, field, message)
    })
}

/// Counts of a pool: an item for each of its prefixes.
fn usage(pool: &Pool, request: &Usage) -> Result<NetworkUsage, Refused> {
    let pages = request.subnet.is_some() || request.cursor.is_some();
    if pages || request.changed_since.is_some() {
        let message = format_args!("a pool's counts are by prefix, all of them in one reply");
        return Err(refuse_field(Status::CONFLICTING_FIELDS, "subnet", message));
    }
    let family = pool.row.family;
    let is_shown = request.family.is_none_or(|only| only == family);
    let item = |prefix: &Prefix| {
        let block = block_of(prefix);
        let inside = pool.taken.range(block.base..=block.last());
        let used = inside.map(|(&base, taken)| Block::new(base, taken.order).size()).sum();
        SubnetUsage {
            subnet_id: SubnetId(pool.row.id.0),
            cidr: *prefix,
            size: block.size(),
            pool_size: block.size(),
            free: block.size() - used,
            held: 0,
            allocated: used,
            quarantined: 0,
            excluded: 0,
            pinned: 0,
            used_outside: 0,
            growth_1h: None,
            growth_24h: None,
            watched_ms: None,
        }
    };
    let mut subnets: Vec<SubnetUsage> = match is_shown {
        true => pool.row.prefixes.iter().map(item).collect(),
        false => Vec::new(),
    };
    let totals = subnets.iter().fold(UsageTotals::none(family), UsageTotals::with);
    let totals = Some(totals).filter(|totals| totals.subnets > 0).into_iter().collect();
    if request.totals_only {
        subnets.clear();
    }
    Ok(NetworkUsage {
        network_id: NetworkId(pool.row.id.0),
        whole: !request.totals_only,
        totals,
        subnets,
        next: None,
        revision: Revision(0),
        gone: Vec::new(),
    })
}
