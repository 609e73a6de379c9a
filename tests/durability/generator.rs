//! Random effects that a correct server could have: networks, subnets, cells that come, go, move
//! and come again, under handles that are used again.

use crate::model::Model;
use addrd::model::{
    AddressScopeId, AllocationExtras, AllocationPlace, AllocationRow, Asked, Asker, Effect,
    ExclusionRow, Family, HeldBy, HostLeaseRow, HostName, HostRow, Instance, JobId, JobRow,
    LevelRow, Mac, NetworkHandle, NetworkId, NetworkRow, OwnerId, PinRow, PoolId, PoolRow, PortId,
    PortRow, PrincipalId, PrincipalRow, ProjectId, ProjectRow, Range, Revision, ScopeRow,
    SegmentId, SegmentRow, Slot, SubnetHandle, SubnetId, SubnetRow, Text, Thing, ThingWas, Tick,
    TokenHash, TokenId, TokenRow,
};
use addrd::store::fake_disk::Random;
use addrd_protocol::Opcode;
use addrd_protocol::message::{
    AllocationState, Exclusion, ExclusionMode, Grant, IpAllocation, JobKind, OnEnd, Quotas,
    Strategy, SubnetKind, Verbs,
};
use uuid::Uuid;

/// Makes effects and keeps the state that they lead to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generator {
    pub(crate) model: Model,
    /// Never used again, as a server does it.
    pub(crate) network_handle_max: u32,
    pub(crate) job_max: u64,
    made: Vec<Effect>,
}

impl Generator {
    /// Effects of one hand-over; may be none.
    pub(crate) fn hand_over(&mut self, random: &mut Random) -> Vec<Effect> {
        self.made.clear();
        for _ in 0..random.below(8) {
            self.act(random);
        }
        std::mem::take(&mut self.made)
    }

    fn act(&mut self, random: &mut Random) {
        if self.model.networks.is_empty() || random.one_in(40) {
            return self.create_network(random);
        }
        match random.below(56) {
            0 => self.delete_network(random),
            1 => self.delete_subnet(random),
            2 | 3 => self.create_subnet(random),
            4 => self.update_subnet(random),
            5 | 6 => self.exclude(random),
            7 => self.include(random),
            8 => self.job(random),
            9..=18 => self.release(random),
            19..=23 => self.update(random),
            24..=27 => self.relocate(random),
            40..=43 => self.make_thing(random),
            44 => self.change_port(random),
            45 => self.end_thing(random),
            46 | 47 => self.object(random),
            48..=50 => self.take(random),
            51 => {
                self.push(Effect::Adoption { since: Tick(random.below(2) * (1 + random.below(9))) })
            }
            52 | 53 => self.cross_level(random),
            54 => self.host_lease(random),
            55 => self.push(Effect::Asked(asked(random))),
            _ => self.allocate(random),
        }
    }

    /// A host lease begins, goes on or is gone.
    fn host_lease(&mut self, random: &mut Random) {
        let of = HostName {
            project: ProjectId::from_u128(1 + u128::from(random.below(2))),
            manager: text("cni"),
            host: text(["n1", "n2", "n3"][random.below(3) as usize]),
        };
        if random.one_in(4) {
            return self.push(Effect::HostLeaseGone { of: Box::new(of), life: random.below(10) });
        }
        let on_end = if random.one_in(2) { OnEnd::Release } else { OnEnd::Report };
        self.push(Effect::HostLeasePut(Box::new(HostLeaseRow {
            of,
            since: 1,
            life: 1 + random.below(9),
            deadline: random.next_u64(),
            on_end,
            overdue: random.one_in(3),
        })));
    }

    /// The use of a subnet or pool crosses a level.
    fn cross_level(&mut self, random: &mut Random) {
        let (network, subnet, before) = if random.one_in(2) {
            let Some(key) = self.pick_subnet(random) else { return };
            (key.0, Some(SubnetHandle(key.1)), self.model.subnets[&key].level)
        } else {
            let of_pool = |(handle, put): (&u32, &Effect)| match put {
                Effect::PoolPut(row) => Some((*handle, row.level)),
                _ => None,
            };
            let pools: Vec<_> = self.model.objects.iter().filter_map(of_pool).collect();
            let Some((handle, level)) = nth(pools.into_iter(), random) else { return };
            (handle, None, level)
        };
        self.push(Effect::LevelPut(LevelRow {
            network: NetworkHandle(network),
            revision: self.next_revision(network),
            subnet,
            level: [0, 80, 95, 100][random.below(4) as usize],
            before,
            used: random.next_u64().into(),
            size: u128::from(random.next_u64()) << 8,
        }));
    }

