//! One record to the events that it means. The object of an event is the one that lists show, but for
//! what only the state knows: counts, the addresses of a port, whether a pin is held.

use super::filter::{Audience, Key, Watched};
use super::names::{Names, Other, Place, Spot, Unnamed};
use super::page::PageBuilder;
use crate::model::{
    AddressScopeId, AllocationPlace, AllocationRow, Effect, HeldBy, Instance, JobRow, LevelRow,
    NetworkHandle, NetworkId, NetworkRow, OwnerId, PinRow, PoolId, PoolRow, PortId, PortRow,
    ProjectId, ProjectRow, Revision, ScopeRow, SegmentRow, Seq, Slot, SubnetHandle, SubnetId,
    ThingWas, Tick,
};
use addrd_protocol::message::{
    AddressScope, Allocation, AllocationState, Event, EventKind, EventObject, Gone, HostEvent,
    HostMapping, Job, JobState, LevelEvent, Network, Pin, PinEvent, Port, Project, ProjectUse,
    Segment, Subnet, SubnetPool,
};
use uuid::Uuid;

/// Where and when a record stands.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Position of its batch: its last hand-over.
    pub position: Seq,
    /// Tick of its batch.
    pub tick: Tick,
}

/// Turns records into events, one after the other; none may be left out.
#[derive(Clone, Debug, Default)]
pub struct Converter {
    names: Names,
}

impl Converter {
    /// Goes on from the names at a position.
    #[must_use]
    pub const fn new(names: Names) -> Self {
        Self { names }
    }

    /// The names behind the last record.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// Only follows a record: nobody asks for it.
    pub fn pass(&mut self, effect: &Effect) {
        self.names.note(effect);
    }

    /// Appends the events of a record, and follows it.
    ///
    /// # Errors
    /// [`Unnamed`]: records before it are missing. The page is of no use then.
    pub fn convert(
        &mut self,
        effect: &Effect,
        at: Moment,
        page: &mut PageBuilder,
    ) -> Result<(), Unnamed> {
        // What is put is named by what the record itself says, what goes by what was before.
        let told = Told { names: &self.names, at, page };
        told.before(effect)?;
        self.names.note(effect);
        let told = Told { names: &self.names, at, page };
        told.behind(effect)
    }
}

/// The events of one record on their way into a page.
struct Told<'a> {
    names: &'a Names,
    at: Moment,
    page: &'a mut PageBuilder,
}

