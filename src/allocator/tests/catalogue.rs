//! Projects, address scopes, subnet pools, prefixes straight from pools: what protocol/SPEC.md
//! promises. Tests that show a rule of Neutron's, or a difference on purpose, are named after it.

use super::*;
use addrd_protocol::message::batch::BatchItem;
use addrd_protocol::message::{
    AddressScope, AllocationGet, AllocationList, Batch, BatchMode, BatchResult, Detail, Lookup,
    Lookups, PoolCreate, PoolDelete, PoolGet, PoolList, PoolPreview, PoolUpdate, PortDelete,
    Project, ProjectCreate, ProjectDelete, ProjectGet, ProjectList, ProjectUpdate, QuotaResource,
    Released, ScopeCreate, ScopeDelete, ScopeUpdate, Strategy, SubnetPool,
};
use addrd_protocol::{AddressScopeId, Family, Instance, PoolId, PortId, Setting};

pub(super) fn project(number: u128) -> ProjectId {
    if number == 0 { ProjectId::DEFAULT } else { ProjectId::from_u128(number) }
}

/// A scope of a request in a project, on a pool or scope by id.
pub(super) fn of(number: u128, id: u128) -> Scope {
    Scope {
        project: project(number),
        network: network_id(id),
        pool: false,
        network_project: None,
        restoring: false,
    }
}

/// The same, on the prefixes of a pool.
pub(super) fn in_pool(number: u128, id: u128) -> Scope {
    Scope { pool: true, ..of(number, id) }
}

pub(super) fn prefixes(all: &[&str]) -> Vec<crate::model::Prefix> {
    all.iter().map(|prefix| prefix.parse().unwrap()).collect()
}

pub(super) fn pool(all: &[&str]) -> PoolCreate {
    let prefixes = prefixes(all);
    let family = prefixes.first().map_or(Family::V4, |prefix| prefix.family());
    PoolCreate::of(family, prefixes)
}

impl World {
    /// A world with projects 1 and 2 beside the default one.
    pub(super) fn with_projects() -> Self {
        let mut world = Self::new(2);
        for number in [1, 2] {
            world.done_as(&of(number, 0), Request::ProjectCreate(Box::default()));
        }
        world
    }

    pub(super) fn done_as(&mut self, scope: &Scope, request: Request) -> Reply {
        let answer = self.apply_as(scope, &request);
        self.check();
        answer.unwrap_or_else(|refused| panic!("{request:?}: {refused:?}")).1
    }

    pub(super) fn refused_as(
        &mut self,
        scope: &Scope,
        request: Request,
    ) -> addrd_protocol::message::Failure {
        let (before, state) = (self.log.effects.len(), self.catalogue.snapshot());
        let refused = *self.apply_as(scope, &request).expect_err("must be refused");
        assert_eq!(self.log.effects.len(), before, "a refusal leaves no effects");
        assert_eq!(self.catalogue.snapshot(), state, "a refusal changes nothing");
        self.check();
        refused
    }

    pub(super) fn pool(&mut self, id: u128, create: PoolCreate) -> SubnetPool {
        self.pool_of(0, id, create)
    }