    fn push(&mut self, effect: Effect) {
        self.model.absorb(&effect).expect("the generator keeps the rules");
        self.made.push(effect);
    }

    fn next_revision(&self, network: u32) -> Revision {
        Revision(self.model.revisions.get(&network).map_or(1 << 20, |last| last + 1))
    }

    fn pick_network(&self, random: &mut Random) -> Option<u32> {
        nth(self.model.networks.keys(), random).copied()
    }

    fn pick_subnet(&self, random: &mut Random) -> Option<(u32, u32)> {
        nth(self.model.subnets.keys(), random).copied()
    }

    fn pick_cell(&self, random: &mut Random) -> Option<AllocationRow> {
        nth(self.model.cells.values(), random).cloned()
    }

    fn create_network(&mut self, random: &mut Random) {
        if self.model.networks.len() >= 4 {
            return;
        }
        self.network_handle_max += 1;
        let network = self.network_handle_max;
        // Ids of deleted networks come back.
        let is_free =
            |id: &u128| self.model.networks.values().all(|row| row.id != NetworkId::from_u128(*id));
        let id = (1..).find(is_free).unwrap_or_default();
        self.push(Effect::NetworkPut(Box::new(NetworkRow {
            network: NetworkHandle(network),
            revision: Revision(1 << 20),
            project: ProjectId::DEFAULT,
            id: NetworkId::from_u128(id),
            deleting: false,
            shared: false,
            name: random.one_in(2).then(|| text(&format!("blue-{network}"))),
            description: None,
            scope_v4: None,
            scope_v6: None,
        })));
    }

    /// Makes, changes or deletes a project, a scope or a pool.
    fn object(&mut self, random: &mut Random) {
        let known = nth(self.model.objects.keys(), random).copied();
        let handle = match known {
            Some(handle) if random.one_in(2) => handle,
            Some(handle) if random.one_in(3) => {
                let all = (handle, 0, 0)..=(handle, 0, u128::MAX);
                let cells: Vec<_> =
                    self.model.cells.range(all).map(|(_, cell)| cell.clone()).collect();
                cells.iter().for_each(|cell| self.gone(cell));
                let revision = self.next_revision(handle);
                return self.push(Effect::ObjectGone { object: NetworkHandle(handle), revision });
            }
            _ if self.model.objects.len() >= 6 => return,
            _ => {
                self.network_handle_max += 1;
                self.network_handle_max
            }
        };
        let kind = match self.model.objects.get(&handle) {
            Some(Effect::ProjectPut(_)) => 0,
            Some(Effect::ScopePut(_)) => 1,
            Some(Effect::PrincipalPut(_)) => 4,
            Some(_) => 2,
            None => random.below(5),
        };
        self.push(self.object_put(handle, kind, random));
    }

    fn object_put(&self, handle: u32, kind: u64, random: &mut Random) -> Effect {
        let revision = self.next_revision(handle);
        let name = random.one_in(2).then(|| text("some"));
        let (handle, id) = (NetworkHandle(handle), u128::from(handle));
        let project = ProjectId::from_u128(id);
        if kind == 0 {
            let row = ProjectRow {
                handle,
                revision,
                id: project,
                name,
                description: None,
                quotas: Quotas { addresses: Some(revision.0), ..Quotas::default() },
            };
            return Effect::ProjectPut(Box::new(row));
        }
        if kind == 4 {
            return principal_put(handle, revision, random);
        }
        let scope = ScopeRow {
            handle,
            revision,
            project,
            id: AddressScopeId::from_u128(id),
            family: Family::V4,
            shared: random.one_in(2),
            name,
            description: None,
        };
        if kind == 1 {
            return Effect::ScopePut(Box::new(scope));
        }
        Effect::PoolPut(Box::new(PoolRow {
            handle,
            revision,
            project,
            id: PoolId::from_u128(id),
            family: scope.family,
            prefixes: vec!["10.0.0.0/8".parse().unwrap()],
            min_length: 8,
            max_length: 32,
            default_length: 24,
            quota: random.one_in(2).then(|| random.next_u64()),
            scope: None,
            parent: None,
            is_default: random.one_in(2),
            shared: scope.shared,
            name: scope.name,
            description: None,
            level: 0,
        }))
    }