impl Told<'_> {
    /// What the names before the record are needed for.
    fn before(mut self, effect: &Effect) -> Result<(), Unnamed> {
        match effect {
            Effect::NetworkPut(row) => self.unshared_network(row),
            Effect::PoolPut(row) => self.unshared_pool(row),
            Effect::ScopePut(row) => self.unshared_scope(row),
            Effect::NetworkGone { network, revision } => self.network_gone(*network, *revision),
            Effect::ObjectGone { object, revision } => self.object_gone(*object, *revision),
            Effect::SubnetGone { network, subnet, revision } => {
                self.subnet_gone((*network, *subnet), *revision)
            }
            Effect::AllocationGone { place, revision, held_by: Some(held_by) } => {
                self.allocation_gone(place, *revision, held_by)
            }
            // A rest that has ended was told when it began.
            Effect::AllocationGone { held_by: None, .. } => Ok(()),
            Effect::ThingGone { network, revision, created, was } => {
                self.thing_gone((*network, *created), *revision, was)
            }
            _ => Ok(()),
        }
    }

    /// What the names behind it are needed for.
    fn behind(mut self, effect: &Effect) -> Result<(), Unnamed> {
        match effect {
            Effect::NetworkPut(row) => self.network(row),
            Effect::PoolPut(row) => self.pool(row),
            Effect::ScopePut(row) => self.scope(row),
            Effect::ProjectPut(row) => self.project(row),
            Effect::SubnetPut(row) => self.subnet((row.network, row.subnet), row.revision),
            Effect::ExclusionPut(row) => self.subnet((row.network, row.subnet), row.revision),
            Effect::ExclusionGone { network, subnet, revision, .. } => {
                self.subnet((*network, *subnet), *revision)
            }
            Effect::AllocationPut(row) => self.allocation(row),
            Effect::SegmentPut(row) => self.segment(row),
            Effect::HostPut(row) => self.host(row.network, row.created),
            Effect::PortPut(row) => self.port(row),
            Effect::PinPut(row) => self.pin(row),
            Effect::JobPut(row) => self.job(row),
            Effect::LevelPut(row) => self.level(row),
            Effect::NetworkGone { .. }
            | Effect::ObjectGone { .. }
            | Effect::SubnetGone { .. }
            | Effect::AllocationGone { .. }
            | Effect::ThingGone { .. }
            // Who watches has seen it done.
            | Effect::JobGone { .. }
            // What came of it is told with what followed it.
            | Effect::HostLeasePut(_)
            | Effect::HostLeaseGone { .. }
            // Nobody is told of who may do what.
            | Effect::PrincipalPut(_)
            // Nor of who did what.
            | Effect::Asked(_)
            // The server's own state, no object.
            | Effect::Adoption { .. } => Ok(()),
        }
    }

    fn push(&mut self, key: Key, revision: Revision, object: EventObject) -> Result<(), Unnamed> {
        self.push_leaving(key, revision, object, None)
    }

    fn push_leaving(
        &mut self,
        key: Key,
        revision: Revision,
        object: EventObject,
        left: Option<Gone>,
    ) -> Result<(), Unnamed> {
        let event = |object| Event {
            position: self.at.position,
            revision,
            time_ms: self.at.tick.0,
            object,
        };
        let left = left.map(|gone| event(EventObject::Gone(Box::new(gone))));
        let pushed = self.page.push(key, &event(object), left.as_ref());
        assert!(pushed.is_ok(), "what is in a record fits an event: {pushed:?}");
        Ok(())
    }

    fn network(&mut self, row: &NetworkRow) -> Result<(), Unnamed> {
        let place = Watched::new(row.project, row.id.0, false);
        let key = Key::put(EventKind::Network, audience(row.project, row.shared), Some(place));
        let network = Network {
            network_id: row.id,
            project_id: row.project,
            revision: row.revision,
            subnets: 0,
            allocations: 0,
            deleting: row.deleting,
            repeated: false,
            shared: row.shared,
            name: row.name.clone(),
            description: row.description.clone(),
            scope_v4: row.scope_v4.map(|scope| AddressScopeId(scope.id)),
            scope_v6: row.scope_v6.map(|scope| AddressScopeId(scope.id)),
        };
        self.push(key, row.revision, EventObject::Network(Box::new(network)))
    }

    /// Others saw it until now.
    fn unshared_network(&mut self, row: &NetworkRow) -> Result<(), Unnamed> {
        let was_shared = self.names.known_place(row.network).is_some_and(|old| old.is_shared);
        if row.shared || !was_shared {
            return Ok(());
        }
        let place = Watched::new(row.project, row.id.0, false);
        let key = Key::gone(EventKind::Network, Audience::Others(row.project), Some(place));
        let gone =
            Gone { id: row.id.0, network_id: row.id, ..gone(EventKind::Network, row.project) };
        self.push(key, row.revision, EventObject::Gone(Box::new(gone)))
    }

    fn network_gone(&mut self, network: NetworkHandle, revision: Revision) -> Result<(), Unnamed> {
        let place = *self.names.place(network)?;
        let kind = EventKind::Network;
        let key = Key::gone(kind, audience(place.project, place.is_shared), Some(place.watched()));
        let gone =
            Gone { id: place.id, network_id: NetworkId(place.id), ..gone(kind, place.project) };
        self.push(key, revision, EventObject::Gone(Box::new(gone)))
    }

    fn pool(&mut self, row: &PoolRow) -> Result<(), Unnamed> {
        let place = Watched::new(row.project, row.id.0, true);
        let key = Key::put(EventKind::Pool, audience(row.project, row.shared), Some(place));
        let pool = SubnetPool {
            subnet_pool_id: row.id,
            project_id: row.project,
            revision: row.revision,
            taken: 0,
            size: 0,
            used: 0,
            used_by_project: 0,
            family: row.family,
            min_length: row.min_length,
            max_length: row.max_length,
            default_length: row.default_length,
            is_default: row.is_default,
            shared: row.shared,
            repeated: false,
            prefixes: row.prefixes.clone(),
            default_quota: row.quota,
            address_scope_id: row.scope.map(|scope| AddressScopeId(scope.id)),
            parent_id: row.parent.map(|parent| PoolId(parent.id)),
            name: row.name.clone(),
            description: row.description.clone(),
        };
        self.push(key, row.revision, EventObject::Pool(Box::new(pool)))
    }

    fn unshared_pool(&mut self, row: &PoolRow) -> Result<(), Unnamed> {
        let was_shared = self.names.known_place(row.handle).is_some_and(|old| old.is_shared);
        if row.shared || !was_shared {
            return Ok(());
        }
        let place = Watched::new(row.project, row.id.0, true);
        let key = Key::gone(EventKind::Pool, Audience::Others(row.project), Some(place));
        let gone = Gone { id: row.id.0, ..gone(EventKind::Pool, row.project) };
        self.push(key, row.revision, EventObject::Gone(Box::new(gone)))
    }

    fn scope(&mut self, row: &ScopeRow) -> Result<(), Unnamed> {
        let key = Key::put(EventKind::Scope, audience(row.project, row.shared), None);
        let scope = AddressScope {
            address_scope_id: row.id,
            project_id: row.project,
            revision: row.revision,
            subnet_pools: 0,
            networks: 0,
            family: row.family,
            shared: row.shared,
            repeated: false,
            name: row.name.clone(),
            description: row.description.clone(),
        };
        self.push(key, row.revision, EventObject::Scope(Box::new(scope)))
    }

    fn unshared_scope(&mut self, row: &ScopeRow) -> Result<(), Unnamed> {
        let Some(Other::Scope { is_shared: true, .. }) = self.names.other(row.handle) else {
            return Ok(());
        };
        if row.shared {
            return Ok(());
        }
        let key = Key::gone(EventKind::Scope, Audience::Others(row.project), None);
        let gone = Gone { id: row.id.0, ..gone(EventKind::Scope, row.project) };
        self.push(key, row.revision, EventObject::Gone(Box::new(gone)))
    }

    fn project(&mut self, row: &ProjectRow) -> Result<(), Unnamed> {
        let key = Key::put(EventKind::Project, Audience::All, None);
        let project = Project {
            project_id: row.id,
            revision: row.revision,
            networks: 0,
            subnet_pools: 0,
            address_scopes: 0,
            repeated: false,
            name: row.name.clone(),
            description: row.description.clone(),
            quotas: row.quotas,
            used: ProjectUse::default(),
        };
        self.push(key, row.revision, EventObject::Project(Box::new(project)))
    }

    fn object_gone(&mut self, handle: NetworkHandle, revision: Revision) -> Result<(), Unnamed> {
        if let Some(pool) = self.names.known_place(handle).copied() {
            let audience = audience(pool.project, pool.is_shared);
            let key = Key::gone(EventKind::Pool, audience, Some(pool.watched()));
            let gone = Gone { id: pool.id, ..gone(EventKind::Pool, pool.project) };
            return self.push(key, revision, EventObject::Gone(Box::new(gone)));
        }
        match self.names.other(handle).copied().ok_or(Unnamed(handle))? {
            Other::Scope { project, id, is_shared } => {
                let key = Key::gone(EventKind::Scope, audience(project, is_shared), None);
                let gone = Gone { id, ..gone(EventKind::Scope, project) };
                self.push(key, revision, EventObject::Gone(Box::new(gone)))
            }
            Other::Principal(_) => Ok(()),
            Other::Project(project) => {
                let key = Key::gone(EventKind::Project, Audience::All, None);
                let gone = Gone { id: project.0, ..gone(EventKind::Project, project) };
                self.push(key, revision, EventObject::Gone(Box::new(gone)))
            }
        }
    }

    fn subnet(
        &mut self,
        (network, subnet): (NetworkHandle, SubnetHandle),
        revision: Revision,
    ) -> Result<(), Unnamed> {
        let place = *self.names.place(network)?;
        let name = self.names.subnet(network, subnet)?;
        let row = &name.row;
        let subnet = Subnet {
            subnet_id: row.id,
            network_id: NetworkId(place.id),
            revision: row.revision,
            cidr: row.prefix,
            kind: row.kind,
            strategy: row.strategy,
            enable_dhcp: row.enable_dhcp,
            deleting: row.deleting,
            repeated: false,
            allocations: 0,
            gateway: row.gateway,
            pools: row.pools.clone(),
            dns_servers: row.dns_servers.clone(),
            routes: row.routes.clone(),
            exclusions: name.exclusions.clone(),
            name: row.name.clone(),
            description: row.description.clone(),
            live_inside: Vec::new(),
            overlaps: Vec::new(),
            subnet_pool_id: row.pool.map(|pool| PoolId(pool.id)),
            service: row.service.clone(),
            filling: None,
            quarantine_ms: row.quarantine_ms,
        };
        let key = Key::put(EventKind::Subnet, looked_at(&place), Some(place.watched()));
        let key = Key { subnet: subnet.subnet_id, ..key };
        self.push(key, revision, EventObject::Subnet(Box::new(subnet)))
    }

    fn subnet_gone(
        &mut self,
        (network, subnet): (NetworkHandle, SubnetHandle),
        revision: Revision,
    ) -> Result<(), Unnamed> {
        let place = *self.names.place(network)?;
        let id = self.names.subnet(network, subnet)?.row.id;
        let key = Key::gone(EventKind::Subnet, looked_at(&place), Some(place.watched()));
        let gone = Gone { id: id.0, subnet_id: id, ..gone_in(EventKind::Subnet, &place) };
        self.push(Key { subnet: id, ..key }, revision, EventObject::Gone(Box::new(gone)))
    }

    fn allocation(&mut self, row: &AllocationRow) -> Result<(), Unnamed> {
        let spot = self.names.spot(&row.place)?;
        let holder = row.extras.as_deref().and_then(|extras| extras.project);
        let whole = self.whole_allocation(row, &spot);
        let home = spot.place.project;
        let project = holder.unwrap_or(home);
        let former = row.extras.as_deref().and_then(|extras| extras.former.as_deref().copied());
        let had_it = |of: ProjectId| former.filter(|former| former.project.unwrap_or(home) == of);
        let key = Key {
            subnet: spot.subnet,
            owner: row.owner,
            former: had_it(project).map(|former| former.owner),
            label: whole.label.clone().map(Box::new),
            // A takeover, or a change that keeps the fence: it was there before.
            is_change: row.changed != row.revision || row.instance != Instance(0),
            ..Key::put(EventKind::Allocation, Audience::Only(project), Some(spot.place.watched()))
        };
        let held_by = HeldBy { owner: row.owner, slot: row.slot, project: holder };
        let left = match had_it(project) {
            None => key.is_change.then(|| allocation_left(&spot, &held_by)),
            Some(former) => Some(allocation_left(&spot, &former)),
        };
        if project != home {
            self.bare_allocation(&key, row.changed, &whole, &spot, had_it(home))?;
        }
        if let Some(former) = former
            && ![project, home].contains(&former.project.unwrap_or(home))
        {
            self.given_away(row.changed, &spot, &former)?;
        }
        self.push_leaving(key, row.changed, EventObject::Allocation(Box::new(whole)), left)
    }

    /// What a guest gave to another project is gone for it.
    fn given_away(
        &mut self,
        revision: Revision,
        spot: &Spot,
        former: &HeldBy,
    ) -> Result<(), Unnamed> {
        let gone = allocation_left(spot, former);
        let audience = Audience::Only(gone.project_id);
        let key = Key {
            subnet: spot.subnet,
            owner: former.owner,
            ..Key::gone(EventKind::Allocation, audience, Some(spot.place.watched()))
        };
        self.push(key, revision, EventObject::Gone(Box::new(gone)))
    }

    /// What the project of the network sees of a guest's: where it is, and which project has it. `former`: who of the
    /// network's own project gave it away just now.
    fn bare_allocation(
        &mut self,
        key: &Key,
        revision: Revision,
        whole: &Allocation,
        spot: &Spot,
        former: Option<HeldBy>,
    ) -> Result<(), Unnamed> {
        let audience = Audience::Only(spot.place.project);
        let key = Key {
            audience,
            owner: OwnerId::NIL,
            former: former.map(|former| former.owner),
            label: None,
            is_change: former.is_some(),
            ..key.clone()
        };
        let bare = whole.clone().as_others_see();
        let left = former.map(|former| allocation_left(spot, &former));
        self.push_leaving(key, revision, EventObject::Allocation(Box::new(bare)), left)
    }

    fn whole_allocation(&self, row: &AllocationRow, spot: &Spot) -> Allocation {
        let extras = row.extras.as_deref().cloned().unwrap_or_default();
        // Of what is allocated the first is when a held release can be confirmed no more.
        let end = match row.state {
            AllocationState::Quarantined => extras.quarantine_end,
            _ => extras.deadline,
        };
        Allocation {
            address: spot.address,
            length: spot.length,
            subnet_length: spot.prefix.length(),
            state: row.state,
            network_id: NetworkId(spot.place.id),
            subnet_id: if spot.place.is_pool { SubnetId(spot.place.id) } else { spot.subnet },
            project_id: extras.project.unwrap_or(spot.place.project),
            owner: row.owner,
            slot: row.slot,
            instance: row.instance,
            revision: row.revision,
            time_left_ms: end.map_or(0, |end| end.saturating_sub(self.at.tick.0).max(1)),
            repeated: false,
            owner_name: extras.owner_name,
            label: extras.label,
            host: extras.host,
            manager: extras.manager,
            network_project: extras.project.map(|_| spot.place.project),
            follows_host: extras.follows.is_some(),
        }
    }

    fn allocation_gone(
        &mut self,
        place: &AllocationPlace,
        revision: Revision,
        held_by: &HeldBy,
    ) -> Result<(), Unnamed> {
        let spot = self.names.spot(place)?;
        let whole = allocation_left(&spot, held_by);
        let project = whole.project_id;
        let key = Key {
            subnet: spot.subnet,
            owner: held_by.owner,
            is_single: spot.is_deleting,
            ..Key::gone(EventKind::Allocation, Audience::Only(project), Some(spot.place.watched()))
        };
        if project != spot.place.project {
            let audience = Audience::Only(spot.place.project);
            let bare = Key { audience, owner: OwnerId::NIL, ..key.clone() };
            let gone = Gone { owner: OwnerId::NIL, slot: Slot(0), ..whole.clone() };
            self.push(bare, revision, EventObject::Gone(Box::new(gone)))?;
        }
        self.push(key, revision, EventObject::Gone(Box::new(whole)))
    }

    fn segment(&mut self, row: &SegmentRow) -> Result<(), Unnamed> {
        let place = *self.names.place(row.network)?;
        let key = Key::put(EventKind::Segment, own(&place), Some(place.watched()));
        let segment = Segment {
            segment_id: row.id,
            network_id: NetworkId(place.id),
            revision: row.revision,
            subnets: 0,
            hosts: 0,
            repeated: false,
            description: row.description.clone(),
        };
        self.push(key, row.revision, EventObject::Segment(Box::new(segment)))
    }

    fn host(&mut self, network: NetworkHandle, created: Revision) -> Result<(), Unnamed> {
        let place = *self.names.place(network)?;
        let (segment_id, host) = self.names.host(network, created)?.clone();
        let key = Key::put(EventKind::Host, own(&place), Some(place.watched()));
        let mapping = HostMapping { segment_id, host };
        let host = HostEvent { network_id: NetworkId(place.id), mapping };
        self.push(key, created, EventObject::Host(Box::new(host)))
    }

    fn port(&mut self, row: &PortRow) -> Result<(), Unnamed> {
        let place = *self.names.place(row.network)?;
        let project = row.project.unwrap_or(place.project);
        let key = Key::put(EventKind::Port, Audience::Only(project), Some(place.watched()));
        let key = Key { owner: OwnerId(row.id.0), ..key };
        let port = Port {
            port_id: row.id,
            network_id: NetworkId(place.id),
            revision: row.revision,
            mac: row.mac,
            ip_allocation: row.ip_allocation,
            repeated: false,
            more: true,
            fixed_ips: Vec::new(),
            host: row.host.clone(),
            device_owner: row.device_owner.clone(),
            description: row.description.clone(),
        };
        self.push(key, row.revision, EventObject::Port(Box::new(port)))
    }

    fn pin(&mut self, row: &PinRow) -> Result<(), Unnamed> {
        let spot = self.names.spot(&single(row.network, row.subnet, row.offset))?;
        let key = Key {
            subnet: spot.subnet,
            owner: row.owner,
            ..Key::put(EventKind::Pin, own(&spot.place), Some(spot.place.watched()))
        };
        let pin = Pin {
            address: spot.address,
            subnet_id: spot.subnet,
            owner: row.owner,
            slot: row.slot,
            revision: row.created,
            held: false,
            repeated: false,
            owner_name: row.owner_name.clone(),
        };
        let pin = PinEvent { network_id: NetworkId(spot.place.id), pin };
        self.push(key, row.created, EventObject::Pin(Box::new(pin)))
    }

    fn thing_gone(
        &mut self,
        (network, created): (NetworkHandle, Revision),
        revision: Revision,
        was: &ThingWas,
    ) -> Result<(), Unnamed> {
        let place = *self.names.place(network)?;
        let (key, gone) = match was {
            ThingWas::Segment(id) => {
                let key = Key::gone(EventKind::Segment, own(&place), Some(place.watched()));
                (key, Gone { id: id.0, ..gone_in(EventKind::Segment, &place) })
            }
            ThingWas::Host => {
                let (segment, host) = self.names.host(network, created)?.clone();
                let key = Key::gone(EventKind::Host, own(&place), Some(place.watched()));
                let gone = gone_in(EventKind::Host, &place);
                (key, Gone { id: segment.0, host: Some(host), ..gone })
            }
            ThingWas::Port { id, project } => port_gone(&place, *id, *project),
            ThingWas::Pin { subnet, offset, owner, slot } => {
                let spot = self.names.spot(&single(network, *subnet, *offset))?;
                let key = Key::gone(EventKind::Pin, own(&place), Some(place.watched()));
                let gone = Gone {
                    subnet_id: spot.subnet,
                    owner: *owner,
                    slot: *slot,
                    address: Some(spot.address),
                    length: spot.length,
                    ..gone_in(EventKind::Pin, &place)
                };
                (Key { subnet: spot.subnet, owner: *owner, ..key }, gone)
            }
        };
        self.push(key, revision, EventObject::Gone(Box::new(gone)))
    }

    /// Who sees the subnet or pool may learn how full it is.
    fn level(&mut self, row: &LevelRow) -> Result<(), Unnamed> {
        let place = *self.names.place(row.network)?;
        let subnet = match row.subnet {
            Some(subnet) => self.names.subnet(row.network, subnet)?.row.id,
            None => SubnetId::NIL,
        };
        let audience = match row.subnet {
            Some(_) => looked_at(&place),
            None => audience(place.project, place.is_shared),
        };
        let key = Key::put(EventKind::Level, audience, Some(place.watched()));
        let is_pool = row.subnet.is_none();
        let level = LevelEvent {
            network_id: if is_pool { NetworkId::NIL } else { NetworkId(place.id) },
            subnet_id: subnet,
            subnet_pool_id: if is_pool { PoolId(place.id) } else { PoolId::NIL },
            project_id: place.project,
            level: row.level,
            before: row.before,
            used: row.used,
            size: row.size,
        };
        self.push(Key { subnet, ..key }, row.revision, EventObject::Level(Box::new(level)))
    }

    fn job(&mut self, row: &JobRow) -> Result<(), Unnamed> {
        let place = Watched::new(row.project, row.network_id.0, false);
        let key = Key::put(EventKind::Job, Audience::Only(row.project), Some(place));
        let key = Key { subnet: row.subnet_id, ..key };
        let job = Job {
            job_id: row.job,
            kind: row.kind,
            state: if row.finished { JobState::Done } else { JobState::Running },
            network_id: row.network_id,
            subnet_id: row.subnet_id,
            done: row.done,
            total: row.total,
        };
        self.push(key, row.revision, EventObject::Job(Box::new(job)))
    }
}

