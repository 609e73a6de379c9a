//! The requests of a schedule. Knows nothing of what became of them.

use super::oracle::{How, Shape, Thing};
use super::quotas::LIMIT;
use super::*;
use addrd_protocol::message::{
    FixedIpWanted, HoldEnd, Lookup, NetworkUpdate, PortCreate, PortDelete, PortUpdate,
    ProjectUpdate, QuotaSettings, Renew, SubnetOnboard, Transaction, TransactionItem,
};
use addrd_protocol::{OwnerId, PoolId, PortId};
use uuid::Uuid;

const POOL: u128 = 900;
/// The subnet of IPv6 that each watched network always has.
pub(super) const SIX: u128 = 8;

/// How long addresses rest in a watched network where they do, ms.
pub(super) const REST_MS: u64 = 500;

/// Whether addresses of a network rest.
pub(super) const fn does_rest(network: u128) -> bool {
    network <= 2
}

/// A network of the default project, as a project sees it.
fn seen_by(project: u128, network: u128) -> Scope {
    match project {
        0 => scope(network),
        _ => Scope {
            project: ProjectId::from_u128(project),
            network_project: Some(ProjectId::DEFAULT),
            ..scope(network)
        },
    }
}

/// What is asked of a thing.
pub(super) fn wish(thing: Thing, how: How) -> Operation {
    match (thing, how) {
        (Thing::Address(project, network, owner), How::Make) => {
            let mut operation = allocate(0, network, owner);
            if let Request::Allocate(body) = &mut operation.request {
                body.family = FamilyChoice::V4;
            }
            Operation { scope: seen_by(project, network), ..operation }
        }
        (Thing::Address(project, network, owner), _) => {
            Operation { scope: seen_by(project, network), ..release(0, network, owner) }
        }
        (Thing::Port(project, network, port), how) => {
            let (opcode, request) = of_port(PortId::from_u128(port), how);
            Operation { scope: seen_by(project, network), ..operation(0, 0, opcode, request) }
        }
        (Thing::Subnet(network, subnet), How::Make) => new_subnet(network, subnet),
        (Thing::Subnet(network, subnet), _) => {
            let subnet_id = SubnetId::from_u128(subnet);
            let delete = SubnetDelete { subnet_id, force: false, expected: Revision(0) };
            operation(0, network, Opcode::SUBNET_DELETE, Request::SubnetDelete(delete))
        }
        (Thing::Prefix(owner), How::Make) => in_pool(allocate(0, POOL, owner)),
        (Thing::Prefix(owner), _) => in_pool(release(0, POOL, owner)),
    }
}

fn of_port(port_id: PortId, how: How) -> (Opcode, Request) {
    let expected = Revision(0);
    let fixed_ips = match how {
        How::Make => {
            let create = PortCreate::of(port_id);
            return (Opcode::PORT_CREATE, Request::PortCreate(Box::new(create)));
        }
        How::Unmake => {
            let delete = PortDelete { port_id, expected };
            return (Opcode::PORT_DELETE, Request::PortDelete(delete));
        }
        How::Change(Shape::Bare) => Setting::Value(Vec::new()),
        How::Change(Shape::Six) => {
            let subnet_id = Some(SubnetId::from_u128(SIX));
            Setting::Value(vec![FixedIpWanted { subnet_id, ip_address: None, slot: None }])
        }
        How::Change(Shape::Pair) => Setting::Null,
    };
    let update = PortUpdate {
        port_id,
        expected,
        allow_gateway: false,
        mac: None,
        fixed_ips,
        host: Setting::Unset,
        device_owner: Setting::Unset,
        description: Setting::Unset,
    };
    (Opcode::PORT_UPDATE, Request::PortUpdate(Box::new(update)))
}

/// From the pool by length, but for some: those of IPv6, and those that may be taken into it.
fn new_subnet(network: u128, subnet: u128) -> Operation {
    let plain = match subnet {
        SIX => Some(format!("fd00:{network}::/125")),
        // One that lies in the pool, one that does not.
        200 => Some("10.0.0.40/29".to_owned()),
        201 => Some("10.0.1.0/29".to_owned()),
        _ => None,
    };
    let mut operation = match &plain {
        Some(cidr) => create_subnet(0, network, cidr),
        None => carve_subnet(0, network),
    };
    if let Request::SubnetCreate(body) = &mut operation.request {
        body.subnet_id = SubnetId::from_u128(subnet);
        body.quarantine_ms = does_rest(network).then_some(REST_MS).or(Some(0));
        if plain.is_none() {
            body.cidr = "0.0.0.0/29".parse().unwrap();
            body.from_pool = Some(Box::new(FromPool {
                subnet_pool_id: PoolId::from_u128(POOL),
                by: PrefixChoice::Length,
                ..FromPool::default()
            }));
        }
    }
    operation
}

/// The same request on the prefixes of the pool.
fn in_pool(mut operation: Operation) -> Operation {
    operation.scope = Scope { pool: true, ..scope(POOL) };
    if let Request::Allocate(body) = &mut operation.request {
        body.length = Some(29);
    }
    operation
}