    /// Something is taken from a pool, as an allocation in its subnet 0.
    fn take(&mut self, random: &mut Random) {
        let is_pool = |effect: &Effect| matches!(effect, Effect::PoolPut(_));
        let pools: Vec<u32> =
            self.model.objects.iter().filter(|(_, put)| is_pool(put)).map(|(h, _)| *h).collect();
        let Some(&pool) = nth(pools.iter(), random) else { return };
        let owner = OwnerId::from_u128(u128::from(random.below(60)));
        let offset = 0x0a00_0000 + u128::from(random.below(200)) * 256;
        let key = (pool, owner.0.as_u128(), 0);
        if self.model.keys.contains(&key) || self.model.cells.contains_key(&(pool, 0, offset)) {
            return;
        }
        let revision = self.next_revision(pool);
        self.push(Effect::AllocationPut(AllocationRow {
            place: AllocationPlace {
                network: NetworkHandle(pool),
                subnet: SubnetHandle(0),
                offset,
                block_bits: 8,
            },
            revision,
            changed: revision,
            owner,
            slot: Slot(0),
            instance: Instance(0),
            state: AllocationState::Allocated,
            moves_cursor: false,
            extras: extras(random),
        }));
    }

    fn delete_network(&mut self, random: &mut Random) {
        let Some(network) = self.pick_network(random) else { return };
        let job = self.start_job(network, random.one_in(2));
        for subnet in self.subnets_of(network) {
            self.empty_subnet(subnet);
        }
        let things: Vec<_> = self.model.things.keys().filter(|key| key.1 == network).collect();
        let things: Vec<_> = things.into_iter().copied().collect();
        for key in things {
            self.end(key);
        }
        let revision = self.next_revision(network);
        self.push(Effect::NetworkGone { network: NetworkHandle(network), revision });
        if let Some(mut row) = job {
            (row.finished, row.done, row.revision) = (true, row.total, Revision(0));
            self.push(Effect::JobPut(row));
        }
    }

    fn subnets_of(&self, network: u32) -> Vec<(u32, u32)> {
        self.model.subnets.range((network, 0)..=(network, u32::MAX)).map(|(key, _)| *key).collect()
    }

    fn start_job(&mut self, network: u32, wanted: bool) -> Option<JobRow> {
        if !wanted {
            return None;
        }
        self.job_max += 1;
        let row = JobRow {
            network: NetworkHandle(network),
            revision: self.next_revision(network),
            job: JobId(self.job_max),
            project: ProjectId::DEFAULT,
            network_id: NetworkId::from_u128(1),
            kind: JobKind::NetworkDelete,
            subnet_id: SubnetId::NIL,
            finished: false,
            done: 0,
            total: 7,
            cursor: Revision(0),
            until: Revision(0),
        };
        self.push(Effect::JobPut(row));
        Some(row)
    }

    /// A segment, host, port or pin.
    fn make_thing(&mut self, random: &mut Random) {
        let Some(number) = self.pick_network(random) else { return };
        if self.model.things.len() >= 40 {
            return self.end_thing(random);
        }
        let network = NetworkHandle(number);
        let created = self.next_revision(number);
        let id = Uuid::from_u128(u128::from(random.next_u64()));
        let words = random.one_in(2).then(|| text("words"));
        self.push(match random.below(4) {
            0 => Effect::SegmentPut(Box::new(SegmentRow {
                network,
                revision: created,
                created,
                id: SegmentId(id),
                description: words,
            })),
            1 => Effect::HostPut(Box::new(HostRow {
                network,
                created,
                segment: SegmentId(id),
                host: text("node-7"),
            })),
            2 => Effect::PinPut(Box::new(PinRow {
                network,
                created,
                subnet: SubnetHandle(1),
                offset: u128::from(random.next_u64()),
                owner: OwnerId(id),
                slot: Slot(3),
                owner_name: words,
            })),
            _ => Effect::PortPut(Box::new(PortRow {
                network,
                revision: created,
                created,
                id: PortId(id),
                mac: Mac::from_number(random.next_u64()),
                ip_allocation: IpAllocation::Immediate,
                slots: u128::from(random.next_u64()),
                project: None,
                host: words,
                device_owner: None,
                description: None,
            })),
        });
    }

    fn change_port(&mut self, random: &mut Random) {
        let port = nth(self.model.things.values(), random).cloned();
        let Some(Effect::PortPut(mut row)) = port else { return };
        row.revision = self.next_revision(row.network.0);
        row.device_owner = random.one_in(2).then(|| text("compute:nova"));
        row.slots ^= 1;
        self.push(Effect::PortPut(row));
    }

