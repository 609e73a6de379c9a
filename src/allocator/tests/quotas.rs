//! Quotas of projects, by the rules of protocol/SPEC.md, "Quotas".

use super::catalogue::{in_pool, of, pool};
use super::ports::{port, update, within};
use super::shared::guest;
use super::*;
use addrd_protocol::message::batch::BatchItem;
use addrd_protocol::message::{
    Batch, BatchMode, BatchResult, Detail, Failure, PortDelete, PortUpdate, Project, ProjectUpdate,
    QuotaResource, QuotaSettings, SubnetDelete,
};
use addrd_protocol::{Instance, PortId, Setting};

/// Network 1 of the default project, shared, with 10.0.0.0/16; projects 1 and 2; two shards.
pub(super) fn limited(settings: QuotaSettings) -> World {
    let mut world = World::with_projects();
    let create = NetworkCreate { shared: true, ..NetworkCreate::default() };
    world.done_as(&of(0, 1), Request::NetworkCreate(Box::new(create)));
    world.done_as(&of(0, 1), Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/16"))));
    world.set_quotas(0, settings);
    world
}

pub(super) fn addresses(count: u64) -> QuotaSettings {
    QuotaSettings { addresses: Setting::Value(count), ..QuotaSettings::default() }
}

fn over(resource: QuotaResource, limit: u128, used: u128, asked: u128) -> Vec<Detail> {
    vec![Detail::Quota { resource, limit, used, asked }]
}

pub(super) fn batch(mode: BatchMode, items: Vec<BatchItem>) -> Request {
    Request::Batch(Box::new(Batch { mode, items }))
}

impl World {
    pub(super) fn set_quotas(&mut self, project: u128, quotas: QuotaSettings) -> Project {
        let update = ProjectUpdate { quotas, ..ProjectUpdate::default() };
        match self.done_as(&of(project, 0), Request::ProjectUpdate(Box::new(update))) {
            Reply::Project(project) => *project,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn project_of(&mut self, project: u128) -> Project {
        match self.done_as(&of(project, 0), Request::ProjectGet(Box::default())) {
            Reply::Project(project) => *project,
            other => panic!("{other:?}"),
        }
    }

    fn uses(&mut self, project: u128) -> [u64; 4] {
        let used = self.project_of(project).used;
        let all = [used.addresses, used.prefixes, used.subnets, used.ports];
        all.map(|count| count.expect("project_get tells all that is used"))
    }

    fn over_quota(&mut self, scope: &Scope, request: Request) -> Failure {
        let refused = self.refused_as(scope, request);
        assert_eq!(refused.status, Status::QUOTA);
        refused
    }
}

#[test]
fn the_last_address_of_a_quota_is_had_once_and_comes_back() {
    let mut world = limited(addresses(2));
    let take = |number| Request::Allocate(allocate(number));
    world.done_as(&of(0, 1), take(1));
    world.done_as(&of(0, 1), take(2));
    let refused = world.over_quota(&of(0, 1), take(3));
    assert_eq!(refused.details, over(QuotaResource::Addresses, 2, 2, 1));
    // Repeats and takeovers take nothing.
    world.done_as(&of(0, 1), take(1));
    let mut life = Allocate { instance: Instance(9), ..allocate(2) };
    life.flags.takeover = true;
    world.done_as(&of(0, 1), Request::Allocate(life));
    world.done_as(&of(0, 1), Request::Release(release(1)));
    world.done_as(&of(0, 1), take(3));
    assert_eq!(world.uses(0), [2, 0, 1, 0]);
    // What is not there is another answer than what may not be had.
    world.done_as(&of(0, 1), Request::Release(release(3)));
    let absent = allocate_with(5, |extras| extras.subnets = vec![subnet_id(77)]);
    assert_ne!(world.refused_as(&of(0, 1), Request::Allocate(absent)).status, Status::QUOTA);
}

#[test]
fn a_block_counts_for_its_addresses() {
    let mut world = limited(addresses(10));
    let block =
        |number, length| Request::Allocate(Allocate { length: Some(length), ..allocate(number) });
    world.done_as(&of(0, 1), block(1, 29));
    let refused = world.over_quota(&of(0, 1), block(2, 30));
    assert_eq!(refused.details, over(QuotaResource::Addresses, 10, 8, 4));
    world.done_as(&of(0, 1), block(2, 31));
    assert_eq!(world.uses(0), [10, 0, 1, 0]);
    // One that no count of 64 bits could hold with others like it counts for 2^32.
    world.done_as(&of(0, 1), Request::SubnetCreate(Box::new(subnet(2, "fd00::/16"))));
    let wide = |number| {
        let mut request = Allocate { length: Some(32), ..allocate(number) };
        request.family = addrd_protocol::message::FamilyChoice::V6;
        Request::Allocate(request)
    };
    let refused = world.over_quota(&of(0, 1), wide(3));
    assert_eq!(refused.details, over(QuotaResource::Addresses, 10, 10, 1 << 32));
}

#[test]
fn a_guest_pays_for_itself() {
    let mut world = limited(addresses(1));
    world.set_quotas(1, addresses(1));
    for scope in [of(0, 1), guest(1)] {
        world.done_as(&scope, Request::Allocate(allocate(7)));
        let refused = world.over_quota(&scope, Request::Allocate(allocate(8)));
        assert_eq!(refused.details, over(QuotaResource::Addresses, 1, 1, 1));
    }
    // Nobody limits project 2.
    for number in 0..4 {
        world.done_as(&guest(2), Request::Allocate(allocate(number)));
    }
    assert_eq!([0, 1, 2].map(|project| world.uses(project)[0]), [1, 1, 4]);
    world.done_as(&guest(1), Request::Release(release(7)));
    world.done_as(&guest(1), Request::Allocate(allocate(8)));
}

#[test]
fn a_quota_below_what_is_used_takes_nothing_away_and_gives_nothing() {
    let mut world = limited(QuotaSettings::default());
    for number in 0..5 {
        world.done_as(&of(0, 1), Request::Allocate(allocate(number)));
    }
    let project = world.set_quotas(0, addresses(3));
    assert_eq!(project.quotas.addresses, Some(3));
    assert!(world.set_quotas(0, addresses(3)).repeated);
    let refused = world.over_quota(&of(0, 1), Request::Allocate(allocate(9)));
    assert_eq!(refused.details, over(QuotaResource::Addresses, 3, 5, 1));
    world.done_as(&of(0, 1), Request::Allocate(allocate(0)));
    for number in 0..2 {
        world.done_as(&of(0, 1), Request::Release(release(number)));
        world.over_quota(&of(0, 1), Request::Allocate(allocate(9)));
    }
    // In exchange for another is not more.
    let exchange =
        |out, into| vec![BatchItem::Release(release(out)), BatchItem::Allocate(allocate(into))];
    world.done_as(&of(0, 1), batch(BatchMode::AllOrNothing, exchange(2, 9)));
    world.done_as(&of(0, 1), Request::Release(release(9)));
    world.done_as(&of(0, 1), Request::Allocate(allocate(10)));
    let none = QuotaSettings { addresses: Setting::Null, ..QuotaSettings::default() };
    world.set_quotas(0, none);
    world.done_as(&of(0, 1), Request::Allocate(allocate(11)));
}

#[test]
fn an_all_or_nothing_batch_is_paid_for_as_a_whole() {
    let mut world = limited(addresses(3));
    let take = |numbers: std::ops::Range<u128>| -> Vec<BatchItem> {
        numbers.map(|number| BatchItem::Allocate(allocate(number))).collect()
    };
    let refused = world.over_quota(&of(0, 1), batch(BatchMode::AllOrNothing, take(0..4)));
    assert_eq!(refused.details, over(QuotaResource::Addresses, 3, 0, 4));
    assert_eq!((refused.item, world.uses(0)), (None, [0, 0, 1, 0]));
    // Each for itself: what there is goes to those who ask first.
    let reply = world.done_as(&of(0, 1), batch(BatchMode::Independent, take(0..5)));
    let Reply::Batch(reply) = reply else { panic!("a batch") };
    let is_refused = |result: &BatchResult| matches!(result, BatchResult::Failed(_));
    assert_eq!(
        reply.results.iter().map(is_refused).collect::<Vec<_>>(),
        [false, false, false, true, true]
    );
    // Taken before what it is exchanged for is given back: the whole is what counts.
    let mut exchange = take(3..4);
    exchange.push(BatchItem::Release(release(0)));
    world.done_as(&of(0, 1), batch(BatchMode::AllOrNothing, exchange.clone()));
    exchange[0] = BatchItem::Allocate(allocate(4));
    exchange[1] = BatchItem::Release(release(0));
    world.over_quota(&of(0, 1), batch(BatchMode::AllOrNothing, exchange));
    assert_eq!(world.uses(0), [3, 0, 1, 0]);
}

#[test]
fn a_port_pays_for_itself_and_for_its_addresses() {
    let ports = QuotaSettings { ports: Setting::Value(2), ..addresses(3) };
    let mut world = limited(ports);
    let with = |number, count| {
        let fixed_ips = Setting::Value(vec![within(1); count]);
        Request::PortCreate(Box::new(addrd_protocol::message::PortCreate {
            fixed_ips,
            ..port(number)
        }))
    };
    world.done_as(&of(0, 1), with(1, 2));
    let refused = world.over_quota(&of(0, 1), with(2, 2));
    assert_eq!(refused.details, over(QuotaResource::Addresses, 3, 2, 2));
    world.done_as(&of(0, 1), with(2, 0));
    let refused = world.over_quota(&of(0, 1), with(3, 1));
    assert_eq!(refused.details, over(QuotaResource::Ports, 2, 2, 1));
    assert_eq!(world.uses(0), [2, 0, 1, 2]);
    world.done_as(&of(0, 1), with(1, 2));
    let more = |count| {
        let fixed_ips = Setting::Value(vec![within(1); count]);
        Request::PortUpdate(Box::new(PortUpdate { fixed_ips, ..update(2) }))
    };
    world.over_quota(&of(0, 1), more(2));
    world.done_as(&of(0, 1), more(1));
    let delete = PortDelete { port_id: PortId::from_u128(1), expected: Default::default() };
    world.done_as(&of(0, 1), Request::PortDelete(delete));
    world.done_as(&of(0, 1), more(3));
    assert_eq!(world.uses(0), [3, 0, 1, 1]);
}

#[test]
fn networks_subnets_and_prefixes_have_quotas_of_their_own() {
    let quotas = QuotaSettings {
        networks: Setting::Value(2),
        subnets: Setting::Value(2),
        prefixes: Setting::Value(1),
        ..QuotaSettings::default()
    };
    let mut world = limited(quotas);
    let network = Request::NetworkCreate(Box::default());
    world.done_as(&of(0, 2), network.clone());
    let refused = world.over_quota(&of(0, 3), network.clone());
    assert_eq!(refused.details, over(QuotaResource::Networks, 2, 2, 1));
    assert_eq!(world.done_as(&of(0, 2), network.clone()), world.done_as(&of(0, 2), network));
    let carve = |id, cidr: &str| Request::SubnetCreate(Box::new(subnet(id, cidr)));
    world.done_as(&of(0, 2), carve(2, "10.1.0.0/24"));
    let refused = world.over_quota(&of(0, 2), carve(3, "10.2.0.0/24"));
    assert_eq!(refused.details, over(QuotaResource::Subnets, 2, 2, 1));
    // What would be refused anyway is refused for its own reason.
    let overlap = world.refused_as(&of(0, 2), carve(3, "10.1.0.0/25"));
    assert_eq!(overlap.status, Status::PREFIX_OVERLAP);

    world.pool(9, pool(&["172.16.0.0/12"]));
    let sized = |number| Request::Allocate(Allocate { length: Some(24), ..allocate(number) });
    world.done_as(&in_pool(0, 9), sized(1));
    let refused = world.over_quota(&in_pool(0, 9), sized(2));
    assert_eq!(refused.details, over(QuotaResource::Prefixes, 1, 1, 1));
    let exchange = vec![
        match sized(2) {
            Request::Allocate(request) => BatchItem::Allocate(request),
            _ => unreachable!("made above"),
        },
        BatchItem::Release(release(1)),
    ];
    world.done_as(&in_pool(0, 9), batch(BatchMode::AllOrNothing, exchange));
    assert_eq!(world.uses(0), [0, 1, 2, 0]);

    // A deletion that is a job gives back when it is done.
    for number in 0..3 {
        world.done_as(&of(0, 2), Request::Allocate(allocate(number)));
    }
    let subnet_id = subnet_id(2);
    let forced = SubnetDelete { subnet_id, force: true, expected: Default::default() };
    world.done_as(&of(0, 2), Request::SubnetDelete(forced));
    world.over_quota(&of(0, 1), carve(3, "10.2.0.0/24"));
    world.work(2);
    world.done_as(&of(0, 1), carve(3, "10.2.0.0/24"));
    assert_eq!(world.uses(0), [0, 1, 2, 0]);
}

/// What one worker frees in a drain it may use in the same drain; others may once it is handed over.
#[test]
fn what_a_drain_frees_is_its_own_until_it_is_handed_over() {
    let mut world = limited(addresses(1));
    let networks: Vec<u128> = (2..40).collect();
    let other = networks.into_iter().find(|id| {
        let worker = |id| worker_of(ProjectId::DEFAULT, network_id(id), 2);
        worker(*id) != worker(1)
    });
    let other = other.expect("some network is another worker's");
    world.done_as(&of(0, other), Request::NetworkCreate(Box::default()));
    let wide = Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/16")));
    world.done_as(&of(0, other), wide);
    let take = |number| Request::Allocate(allocate(number));
    world.done_as(&of(0, 1), take(1));

    world.decide(&of(0, 1), &Request::Release(release(1))).unwrap();
    let status = |answer: Answer| answer.map_or_else(|refused| refused.status, |done| done.0);
    assert_eq!(status(world.decide(&of(0, other), &take(2))), Status::QUOTA);
    assert_eq!(status(world.decide(&of(0, 1), &take(3))), Status::OK);
    assert_eq!(status(world.decide(&of(0, 1), &take(4))), Status::QUOTA);
    world.decide(&of(0, 1), &Request::Release(release(3))).unwrap();
    world.shards.iter_mut().for_each(Shard::settle_quotas);
    assert_eq!(status(world.decide(&of(0, other), &take(2))), Status::OK);
    world.shards.iter_mut().for_each(Shard::settle_quotas);
    assert_eq!(world.uses(0), [1, 0, 2, 0]);
}

/// What was there before a quota, or is more than it, comes back, and counts.
#[test]
fn what_is_restored_counts_and_is_not_refused() {
    let quotas = QuotaSettings {
        networks: Setting::Value(1),
        subnets: Setting::Value(1),
        ports: Setting::Value(0),
        ..addresses(1)
    };
    let mut world = limited(quotas);
    let restoring = |id| Scope { restoring: true, ..of(0, id) };
    world.done_as(&restoring(2), Request::NetworkCreate(Box::default()));
    let wide = Request::SubnetCreate(Box::new(subnet(2, "10.1.0.0/24")));
    world.done_as(&restoring(2), wide);
    for number in 0..2 {
        world.done_as(&restoring(2), Request::Allocate(allocate(number)));
    }
    let fixed_ips = Setting::Value(vec![within(2); 2]);
    let create = addrd_protocol::message::PortCreate { fixed_ips, ..port(1) };
    world.done_as(&restoring(2), Request::PortCreate(Box::new(create)));
    assert_eq!(world.uses(0), [4, 0, 2, 1]);
    let refused = world.over_quota(&of(0, 1), Request::Allocate(allocate(9)));
    assert_eq!(refused.details, over(QuotaResource::Addresses, 1, 4, 1));
}