    pub(super) fn pool_of(&mut self, project: u128, id: u128, create: PoolCreate) -> SubnetPool {
        match self.done_as(&of(project, id), Request::PoolCreate(Box::new(create))) {
            Reply::Pool(pool) => *pool,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn no_pool(&mut self, create: PoolCreate) -> Status {
        self.refused_as(&of(0, 900), Request::PoolCreate(Box::new(create))).status
    }

    pub(super) fn pool_get(&mut self, id: u128) -> SubnetPool {
        match self.done_as(&of(0, id), Request::PoolGet(Box::default())) {
            Reply::Pool(pool) => *pool,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn address_scope(&mut self, id: u128, family: Family, shared: bool) -> AddressScope {
        let create = ScopeCreate { family, shared, name: None, description: None };
        match self.done_as(&of(0, id), Request::ScopeCreate(Box::new(create))) {
            Reply::Scope(scope) => *scope,
            other => panic!("{other:?}"),
        }
    }

    /// The prefix that an owner of a project gets from a pool.
    fn prefix(&mut self, project: u128, id: u128, request: Allocate) -> String {
        match self.done_as(&in_pool(project, id), Request::Allocate(request)) {
            Reply::Allocated(got) => format!("{}/{}", got.first.address, got.first.length),
            other => panic!("{other:?}"),
        }
    }

    fn no_prefix(&mut self, project: u128, id: u128, request: Allocate) -> Status {
        self.refused_as(&in_pool(project, id), Request::Allocate(request)).status
    }

    fn give_back(&mut self, project: u128, id: u128, request: Release) -> Option<Released> {
        match self.done_as(&in_pool(project, id), Request::Release(request)) {
            Reply::Released(released) => Some(released),
            Reply::Empty => None,
            other => panic!("{other:?}"),
        }
    }

    fn update_pool(&mut self, id: u128, update: PoolUpdate) -> SubnetPool {
        match self.done_as(&of(0, id), Request::PoolUpdate(Box::new(update))) {
            Reply::Pool(pool) => *pool,
            other => panic!("{other:?}"),
        }
    }

    fn no_update(&mut self, id: u128, update: PoolUpdate) -> Status {
        self.refused_as(&of(0, id), Request::PoolUpdate(Box::new(update))).status
    }
}

fn sized(number: u128, length: u8) -> Allocate {
    Allocate { length: Some(length), ..allocate(number) }
}

pub(super) fn exactly(number: u128, prefix: &str) -> Allocate {
    let prefix: crate::model::Prefix = prefix.parse().unwrap();
    let exact = allocate_with(number, |extras| extras.exact = Some(prefix.first()));
    Allocate { length: Some(prefix.length()), ..exact }
}

#[test]
fn projects_are_made_renamed_and_deleted() {
    let mut world = World::new(1);
    let named = |name: &str| ProjectCreate { name: Some(text(name)), ..ProjectCreate::default() };
    let create = |name: &str| Request::ProjectCreate(Box::new(named(name)));
    world.done_as(&of(1, 0), create("blue"));
    let Reply::Project(again) = world.done_as(&of(1, 0), create("other")) else { panic!() };
    assert!(again.repeated);
    assert_eq!(again.name, Some(text("blue")), "nothing is changed by a repeat");
    for taken in ["blue", "default"] {
        assert_eq!(world.refused_as(&of(2, 0), create(taken)).status, Status::NAME_IN_USE);
    }
    let get = |name: &str| Request::ProjectGet(Box::new(ProjectGet { name: Some(text(name)) }));
    let Reply::Project(found) = world.done_as(&of(0, 0), get("default")) else { panic!() };
    assert_eq!((found.project_id, found.revision.0), (ProjectId::DEFAULT, 0));
    let rename = ProjectUpdate { name: Setting::Value(text("main")), ..Default::default() };
    let rename = |project| (of(project, 0), Request::ProjectUpdate(Box::new(rename.clone())));
    let (scope, request) = rename(0);
    let Reply::Project(renamed) = world.done_as(&scope, request) else { panic!() };
    assert_ne!(renamed.revision.0, 0, "the default project has a row now");
    let (scope, request) = rename(1);
    assert_eq!(world.refused_as(&scope, request).status, Status::NAME_IN_USE);
    world.done_as(&of(2, 0), create("default"));
    let Reply::Projects(page) = world.done_as(&of(0, 0), Request::ProjectList(Box::default()))
    else {
        panic!()
    };
    let ids: Vec<_> = page.items.iter().map(|project: &Project| project.project_id).collect();
    assert_eq!(ids, [project(1), project(2), ProjectId::DEFAULT]);
    // What still has something stays.
    world.done_as(&of(1, 5), Request::NetworkCreate(Box::default()));
    let delete = |number| (of(number, 0), Request::ProjectDelete(ProjectDelete::default()));
    let (scope, request) = delete(1);
    let refused = world.refused_as(&scope, request.clone());
    assert_eq!(
        (refused.status, &refused.details[..]),
        (Status::IN_USE, &[Detail::Count { count: 1 }][..])
    );
    world.done_as(&of(1, 5), Request::NetworkDelete(NetworkDelete::default()));
    world.done_as(&scope, request.clone());
    assert_eq!(world.refused_as(&scope, request).status, Status::NOT_FOUND);
    let (scope, request) = delete(0);
    assert_eq!(world.refused_as(&scope, request).status, Status::CONFLICTING_FIELDS);
    // A project that is gone has no place for new things.
    let refused = world.refused_as(&of(1, 5), Request::NetworkCreate(Box::default()));
    assert_eq!((refused.status, refused.field), (Status::NOT_FOUND, Some(text("project"))));
}

#[test]
fn pages_of_projects_show_each_once() {
    let mut world = World::with_projects();
    let mut list = ProjectList::default();
    list.page.limit = 1;
    let mut seen = Vec::new();
    loop {
        let request = Request::ProjectList(Box::new(list.clone()));
        let Reply::Projects(page) = world.done_as(&of(0, 0), request) else { panic!() };
        seen.extend(page.items.iter().map(|project| project.project_id));
        list.page.cursor = page.next;
        if list.page.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [project(1), project(2), ProjectId::DEFAULT]);
}

#[test]
fn ids_of_one_project_reveal_nothing_to_another() {
    let mut world = World::with_projects();
    world.pool_of(1, 7, pool(&["10.0.0.0/16"]));
    let create = ScopeCreate { family: Family::V4, shared: false, name: None, description: None };
    world.done_as(&of(1, 8), Request::ScopeCreate(Box::new(create.clone())));
    // The same ids in another project are other things.
    let other = world.pool_of(2, 7, pool(&["192.168.0.0/24"]));
    assert!(!other.repeated);
    let Reply::Scope(scope) = world.done_as(&of(2, 8), Request::ScopeCreate(Box::new(create)))
    else {
        panic!()
    };
    assert!(!scope.repeated);
    let gone = world.refused_as(&of(2, 9), Request::PoolGet(Box::default()));
    world.pool_of(1, 9, pool(&["10.1.0.0/16"]));
    let hidden = world.refused_as(&of(2, 9), Request::PoolGet(Box::default()));
    assert_eq!(gone, hidden, "what is not there and what is hidden look the same");
    let list = Request::PoolList(Box::<PoolList>::default());
    let Reply::Pools(page) = world.done_as(&of(2, 0), list) else { panic!() };
    assert_eq!(page.items.len(), 1);
    let update = Request::PoolUpdate(Box::default());
    assert_eq!(world.refused_as(&of(2, 9), update).status, Status::NOT_FOUND);
}

/// Neutron's rule, subnet pools and address scopes: subnetpool: prefixes compacted, bounds and their defaults.
#[test]
fn pools_have_neutrons_defaults_and_bounds() {
    let mut world = World::new(1);
    let made = world.pool(1, pool(&["10.0.1.0/24", "10.0.0.0/24", "10.0.0.16/28"]));
    assert_eq!(made.prefixes, prefixes(&["10.0.0.0/23"]));
    assert_eq!((made.min_length, made.default_length, made.max_length), (8, 8, 32));
    assert_eq!((made.size, made.used, made.taken), (512, 0, 0));
    let made = world.pool(2, pool(&["2001:db8::/32"]));
    assert_eq!((made.min_length, made.default_length, made.max_length), (64, 64, 128));
    let with = |change: fn(&mut PoolCreate)| {
        let mut create = pool(&["10.0.0.0/16"]);
        change(&mut create);
        create
    };
    assert_eq!(world.no_pool(with(|p| p.min_length = Some(33))), Status::OUT_OF_RANGE);
    assert_eq!(world.no_pool(with(|p| p.min_length = Some(0))), Status::OUT_OF_RANGE);
    assert_eq!(world.no_pool(with(|p| p.max_length = Some(7))), Status::POOL_BOUNDS);
    assert_eq!(world.no_pool(with(|p| p.default_length = Some(7))), Status::POOL_BOUNDS);
    assert_eq!(world.no_pool(with(|p| p.prefixes.clear())), Status::NO_PREFIXES);
    assert_eq!(world.no_pool(pool(&["10.0.0.0/8", "fd00::/8"])), Status::FAMILY_MISMATCH);
    assert_eq!(world.no_pool(pool(&["0.0.0.0/0"])), Status::INVALID_PREFIX);
    assert_eq!(world.no_pool(with(|p| p.parent_length = Some(20))), Status::CONFLICTING_FIELDS);
    assert_eq!(
        world.no_pool(with(|p| p.parent_id = Some(PoolId::from_u128(99)))),
        Status::NOT_FOUND
    );
    let many = (0..129_u32).map(|n| format!("10.{}.{}.0/25", n / 128, n % 128 * 2));
    let many: Vec<String> = many.collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(world.no_pool(pool(&many)), Status::LIMIT);
    // Sent again: what can never change must agree.
    let Reply::Pool(again) =
        world.done_as(&of(0, 1), Request::PoolCreate(Box::new(pool(&["10.9.0.0/16"]))))
    else {
        panic!()
    };
    assert!(again.repeated);
    assert_eq!(again.prefixes, prefixes(&["10.0.0.0/23"]));
    let other = Request::PoolCreate(Box::new(pool(&["fd00::/8"])));
    let refused = world.refused_as(&of(0, 1), other);
    assert_eq!((refused.status, refused.field), (Status::ID_IN_USE, Some(text("family"))));
}

/// Neutron's rule, subnet pools: is_default, one for each family.
#[test]
fn a_family_has_one_default_pool() {
    let mut world = World::new(1);
    let default = |all: &[&str]| PoolCreate { is_default: true, ..pool(all) };
    world.pool(1, default(&["10.0.0.0/8"]));
    world.pool(2, default(&["fd00::/8"]));
    assert_eq!(world.no_pool(default(&["192.168.0.0/16"])), Status::DEFAULT_POOL_EXISTS);
    world.pool(3, pool(&["192.168.0.0/16"]));
    let on = || PoolUpdate { is_default: Setting::Value(true), ..PoolUpdate::default() };
    assert_eq!(world.no_update(3, on()), Status::DEFAULT_POOL_EXISTS);
    world.update_pool(1, PoolUpdate { is_default: Setting::Null, ..PoolUpdate::default() });
    assert!(world.update_pool(3, on()).is_default);
}

/// Neutron's rule, subnet pools and address scopes: prefixes update: only more through update, add and remove as actions,
/// partial removal splits, nothing that is used is removed.
#[test]
fn prefixes_of_a_pool_are_added_and_removed() {
    let mut world = World::new(1);
    world.pool(1, pool(&["10.0.0.0/16"]));
    let whole = |all: &[&str]| PoolUpdate { prefixes: prefixes(all), ..PoolUpdate::default() };
    let add = |all: &[&str]| PoolUpdate { add_prefixes: prefixes(all), ..PoolUpdate::default() };
    let remove =
        |all: &[&str]| PoolUpdate { remove_prefixes: prefixes(all), ..PoolUpdate::default() };
    assert_eq!(world.no_update(1, whole(&["10.0.0.0/17"])), Status::POOL_PREFIX_UPDATE);
    assert_eq!(world.update_pool(1, whole(&["10.0.0.0/15"])).prefixes, prefixes(&["10.0.0.0/15"]));
    assert!(world.update_pool(1, whole(&["10.1.0.0/16", "10.0.0.0/16"])).repeated);
    world.update_pool(1, add(&["192.168.0.0/24"]));
    assert_eq!(world.prefix(0, 1, sized(1, 24)), "192.168.0.0/24", "the best fit");
    assert_eq!(world.no_update(1, remove(&["192.168.0.0/25"])), Status::POOL_PREFIX_UPDATE);
    let split = world.update_pool(1, remove(&["10.0.64.0/18"]));
    assert_eq!(
        split.prefixes,
        prefixes(&["10.0.0.0/18", "10.0.128.0/17", "10.1.0.0/16", "192.168.0.0/24"])
    );
    assert_eq!(world.no_prefix(0, 1, exactly(2, "10.0.64.0/24")), Status::OUTSIDE_POOL);
    assert!(world.update_pool(1, remove(&["10.0.64.0/18"])).repeated, "it is so already");
    world.give_back(0, 1, release(1));
    let all = remove(&["10.0.0.0/15", "192.168.0.0/16"]);
    assert_eq!(world.no_update(1, all), Status::NO_PREFIXES);
    assert_eq!(world.no_update(1, add(&["fd00::/8"])), Status::FAMILY_MISMATCH);
    // Bounds changes never touch what is there.
    world.prefix(0, 1, sized(3, 16));
    let bounds = PoolUpdate {
        min_length: Setting::Value(20),
        default_length: Setting::Value(24),
        ..PoolUpdate::default()
    };
    assert_eq!(world.update_pool(1, bounds).taken, 1);
    assert_eq!(world.no_prefix(0, 1, sized(4, 16)), Status::LENGTH_BELOW_MIN);
    let stale = PoolUpdate { expected: crate::model::Revision(1), ..add(&["172.16.0.0/16"]) };
    assert_eq!(world.no_update(1, stale), Status::STALE);
}

/// Neutron's rule, subnet pools and address scopes: address scope: pools in it are disjoint, families agree.
#[test]
fn pools_of_a_scope_are_disjoint() {
    let mut world = World::with_projects();
    world.address_scope(50, Family::V4, true);
    let scoped = |all: &[&str]| PoolCreate {
        address_scope_id: Some(AddressScopeId::from_u128(50)),
        ..pool(all)
    };
    world.pool(1, scoped(&["10.0.0.0/16"]));
    let refused =
        world.refused_as(&of(0, 2), Request::PoolCreate(Box::new(scoped(&["10.0.8.0/24"]))));
    assert_eq!(refused.status, Status::SCOPE_OVERLAP);
    let cidr = Some("10.0.0.0/16".parse().unwrap());
    let other = Detail::Other { network_id: network_id(1), subnet_id: SubnetId::NIL, cidr };
    assert_eq!(refused.details, [other]);
    // Another project learns that it is taken, never whose it is.
    let hidden = Request::PoolCreate(Box::new(scoped(&["10.0.8.0/24"])));
    let refused = world.refused_as(&of(1, 2), hidden);
    assert_eq!((refused.status, refused.details.len()), (Status::SCOPE_OVERLAP, 0));
    world.pool_of(1, 2, scoped(&["10.1.0.0/16"]));
    let grow = PoolUpdate { add_prefixes: prefixes(&["10.1.128.0/17"]), ..PoolUpdate::default() };
    assert_eq!(world.no_update(1, grow), Status::SCOPE_OVERLAP);
    assert_eq!(world.no_pool(scoped(&["fd00::/8"])), Status::FAMILY_MISMATCH);
    // Outside of the scope the same prefixes are nobody's business.
    world.pool(3, pool(&["10.0.0.0/8"]));
    let enter = PoolUpdate {
        address_scope_id: Setting::Value(AddressScopeId::from_u128(50)),
        ..PoolUpdate::default()
    };
    assert_eq!(world.no_update(3, enter.clone()), Status::SCOPE_OVERLAP);
    let delete = Request::ScopeDelete(ScopeDelete::default());
    assert_eq!(world.refused_as(&of(0, 50), delete.clone()).status, Status::IN_USE);
    let unshare = ScopeUpdate { shared: Setting::Value(false), ..ScopeUpdate::default() };
    let unshare = Request::ScopeUpdate(Box::new(unshare));
    assert_eq!(world.refused_as(&of(0, 50), unshare).status, Status::IN_USE);
    world.done_as(&of(1, 2), Request::PoolDelete(PoolDelete::default()));
    world.done_as(&of(0, 1), Request::PoolDelete(PoolDelete::default()));
    assert_eq!(world.update_pool(3, enter).address_scope_id, Some(AddressScopeId::from_u128(50)));
    // In use it stays where it is.
    world.prefix(0, 3, sized(1, 24));
    let leave = PoolUpdate { address_scope_id: Setting::Null, ..PoolUpdate::default() };
    assert_eq!(world.no_update(3, leave), Status::POOL_IN_USE);
    world.give_back(0, 3, release(1));
    world.done_as(&of(0, 3), Request::PoolDelete(PoolDelete::default()));
    world.done_as(&of(0, 50), delete);
}

/// Neutron's rule, subnet pools and address scopes: any-subnet request: best fit, then the lowest.
#[test]
fn a_prefix_by_length_is_the_best_fit() {
    let mut world = World::new(1);
    world.pool(1, pool(&["10.0.0.0/16"]));
    assert_eq!(world.prefix(0, 1, exactly(1, "10.0.64.0/24")), "10.0.64.0/24");
    assert_eq!(world.prefix(0, 1, sized(2, 26)), "10.0.65.0/26");
    assert_eq!(world.prefix(0, 1, sized(3, 20)), "10.0.80.0/20");
    let lowest = Allocate { strategy: Strategy::Lowest, ..sized(4, 26) };
    assert_eq!(world.prefix(0, 1, lowest), "10.0.0.0/26");
    let default = allocate(5);
    assert_eq!(world.no_prefix(0, 1, default), Status::POOL_EXHAUSTED, "the default is /8");
    let preferred = allocate_with(6, |extras| extras.preferred = Some(ip("10.0.200.0")));
    let preferred = Allocate { length: Some(24), ..preferred };
    assert_eq!(world.prefix(0, 1, preferred), "10.0.200.0/24");
    let limit = addrd_protocol::Range::new(ip("10.0.100.3"), ip("10.0.102.9"));
    let limited = allocate_with(7, |extras| extras.limit = limit);
    assert_eq!(world.prefix(0, 1, Allocate { length: Some(25), ..limited }), "10.0.100.128/25");
    let usage = Request::Usage(Box::default());
    let Reply::Usage(usage) = world.done_as(&in_pool(0, 1), usage) else { panic!() };
    let one = &usage.subnets[0];
    assert_eq!((one.size, one.allocated), (65_536, 256 + 64 + 4_096 + 64 + 256 + 128));
    assert_eq!(one.free + one.allocated, one.pool_size);
}

/// Differs from Neutron on purpose: asking for a specific prefix that is taken gives a
/// server error (500) upstream, a conflict here.
#[test]
fn differs_a_specific_prefix_that_is_taken_is_a_conflict() {
    let mut world = World::new(1);
    world.pool(1, pool(&["10.0.0.0/16"]));
    world.prefix(0, 1, exactly(1, "10.0.64.0/24"));
    for (number, taken) in [(2, "10.0.64.0/24"), (3, "10.0.64.128/25"), (4, "10.0.64.0/20")] {
        let request = Request::Allocate(exactly(number, taken));
        let refused = world.refused_as(&in_pool(0, 1), request);
        assert_eq!((refused.status, refused.status.http()), (Status::PREFIX_TAKEN, 409));
        let cidr = Some("10.0.64.0/24".parse().unwrap());
        let network_id = network_id(1);
        assert_eq!(refused.details, [Detail::Other { network_id, subnet_id: SubnetId::NIL, cidr }]);
    }
    let outside = world.no_prefix(0, 1, exactly(5, "10.1.0.0/24"));
    assert_eq!((outside, outside.http()), (Status::OUTSIDE_POOL, 409));
    assert_eq!(world.no_prefix(0, 1, sized(6, 7)), Status::LENGTH_BELOW_MIN);
    let bounds = PoolUpdate { max_length: Setting::Value(28), ..PoolUpdate::default() };
    world.update_pool(1, bounds);
    assert_eq!(world.no_prefix(0, 1, sized(7, 29)), Status::LENGTH_ABOVE_MAX);
}

/// Differs from Neutron on purpose: upstream counts only the pool owner's use, so others
/// on a shared pool are unlimited.
#[test]
fn differs_the_quota_of_a_shared_pool_counts_for_each_project() {
    let mut world = World::with_projects();
    world.pool(1, PoolCreate { shared: true, default_quota: Some(256), ..pool(&["10.0.0.0/16"]) });
    for number in [0, 1, 2] {
        world.prefix(number, 1, sized(1, 25));
        world.prefix(number, 1, sized(2, 25));
        let refused = world.refused_as(&in_pool(number, 1), Request::Allocate(sized(3, 32)));
        assert_eq!(refused.status, Status::QUOTA);
        assert_eq!(
            refused.details,
            [Detail::Quota { resource: QuotaResource::Pool, limit: 256, used: 256, asked: 1 }]
        );
    }
    assert!(world.give_back(1, 1, release(2)).is_some());
    world.prefix(1, 1, sized(3, 32));
    let own = world.pool_get(1);
    assert_eq!((own.used, own.used_by_project), (256 * 3 - 127, 256));
    // IPv6 counts in /64; what is smaller counts for its part.
    world.pool(2, PoolCreate { default_quota: Some(2), ..pool(&["2001:db8::/32"]) });
    world.prefix(0, 2, sized(1, 64));
    world.prefix(0, 2, sized(2, 65));
    assert_eq!(world.no_prefix(0, 2, sized(3, 64)), Status::QUOTA);
    world.prefix(0, 2, sized(3, 65));
    assert_eq!(world.no_prefix(0, 2, sized(4, 128)), Status::QUOTA);
}

#[test]
fn prefixes_have_keys_fences_and_repeats_like_addresses() {
    let mut world = World::new(1);
    world.pool(1, pool(&["10.0.0.0/16"]));
    let request = |allocate: Allocate| Request::Allocate(allocate);
    let Reply::Allocated(first) = world.done_as(&in_pool(0, 1), request(sized(1, 24))) else {
        panic!()
    };
    for again in [sized(1, 24), allocate(1), exactly(1, "10.0.0.0/24")] {
        let Reply::Allocated(got) = world.done_as(&in_pool(0, 1), request(again)) else { panic!() };
        assert!(got.first.repeated);
        assert_eq!(
            (got.first.address, got.first.revision),
            (first.first.address, first.first.revision)
        );
    }
    assert_eq!(world.no_prefix(0, 1, sized(1, 25)), Status::KEY_IN_USE);
    assert_eq!(world.no_prefix(0, 1, exactly(1, "10.0.1.0/24")), Status::KEY_IN_USE);
    let other = || Allocate { instance: Instance(5), ..sized(1, 24) };
    assert_eq!(world.no_prefix(0, 1, other()), Status::HELD_BY_OTHER_INSTANCE);
    let mut takeover = other();
    takeover.flags.takeover = true;
    let Reply::Allocated(taken) = world.done_as(&in_pool(0, 1), request(takeover)) else {
        panic!()
    };
    assert!(taken.first.taken_over && taken.first.revision > first.first.revision);
    let fences = Fences { revision: Some(first.first.revision), ..Fences::default() };
    let late = Release { fences, ..release(1) };
    let refused = world.refused_as(&in_pool(0, 1), Request::Release(late));
    assert_eq!(refused.status, Status::STALE);
    let gone = world.give_back(0, 1, release(1)).unwrap();
    assert_eq!((gone.address, gone.length), (ip("10.0.0.0"), 24));
    assert!(world.give_back(0, 1, release(1)).is_none());
    // What has no meaning for a prefix is refused.
    let pair = Allocate { family: addrd_protocol::message::FamilyChoice::Each, ..sized(2, 24) };
    assert_eq!(world.no_prefix(0, 1, pair), Status::CONFLICTING_FIELDS);
    let next = Allocate { strategy: Strategy::Next, ..sized(2, 24) };
    assert_eq!(world.no_prefix(0, 1, next), Status::CONFLICTING_FIELDS);
    let v6 = Allocate { family: addrd_protocol::message::FamilyChoice::V6, ..sized(2, 24) };
    assert_eq!(world.no_prefix(0, 1, v6), Status::FAMILY_MISMATCH);
    let crooked = allocate_with(2, |extras| extras.exact = Some(ip("10.0.0.1")));
    let crooked = Allocate { length: Some(24), ..crooked };
    assert_eq!(world.no_prefix(0, 1, crooked), Status::INVALID_ADDRESS);
    assert_eq!(world.no_prefix(0, 9, sized(1, 24)), Status::NOT_FOUND);
    let ranges = Request::FreeRanges(Box::new(addrd_protocol::message::FreeRanges {
        subnet: addrd_protocol::message::SubnetName::Id(subnet_id(1)),
        limit: 0,
        from: None,
    }));
    assert_eq!(world.refused_as(&in_pool(0, 1), ranges).status, Status::UNSUPPORTED);
}

/// Four /26 fill the pool, so the fifth is refused; what came before it in the batch is as if it had
/// never been: free blocks, quota, the owner's old prefix, revisions.
#[test]
fn a_batch_on_a_pool_is_done_whole_or_leaves_nothing_behind() {
    let mut world = World::with_projects();
    world.pool(1, PoolCreate { default_quota: Some(256), ..pool(&["10.0.0.0/24"]) });
    assert_eq!(world.prefix(0, 1, sized(1, 26)), "10.0.0.0/26");
    let batch = |mode, items| Request::Batch(Box::new(Batch { mode, items }));
    let swap = || {
        vec![
            BatchItem::Release(release(1)),
            BatchItem::Allocate(sized(2, 25)),
            BatchItem::Allocate(sized(3, 26)),
            BatchItem::Allocate(sized(1, 25)),
        ]
    };
    let refused = world.refused_as(&in_pool(0, 1), batch(BatchMode::AllOrNothing, swap()));
    assert_eq!((refused.status, refused.item), (Status::POOL_EXHAUSTED, Some(3)));
    let kept = world.pool_get(1);
    assert_eq!((kept.taken, kept.used, kept.used_by_project), (1, 64, 64));
    let Reply::Batch(done) = world.done_as(&in_pool(0, 1), batch(BatchMode::Independent, swap()))
    else {
        panic!()
    };
    let shown: Vec<String> = done.results.iter().map(in_short).collect();
    assert_eq!(shown, ["released", "10.0.0.0/25", "10.0.0.128/26", "POOL_EXHAUSTED"]);
    // The quota counts what the batch itself took.
    world.update_pool(1, PoolUpdate { default_quota: Setting::Value(192), ..Default::default() });
    let more = vec![BatchItem::Allocate(sized(4, 26))];
    let refused = world.refused_as(&in_pool(0, 1), batch(BatchMode::AllOrNothing, more));
    assert_eq!((refused.status, refused.item), (Status::QUOTA, Some(0)));
    let none = world.refused_as(&in_pool(0, 1), batch(BatchMode::AllOrNothing, Vec::new()));
    assert_eq!(none.status, Status::OUT_OF_RANGE);
    let (port_id, expected) = (PortId::from_u128(1), addrd_protocol::Revision(0));
    let port = vec![BatchItem::PortDelete(PortDelete { port_id, expected })];
    let refused = world.refused_as(&in_pool(0, 1), batch(BatchMode::AllOrNothing, port));
    assert_eq!((refused.status, refused.item), (Status::UNSUPPORTED, Some(0)));
}

fn in_short(result: &BatchResult) -> String {
    match result {
        BatchResult::Allocated(got) => format!("{}/{}", got.first.address, got.first.length),
        BatchResult::Released(_) => "released".to_owned(),
        BatchResult::Failed(refused) => refused.status.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn on_a_shared_pool_nobody_sees_or_touches_the_prefixes_of_others() {
    let mut world = World::with_projects();
    world.pool(1, PoolCreate { shared: true, ..pool(&["10.0.0.0/16"]) });
    assert_eq!(world.prefix(1, 1, sized(1, 24)), "10.0.0.0/24");
    assert_eq!(
        world.prefix(2, 1, sized(1, 24)),
        "10.0.1.0/24",
        "the same owner in another project"
    );
    assert_eq!(world.prefix(0, 1, sized(1, 24)), "10.0.2.0/24");
    let by_address = Release { target: Target::Address(ip("10.0.0.0")), any: true, ..release(1) };
    for number in [0, 2] {
        assert!(world.give_back(number, 1, by_address.clone()).is_none(), "not held, to others");
        let target = Target::Address(ip("10.0.0.0"));
        let get = Request::AllocationGet(Box::new(AllocationGet { target }));
        assert_eq!(world.refused_as(&in_pool(number, 1), get).status, Status::NOT_FOUND);
        let list = Request::AllocationList(Box::<AllocationList>::default());
        let Reply::Allocations(page) = world.done_as(&in_pool(number, 1), list) else { panic!() };
        let owners: Vec<_> = page.items.iter().map(|one| one.project_id).collect();
        assert_eq!(owners, [project(number)]);
        let lookup = Request::Lookup(Box::new(Lookup::Address(ip("10.0.0.0"))));
        let Reply::Lookups(found) = world.done_as(&in_pool(number, 1), lookup) else { panic!() };
        assert_eq!(*found, Lookups::default());
        let taken = Request::Allocate(exactly(5, "10.0.0.0/24"));
        let refused = world.refused_as(&in_pool(number, 1), taken);
        assert_eq!((refused.status, refused.details.len()), (Status::PREFIX_TAKEN, 0));
    }
    let lookup = Request::Lookup(Box::new(Lookup::Owner(owner(1))));
    let Reply::Lookups(found) = world.done_as(&in_pool(1, 0), lookup) else { panic!() };
    assert_eq!(found.allocations.len(), 1);
    assert_eq!(found.allocations[0].project_id, project(1));
    let unshare = PoolUpdate { shared: Setting::Value(false), ..PoolUpdate::default() };
    assert_eq!(world.no_update(1, unshare.clone()), Status::POOL_IN_USE);
    assert!(world.give_back(1, 1, by_address).is_some());
    assert!(world.give_back(2, 1, release(1)).is_some());
    world.update_pool(1, unshare);
    assert_eq!(world.no_prefix(1, 1, sized(1, 24)), Status::NOT_FOUND);
}

#[test]
fn a_pool_takes_its_prefixes_from_its_parent() {
    let mut world = World::with_projects();
    let quota = Some(4_096);
    world.pool(1, PoolCreate { shared: true, default_quota: quota, ..pool(&["10.0.0.0/8"]) });
    let parent = Some(PoolId::from_u128(1));
    let below = |all: &[&str]| PoolCreate { parent_id: parent, ..pool(all) };
    let by_length =
        PoolCreate { prefixes: Vec::new(), parent_length: Some(22), ..below(&["10.0.0.0/8"]) };
    let made = world.pool(2, by_length.clone());
    assert_eq!((made.prefixes, made.parent_id), (prefixes(&["10.0.0.0/22"]), parent));
    assert_eq!(world.pool_get(1).taken, 1);
    assert_eq!(world.no_pool(below(&["10.0.2.0/24"])), Status::PREFIX_TAKEN);
    assert_eq!(world.no_pool(below(&["11.0.0.0/24"])), Status::OUTSIDE_POOL);
    assert_eq!(world.no_pool(below(&["10.0.16.0/20"])), Status::QUOTA);
    // Growing and shrinking moves blocks; neighbours merge into one.
    let add = PoolUpdate { add_prefixes: prefixes(&["10.0.4.0/22"]), ..PoolUpdate::default() };
    assert_eq!(world.update_pool(2, add).prefixes, prefixes(&["10.0.0.0/21"]));
    assert_eq!((world.pool_get(1).taken, world.pool_get(1).used), (1, 2_048));
    world.prefix(0, 2, exactly(1, "10.0.0.0/24"));
    let remove =
        PoolUpdate { remove_prefixes: prefixes(&["10.0.2.0/23"]), ..PoolUpdate::default() };
    let left = world.update_pool(2, remove);
    assert_eq!(left.prefixes, prefixes(&["10.0.0.0/23", "10.0.4.0/22"]));
    assert_eq!((world.pool_get(1).taken, world.pool_get(1).used), (2, 1_536));
    assert_eq!(world.prefix(0, 1, exactly(7, "10.0.2.0/23")), "10.0.2.0/23", "it was given back");
    // Nobody but the pool itself gives them back.
    let any = Release { target: Target::Address(ip("10.0.4.0")), any: true, ..release(1) };
    let refused = world.refused_as(&in_pool(0, 1), Request::Release(any));
    assert_eq!(refused.status, Status::HELD_BY_OBJECT);
    let delete = Request::PoolDelete(PoolDelete::default());
    for id in [1, 2] {
        assert_eq!(world.refused_as(&of(0, id), delete.clone()).status, Status::POOL_IN_USE);
    }
    world.give_back(0, 2, release(1));
    world.done_as(&of(0, 2), delete);
    assert_eq!((world.pool_get(1).taken, world.pool_get(1).used), (1, 512));
    // Another project's pool counts for that project.
    let made = world.pool_of(1, 2, by_length);
    assert_eq!(made.prefixes, prefixes(&["10.0.4.0/22"]), "the best fit");
    assert_eq!(world.pool_get(1).used_by_project, 512);
}

#[test]
fn a_preview_gives_what_a_request_would_get_and_changes_nothing() {
    let mut world = World::new(1);
    world.pool(1, pool(&["10.0.0.0/16"]));
    let preview = |world: &mut World, preview: PoolPreview| {
        let before = world.log.effects.len();
        let reply = world.done_as(&of(0, 1), Request::PoolPreview(Box::new(preview)));
        assert_eq!(world.log.effects.len(), before);
        let Reply::Previewed(previewed) = reply else { panic!("{reply:?}") };
        previewed.cidr.to_string()
    };
    let of_length = |length| PoolPreview { length: Some(length), ..PoolPreview::default() };
    assert_eq!(preview(&mut world, of_length(26)), "10.0.0.0/26");
    assert_eq!(preview(&mut world, of_length(26)), "10.0.0.0/26");
    assert_eq!(world.prefix(0, 1, sized(1, 26)), "10.0.0.0/26");
    let confined = PoolPreview {
        allowed: prefixes(&["10.0.0.0/24", "10.0.8.0/22"]),
        disallowed: prefixes(&["10.0.0.0/25", "10.0.0.192/26"]),
        ..of_length(26)
    };
    assert_eq!(preview(&mut world, confined), "10.0.0.128/26");
    let exact =
        PoolPreview { exact: Some("10.0.0.0/24".parse().unwrap()), ..PoolPreview::default() };
    let refused = world.refused_as(&of(0, 1), Request::PoolPreview(Box::new(exact)));
    assert_eq!(refused.status, Status::PREFIX_TAKEN);
    let nowhere = PoolPreview { allowed: prefixes(&["10.0.0.0/28"]), ..of_length(26) };
    let refused = world.refused_as(&of(0, 1), Request::PoolPreview(Box::new(nowhere)));
    assert_eq!(refused.status, Status::POOL_EXHAUSTED);
    let by_name = PoolGet { name: Some(text("nodes")) };
    let refused = world.refused_as(&of(0, 0), Request::PoolGet(Box::new(by_name)));
    assert_eq!(refused.status, Status::NOT_FOUND);
}