    fn end_thing(&mut self, random: &mut Random) {
        if let Some(key) = nth(self.model.things.keys(), random).copied() {
            self.end(key);
        }
    }

    fn end(&mut self, (thing, network, created): (Thing, u32, u64)) {
        let revision = self.next_revision(network);
        let (network, created) = (NetworkHandle(network), Revision(created));
        let was = match thing {
            Thing::Segment => ThingWas::Segment(SegmentId::from_u128(7)),
            Thing::Host => ThingWas::Host,
            Thing::Port => ThingWas::Port { id: PortId::from_u128(9), project: None },
            Thing::Pin => ThingWas::Pin {
                subnet: SubnetHandle(1),
                offset: 3,
                owner: OwnerId::from_u128(5),
                slot: Slot(0),
            },
        };
        self.push(Effect::ThingGone { network, revision, created, was });
    }

    fn job(&mut self, random: &mut Random) {
        match nth(self.model.jobs.values(), random).copied() {
            Some(job) if random.one_in(2) => {
                let alive = self.model.networks.contains_key(&job.network.0);
                let revision = if alive { self.next_revision(job.network.0) } else { Revision(0) };
                self.push(Effect::JobGone { network: job.network, revision, job: job.job });
            }
            _ => {
                let network = self.pick_network(random);
                network.and_then(|network| self.start_job(network, true));
            }
        }
    }

    fn create_subnet(&mut self, random: &mut Random) {
        let Some(network) = self.pick_network(random) else { return };
        // The lowest free handle: those of deleted subnets come back.
        let used = self.subnets_of(network);
        let Some(subnet) = (1..=3).find(|subnet| !used.contains(&(network, *subnet))) else {
            return;
        };
        let prefixes = ["10.0.0.0/16", "10.9.0.0/17", "fc00::/8", "fd00:1::/64"];
        let prefix = prefixes[random.below(4) as usize].parse().unwrap();
        if used.iter().any(|key| self.model.subnets[key].prefix == prefix) {
            return;
        }
        self.push(Effect::SubnetPut(Box::new(SubnetRow {
            network: NetworkHandle(network),
            subnet: SubnetHandle(subnet),
            revision: self.next_revision(network),
            id: SubnetId::from_u128(u128::from(random.next_u64())),
            prefix,
            kind: SubnetKind::Routed,
            strategy: Strategy::Next,
            enable_dhcp: false,
            deleting: false,
            gateway: None,
            pools: vec![prefix.range()],
            dns_servers: Vec::new(),
            routes: Vec::new(),
            name: None,
            description: None,
            pool: None,
            quarantine_ms: u64::from(subnet) * 1_000,
            service: Default::default(),
            level: 0,
        })));
    }

    fn update_subnet(&mut self, random: &mut Random) {
        let Some(key) = self.pick_subnet(random) else { return };
        let mut row = self.model.subnets[&key].clone();
        row.revision = self.next_revision(key.0);
        row.enable_dhcp = !row.enable_dhcp;
        row.name = random.one_in(2).then(|| text("green"));
        self.push(Effect::SubnetPut(Box::new(row)));
    }

    fn delete_subnet(&mut self, random: &mut Random) {
        if let Some(key) = self.pick_subnet(random) {
            self.empty_subnet(key);
        }
    }

    fn empty_subnet(&mut self, key: (u32, u32)) {
        let all = (key.0, key.1, 0)..=(key.0, key.1, u128::MAX);
        let cells: Vec<_> = self.model.cells.range(all).map(|(_, cell)| cell.clone()).collect();
        cells.iter().for_each(|cell| self.gone(cell));
        let revision = self.next_revision(key.0);
        let (network, subnet) = (NetworkHandle(key.0), SubnetHandle(key.1));
        self.push(Effect::SubnetGone { network, subnet, revision });
    }

    fn exclude(&mut self, random: &mut Random) {
        let Some(key) = self.pick_subnet(random) else { return };
        let prefix = self.model.subnets[&key].prefix;
        let first = prefix.address_at(u128::from(random.below(5)) * 8).unwrap();
        let last = prefix.address_at(u128::from(random.below(5)) * 8 + 40).unwrap();
        let reason = random.one_in(2).then(|| text("kept"));
        let range = Range::new(first, last).unwrap();
        self.push(Effect::ExclusionPut(Box::new(ExclusionRow {
            network: NetworkHandle(key.0),
            subnet: SubnetHandle(key.1),
            revision: self.next_revision(key.0),
            exclusion: Exclusion { range, mode: ExclusionMode::Everyone, reason },
        })));
    }