const fn single(network: NetworkHandle, subnet: SubnetHandle, offset: u128) -> AllocationPlace {
    AllocationPlace { network, subnet, offset, block_bits: 0 }
}

/// An allocation that is gone, or left what a watch asks for.
fn allocation_left(spot: &Spot, held_by: &HeldBy) -> Gone {
    Gone {
        project_id: held_by.project.unwrap_or(spot.place.project),
        subnet_id: if spot.place.is_pool { SubnetId(spot.place.id) } else { spot.subnet },
        owner: held_by.owner,
        slot: held_by.slot,
        address: Some(spot.address),
        length: spot.length,
        network_project: held_by.project.map(|_| spot.place.project),
        ..gone_in(EventKind::Allocation, &spot.place)
    }
}

fn port_gone(place: &Place, id: PortId, project: Option<ProjectId>) -> (Key, Gone) {
    let holder = project.unwrap_or(place.project);
    let key = Key::gone(EventKind::Port, Audience::Only(holder), Some(place.watched()));
    let gone = Gone {
        id: id.0,
        project_id: holder,
        network_project: project.map(|_| place.project),
        ..gone_in(EventKind::Port, place)
    };
    (Key { owner: OwnerId(id.0), ..key }, gone)
}

/// Nothing but what it was and whose.
fn gone(kind: EventKind, project: ProjectId) -> Gone {
    Gone {
        kind,
        id: Uuid::nil(),
        network_id: NetworkId::NIL,
        project_id: project,
        subnet_id: SubnetId::NIL,
        owner: OwnerId::NIL,
        slot: Slot(0),
        address: None,
        length: 0,
        host: None,
        network_project: None,
    }
}

fn gone_in(kind: EventKind, place: &Place) -> Gone {
    Gone { network_id: NetworkId(place.id), ..gone(kind, place.project) }
}

const fn audience(project: ProjectId, is_shared: bool) -> Audience {
    if is_shared { Audience::All } else { Audience::Only(project) }
}

const fn own(place: &Place) -> Audience {
    Audience::Only(place.project)
}

const fn looked_at(place: &Place) -> Audience {
    if place.is_shared { Audience::Lookers(place.project) } else { own(place) }
}

impl Place {
    const fn watched(&self) -> Watched {
        Watched::new(self.project, self.id, self.is_pool)
    }
}

impl Key {
    const fn put(kind: EventKind, audience: Audience, place: Option<Watched>) -> Self {
        Self {
            kind,
            audience,
            place,
            subnet: SubnetId::NIL,
            owner: OwnerId::NIL,
            former: None,
            label: None,
            is_gone: false,
            is_single: false,
            is_change: false,
        }
    }

    fn gone(kind: EventKind, audience: Audience, place: Option<Watched>) -> Self {
        Self { is_gone: true, ..Self::put(kind, audience, place) }
    }
}