/// All of them or none: in one place a batch, in several a transaction.
pub(super) fn all_or_nothing(wishes: &[(Thing, How)]) -> Operation {
    let operations: Vec<Operation> = wishes.iter().map(|(thing, how)| wish(*thing, *how)).collect();
    let scope = operations[0].scope;
    let is_across = operations.iter().any(|one| !one.scope.is_beside(&scope));
    let item = |one: Operation| match one.request {
        Request::Allocate(item) => BatchItem::Allocate(item),
        Request::Release(item) => BatchItem::Release(item),
        Request::PortCreate(item) => BatchItem::PortCreate(item),
        Request::PortUpdate(item) => BatchItem::PortUpdate(item),
        Request::PortDelete(item) => BatchItem::PortDelete(item),
        other => panic!("{other:?} is no item"),
    };
    if is_across {
        let placed = |one: Operation| TransactionItem {
            network: one.scope.network,
            pool: one.scope.pool,
            network_project: one.scope.network_project,
            operation: item(one),
        };
        let items = operations.into_iter().map(placed).collect();
        let body = Request::Transaction(Box::new(Transaction { items }));
        let scope = Scope { project: scope.project, ..super::scope(0) };
        return Operation { scope, ..operation(0, 0, Opcode::TRANSACTION, body) };
    }
    let items = operations.into_iter().map(item).collect();
    let body = Request::Batch(Box::new(Batch { mode: BatchMode::AllOrNothing, items }));
    Operation { scope, ..operation(0, 0, Opcode::BATCH, body) }
}

/// Whether other projects may use a network.
pub(super) fn share(network: u128, shared: bool) -> Operation {
    let update = NetworkUpdate { shared: Setting::Value(shared), ..NetworkUpdate::default() };
    operation(0, network, Opcode::NETWORK_UPDATE, Request::NetworkUpdate(Box::new(update)))
}

/// The subnets of a network go into the pool.
pub(super) fn onboard(network: u128) -> Operation {
    let ask = SubnetOnboard { subnet_pool_id: PoolId::from_u128(POOL), expected: Revision(0) };
    operation(0, network, Opcode::SUBNET_ONBOARD, Request::SubnetOnboard(ask))
}

/// The pool of eight subnets.
pub(super) fn new_pool() -> Operation {
    let mut pool = create_pool(0);
    if let Request::PoolCreate(body) = &mut pool.request {
        body.prefixes = vec!["10.0.0.0/26".parse().unwrap()];
        body.default_quota = None;
    }
    pool
}

pub(super) fn new_project(project: u128) -> Operation {
    let scope = Scope { project: ProjectId::from_u128(project), ..scope(0) };
    let create = Request::ProjectCreate(Box::default());
    Operation { scope, ..operation(0, 0, Opcode::PROJECT_CREATE, create) }
}

/// The quotas of a project: of addresses, or of prefixes straight from pools.
pub(super) fn limit(project: u128) -> Operation {
    let value = Setting::Value(LIMIT as u64);
    let quotas = match project {
        0 => QuotaSettings { prefixes: value, ..QuotaSettings::default() },
        _ => QuotaSettings { addresses: value, ..QuotaSettings::default() },
    };
    let scope = Scope {
        project: if project == 0 { ProjectId::DEFAULT } else { ProjectId::from_u128(project) },
        ..scope(0)
    };
    let update = ProjectUpdate { quotas, ..ProjectUpdate::default() };
    let request = Request::ProjectUpdate(Box::new(update));
    Operation { scope, ..operation(0, 0, Opcode::PROJECT_UPDATE, request) }
}

/// What an owner has everywhere, as far as a project may see it.
pub(super) fn look(project: u128, owner: u128) -> Operation {
    let ask = Request::Lookup(Box::new(Lookup::Owner(OwnerId::from_u128(owner))));
    let scope = Scope { network_project: None, ..seen_by(project, 0) };
    Operation { scope, ..operation(0, 0, Opcode::LOOKUP, ask) }
}

fn with_extras(network: u128, owner: u128, extras: AllocateExtras) -> Operation {
    let mut operation = allocate(0, network, owner);
    if let Request::Allocate(body) = &mut operation.request {
        body.family = FamilyChoice::V4;
        body.extras = Some(Box::new(extras));
    }
    operation
}

/// An address with a lease.
pub(super) fn leased(network: u128, owner: u128, lease_ms: u64) -> Operation {
    let extras = AllocateExtras { lease_ms: Some(lease_ms), ..AllocateExtras::default() };
    with_extras(network, owner, extras)
}

/// An address under a token.
pub(super) fn held(network: u128, owner: u128, token: Uuid, hold_ms: u64) -> Operation {
    let (hold_token, hold_ms) = (Some(token), Some(hold_ms));
    let extras = AllocateExtras { hold_token, hold_ms, ..AllocateExtras::default() };
    with_extras(network, owner, extras)
}

fn fenced(owner: u128, revision: Revision) -> (Target, Fences) {
    let target = Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) };
    (target, Fences { revision: Some(revision), ..Fences::default() })
}

pub(super) fn renew(network: u128, owner: u128, revision: Revision, lease_ms: u64) -> Operation {
    let (target, fences) = fenced(owner, revision);
    let body = Renew { target, fences, lease_ms };
    operation(0, network, Opcode::RENEW, Request::Renew(body))
}

/// A release of this life of the owner alone.
pub(super) fn release_of(network: u128, owner: u128, revision: Revision) -> Operation {
    let (target, fences) = fenced(owner, revision);
    let body = Release { target, fences, any: false };
    operation(0, network, Opcode::RELEASE, Request::Release(body))
}

const fn hold_end(owner: u128, revision: Revision, token: Uuid) -> HoldEnd {
    let target = Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) };
    HoldEnd { target, revision, token, release: false }
}

pub(super) fn confirm(network: u128, owner: u128, revision: Revision, token: Uuid) -> Operation {
    let body = hold_end(owner, revision, token);
    operation(0, network, Opcode::HOLD_CONFIRM, Request::HoldConfirm(body))
}

pub(super) fn cancel(network: u128, owner: u128, revision: Revision, token: Uuid) -> Operation {
    let body = hold_end(owner, revision, token);
    operation(0, network, Opcode::HOLD_CANCEL, Request::HoldCancel(body))
}