    fn include(&mut self, random: &mut Random) {
        let Some(&(network, subnet, number)) = nth(self.model.exclusions.keys(), random) else {
            return;
        };
        let base = self.model.subnets[&(network, subnet)].prefix.base();
        self.push(Effect::ExclusionGone {
            network: NetworkHandle(network),
            subnet: SubnetHandle(subnet),
            revision: self.next_revision(network),
            first: number - base,
        });
    }

    fn allocate(&mut self, random: &mut Random) {
        let Some(key) = self.pick_subnet(random) else { return };
        let owner = OwnerId::from_u128(u128::from(random.below(60)));
        let slot = Slot(random.below(2) as u16);
        if !self.model.keys.contains(&(key.0, owner.0.as_u128(), slot.0)) {
            self.allocate_as(key, owner, slot, random);
        }
    }

    fn allocate_as(&mut self, key: (u32, u32), owner: OwnerId, slot: Slot, random: &mut Random) {
        let (offset, block_bits) = self.offset(key, random);
        if self.model.cells.contains_key(&(key.0, key.1, offset)) {
            return;
        }
        let revision = self.next_revision(key.0);
        self.push(Effect::AllocationPut(AllocationRow {
            place: AllocationPlace {
                network: NetworkHandle(key.0),
                subnet: SubnetHandle(key.1),
                offset,
                block_bits,
            },
            revision,
            changed: revision,
            owner,
            slot,
            instance: Instance(random.below(2)),
            state: AllocationState::Allocated,
            moves_cursor: random.one_in(2),
            extras: extras(random),
        }));
        // Not drawn, as in `release`.
        match revision.0 % 16 {
            3 => self.hold((key.0, key.1, offset)),
            11 => self.transfer((key.0, key.1, offset)),
            _ => {}
        }
    }

    /// Under a token and until a time, or confirmed with the lease that it was to have.
    fn hold(&mut self, key: (u32, u32, u128)) {
        let mut cell = self.model.cells[&key].clone();
        cell.changed = self.next_revision(key.0);
        cell.moves_cursor = false;
        cell.state = AllocationState::Held;
        let extras = cell.extras.get_or_insert_default();
        extras.token = Some(Uuid::from_u128(cell.changed.0.into()));
        extras.deadline = Some(cell.changed.0);
        self.push(Effect::AllocationPut(cell.clone()));
        if cell.changed.0.is_multiple_of(3) {
            cell.changed = self.next_revision(key.0);
            cell.state = AllocationState::Allocated;
            cell.extras.get_or_insert_default().token = None;
            self.push(Effect::AllocationPut(cell));
        }
    }

    /// Another key and project has the place; the former one may have another at once.
    fn transfer(&mut self, key: (u32, u32, u128)) {
        let mut cell = self.model.cells[&key].clone();
        let former = (cell.owner, cell.slot);
        let held_by = HeldBy { owner: cell.owner, slot: cell.slot, project: None };
        cell.owner = OwnerId::from_u128(former.0.0.as_u128() + 1_000);
        if self.model.keys.contains(&(key.0, cell.owner.0.as_u128(), cell.slot.0)) {
            return;
        }
        cell.changed = self.next_revision(key.0);
        (cell.revision, cell.moves_cursor) = (cell.changed, false);
        let extras = cell.extras.get_or_insert_default();
        (extras.former, extras.manager) = (Some(Box::new(held_by)), Some(text("cni")));
        extras.project = (cell.changed.0.is_multiple_of(3)).then(|| ProjectId::from_u128(3));
        let mut again = cell.clone();
        self.push(Effect::AllocationPut(cell));
        again.place.offset = 8_192 + again.place.offset % 64;
        let place = (key.0, key.1, again.place.offset);
        if again.place.block_bits == 0 && !self.model.cells.contains_key(&place) {
            (again.owner, again.slot) = former;
            again.changed = self.next_revision(key.0);
            (again.revision, again.extras) = (again.changed, None);
            self.push(Effect::AllocationPut(again));
        }
    }

    /// Few groups, so that they are folded again and again; some far away.
    fn offset(&self, key: (u32, u32), random: &mut Random) -> (u128, u8) {
        let host_bits = self.model.subnets[&key].prefix.host_bits();
        let near = u128::from(random.below(100));
        match random.below(8) {
            0 => (1_024 + near / 10 * 8, 3),
            1 if host_bits > 70 => ((1 << 69) + near, 0),
            2 if host_bits > 100 => ((1 << 100) + near, 0),
            3 => (4_096 + near * 64, 0),
            _ => (near, 0),
        }
    }

    fn release(&mut self, random: &mut Random) {
        let Some(mut cell) = self.pick_cell(random) else { return };
        // Not drawn, so that the workloads of old seeds stay what they were as far as may be.
        if cell.state == AllocationState::Quarantined || cell.changed.0 % 4 != 0 {
            return self.gone(&cell);
        }
        // It rests: nothing is kept but who had it.
        let project = cell.extras.as_deref().and_then(|extras| extras.project);
        let quarantine_end = Some(cell.changed.0 | 1);
        cell.changed = self.next_revision(cell.place.network.0);
        cell.state = AllocationState::Quarantined;
        cell.moves_cursor = false;
        let extras = AllocationExtras { project, quarantine_end, ..AllocationExtras::default() };
        cell.extras = Some(Box::new(extras));
        self.push(Effect::AllocationPut(cell));
    }

    fn gone(&mut self, cell: &AllocationRow) {
        let revision = self.next_revision(cell.place.network.0);
        let project = cell.extras.as_deref().and_then(|extras| extras.project);
        let rests = cell.state == AllocationState::Quarantined;
        let held_by = (!rests).then_some(HeldBy { owner: cell.owner, slot: cell.slot, project });
        self.push(Effect::AllocationGone { place: cell.place, revision, held_by });
    }

    /// Another label keeps the fence; another holder has a new one.
    fn update(&mut self, random: &mut Random) {
        let Some(mut cell) = self.pick_cell(random) else { return };
        cell.changed = self.next_revision(cell.place.network.0);
        if random.one_in(2) {
            cell.revision = cell.changed;
            cell.instance = Instance(random.next_u64());
        }
        // What rested is somebody's again.
        cell.state = AllocationState::Allocated;
        cell.extras = extras(random);
        self.push(Effect::AllocationPut(cell));
    }

    /// The key moves: it must never be seen in both places.
    fn relocate(&mut self, random: &mut Random) {
        let Some(cell) = self.pick_cell(random) else { return };
        self.gone(&cell);
        let subnets = self.subnets_of(cell.place.network.0);
        if let Some(key) = nth(subnets.iter(), random) {
            self.allocate_as(*key, cell.owner, cell.slot, random);
        }
    }
}

fn nth<T>(mut items: impl ExactSizeIterator<Item = T>, random: &mut Random) -> Option<T> {
    let at = random.below(items.len() as u64) as usize;
    items.nth(at)
}

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn extras(random: &mut Random) -> Option<Box<AllocationExtras>> {
    if !random.one_in(4) {
        return None;
    }
    let extras = AllocationExtras {
        deadline: random.one_in(2).then(|| random.next_u64()),
        token: random.one_in(4).then(|| Uuid::from_u128(9)),
        trace: random.one_in(4).then(|| Uuid::from_u128(8)),
        host: random.one_in(2).then(|| text("host-1")),
        follows: random.one_in(8).then(|| 1 + random.below(9)),
        label: random.one_in(2).then(|| text("a=b")),
        ..AllocationExtras::default()
    };
    (extras != AllocationExtras::default()).then(|| Box::new(extras))
}

/// A principal with a token, sometimes with a grant.
fn principal_put(handle: NetworkHandle, revision: Revision, random: &mut Random) -> Effect {
    let number = u64::from(handle.0);
    let token = TokenRow {
        id: TokenId(number),
        hash: TokenHash([number as u8; 32]),
        created: revision.0,
        ends: random.below(2) * u64::MAX,
    };
    let grant = Grant { project_id: None, verbs: Verbs::ALL, manager: Some(text("m")) };
    Effect::PrincipalPut(Box::new(PrincipalRow {
        handle,
        revision,
        id: PrincipalId::from_u128(number.into()),
        disabled: random.one_in(2),
        name: random.one_in(2).then(|| text("who")),
        description: None,
        grants: random.one_in(2).then_some(grant).into_iter().collect(),
        certificate_names: vec![text("c")],
        unix_users: vec![handle.0],
        tokens: vec![token],
    }))
}

fn asked(random: &mut Random) -> Asked {
    let by = Asker::Principal(PrincipalId::from_u128(1 + u128::from(random.below(3))));
    Asked::new(if random.one_in(3) { Asker::Nobody } else { by }, Opcode::BATCH)
}
