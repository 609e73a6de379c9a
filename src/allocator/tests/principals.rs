//! Principals and tokens: what protocol/SPEC.md promises of them, and that what is replayed is the same.

use super::catalogue::of;
use super::*;
use crate::limits::PRINCIPALS_MAX;
use crate::model::{PrincipalId, Revision, Tick, TokenHash, TokenId};
use addrd_protocol::Setting;
use addrd_protocol::message::{
    Grant, Principal, PrincipalCreate, PrincipalDelete, PrincipalGet, PrincipalList,
    PrincipalUpdate, TokenCreate, TokenRevoke, Verb, Verbs,
};

fn id(number: u128) -> PrincipalId {
    PrincipalId::from_u128(number)
}

fn create(number: u128) -> PrincipalCreate {
    let verbs = Verbs::NONE.with(Verb::Read);
    PrincipalCreate {
        principal_id: id(number),
        name: Some(text(&format!("p{number}"))),
        grants: vec![Grant { project_id: None, verbs, manager: Some(text("cni")) }],
        certificate_names: vec![text(&format!("c{number}"))],
        unix_users: vec![number as u32],
        ..PrincipalCreate::default()
    }
}

fn made(world: &mut World, create: PrincipalCreate) -> Principal {
    shown(world.done_as(&of(0, 0), Request::PrincipalCreate(Box::new(create))))
}

fn shown(reply: Reply) -> Principal {
    let Reply::Principal(principal) = reply else { panic!("{reply:?}") };
    *principal
}

fn token(principal: u128, token: u64) -> TokenCreate {
    let (principal_id, token_id) = (id(principal), TokenId(token));
    TokenCreate { principal_id, token_id, hash: TokenHash([token as u8; 32]), life_ms: 0 }
}

fn give(world: &mut World, token: TokenCreate) -> Principal {
    shown(world.done_as(&of(0, 0), Request::TokenCreate(Box::new(token))))
}

fn revoke(token: u64, after_ms: u64) -> Request {
    Request::TokenRevoke(TokenRevoke { token_id: TokenId(token), after_ms })
}

fn refused(world: &mut World, request: Request) -> (Status, Option<String>) {
    let refused = world.refused_as(&of(0, 0), request);
    (refused.status, refused.field.map(|field| field.to_string()))
}

fn get(world: &mut World, number: u128) -> Principal {
    let get = PrincipalGet { principal_id: id(number), name: None };
    shown(world.done_as(&of(0, 0), Request::PrincipalGet(Box::new(get))))
}

#[test]
fn principals_are_made_changed_and_deleted() {
    let mut world = World::new(1);
    let first = made(&mut world, create(1));
    let again = made(&mut world, create(1));
    assert!(again.repeated && !first.repeated);
    assert_eq!(Principal { repeated: false, ..again }, first);
    let other = PrincipalCreate { grants: Vec::new(), ..create(1) };
    let request = Request::PrincipalCreate(Box::new(other));
    assert_eq!(refused(&mut world, request), (Status::ID_IN_USE, Some("grants".to_owned())));
    // Names, certificates and users are of one principal each.
    let taken = [
        PrincipalCreate { name: Some(text("p1")), ..create(2) },
        PrincipalCreate { certificate_names: vec![text("c2"), text("c1")], ..create(2) },
        PrincipalCreate { certificate_names: vec![text("c2"), text("c2")], ..create(2) },
        PrincipalCreate { unix_users: vec![2, 1], ..create(2) },
    ];
    for create in taken {
        let request = Request::PrincipalCreate(Box::new(create));
        assert_eq!(refused(&mut world, request).0, Status::NAME_IN_USE);
    }
    let update = PrincipalUpdate {
        principal_id: id(1),
        expected: first.revision,
        name: Setting::Value(text("new")),
        certificate_names: Setting::Null,
        disabled: Some(true),
        ..PrincipalUpdate::default()
    };
    let update = Request::PrincipalUpdate(Box::new(update));
    let changed = shown(world.done_as(&of(0, 0), update.clone()));
    assert!(changed.disabled && changed.certificate_names.is_empty());
    assert_eq!(changed.grants, first.grants);
    assert!(changed.revision > first.revision);
    assert!(shown(world.done_as(&of(0, 0), update)).repeated, "it is so already");
    let stale = PrincipalUpdate {
        principal_id: id(1),
        expected: first.revision,
        disabled: Some(false),
        ..PrincipalUpdate::default()
    };
    let stale = Request::PrincipalUpdate(Box::new(stale));
    assert_eq!(refused(&mut world, stale).0, Status::STALE);
    // What it gave up others may have.
    let next = PrincipalCreate { name: Some(text("p1")), unix_users: Vec::new(), ..create(2) };
    let next = PrincipalCreate { certificate_names: vec![text("c1")], ..next };
    made(&mut world, next);
    let by_name = PrincipalGet { name: Some(text("new")), ..PrincipalGet::default() };
    let by_name = Request::PrincipalGet(Box::new(by_name));
    assert_eq!(shown(world.done_as(&of(0, 0), by_name)).principal_id, id(1));
    let delete = PrincipalDelete { principal_id: id(1), expected: Revision(0) };
    world.done_as(&of(0, 0), Request::PrincipalDelete(delete));
    assert_eq!(refused(&mut world, Request::PrincipalDelete(delete)).0, Status::NOT_FOUND);
    let free = PrincipalCreate { name: Some(text("new")), ..create(1) };
    made(&mut world, PrincipalCreate { certificate_names: Vec::new(), ..free });
}

#[test]
fn a_manager_restricts_no_grant_of_what_names_none() {
    let mut world = World::new(1);
    for verb in [Verb::Manage, Verb::Administer] {
        let grant = Grant {
            project_id: None,
            verbs: Verbs::NONE.with(Verb::Read).with(verb),
            manager: Some(text("cni")),
        };
        let create = PrincipalCreate { grants: vec![grant.clone()], ..create(1) };
        let request = Request::PrincipalCreate(Box::new(create));
        let expected = (Status::CONFLICTING_FIELDS, Some("grants".to_owned()));
        assert_eq!(refused(&mut world, request), expected);
        let free = Grant { manager: None, ..grant };
        let create = PrincipalCreate { grants: vec![free], ..create_bare(verb as u128) };
        made(&mut world, create);
    }
}

fn create_bare(number: u128) -> PrincipalCreate {
    PrincipalCreate { principal_id: id(number), ..PrincipalCreate::default() }
}

#[test]
fn tokens_are_two_at_a_time_and_end() {
    let mut world = World::new(1);
    made(&mut world, create(1));
    made(&mut world, create(2));
    assert_eq!(give(&mut world, token(1, 7)).tokens.len(), 1);
    assert!(give(&mut world, token(1, 7)).repeated, "an answer that was lost");
    let foreign = [token(2, 7), TokenCreate { hash: TokenHash([0; 32]), ..token(1, 7) }];
    for token in foreign {
        let request = Request::TokenCreate(Box::new(token));
        assert_eq!(refused(&mut world, request).0, Status::ID_IN_USE);
    }
    let ending = TokenCreate { life_ms: 5_000, ..token(1, 8) };
    let both = give(&mut world, ending).tokens;
    let left: Vec<_> = both.iter().map(|token| token.time_left_ms).collect();
    assert_eq!(left, [None, Some(5_000)]);
    let third = Request::TokenCreate(Box::new(token(1, 9)));
    assert_eq!(refused(&mut world, third.clone()).0, Status::LIMIT);
    // The second ends by itself; then there is room.
    world.at.tick = Tick(world.at.tick.0 + 5_000);
    let ids = |principal: &Principal| -> Vec<u64> {
        principal.tokens.iter().map(|token| token.token_id.0).collect()
    };
    assert_eq!(ids(&get(&mut world, 1)), [7]);
    assert_eq!(ids(&shown(world.done_as(&of(0, 0), third))), [7, 9]);
    // An end that is nearer stays; one that is further off is brought near.
    let soon = shown(world.done_as(&of(0, 0), revoke(7, 60_000)));
    assert_eq!(soon.tokens[0].time_left_ms, Some(60_000));
    assert!(shown(world.done_as(&of(0, 0), revoke(7, 90_000))).repeated);
    assert_eq!(ids(&shown(world.done_as(&of(0, 0), revoke(7, 0)))), [9]);
    assert!(shown(world.done_as(&of(0, 0), revoke(7, 0))).repeated, "an answer that was lost");
    // A creation that comes late doesn't bring it back.
    let late = Request::TokenCreate(Box::new(token(1, 7)));
    assert_eq!(refused(&mut world, late).0, Status::ID_IN_USE);
    let longer = Request::TokenCreate(Box::new(TokenCreate { life_ms: 9_000, ..token(1, 9) }));
    assert_eq!(refused(&mut world, longer).0, Status::ID_IN_USE);
    assert_eq!(refused(&mut world, revoke(77, 0)).0, Status::NOT_FOUND);
    // With its principal all of it goes; the id is free again.
    let delete = PrincipalDelete { principal_id: id(1), expected: Revision(0) };
    world.done_as(&of(0, 0), Request::PrincipalDelete(delete));
    assert_eq!(refused(&mut world, revoke(9, 0)).0, Status::NOT_FOUND);
    give(&mut world, token(2, 9));
}

#[test]
fn pages_of_principals_show_each_once_and_there_are_only_so_many() {
    let mut world = World::new(1);
    for number in 1..=150 {
        made(&mut world, create(number));
    }
    let mut list = PrincipalList::default();
    let mut seen = Vec::new();
    loop {
        let request = Request::PrincipalList(Box::new(list.clone()));
        let Reply::Principals(page) = world.done_as(&of(0, 0), request) else { panic!() };
        assert!(page.items.len() <= 64);
        seen.extend(page.items.iter().map(|principal| principal.principal_id.0.as_u128()));
        let Some(next) = page.next else { break };
        list.page.cursor = Some(next);
    }
    assert_eq!(seen, (1..=150).collect::<Vec<u128>>());
    for number in 151..=u128::from(PRINCIPALS_MAX) {
        world.decide(&of(0, 0), &Request::PrincipalCreate(Box::new(create(number)))).unwrap();
    }
    let more = Request::PrincipalCreate(Box::new(create(1 << 20)));
    assert_eq!(refused(&mut world, more).0, Status::LIMIT);
}

#[test]
fn what_is_replayed_is_the_same() {
    let mut world = World::new(1);
    for number in 1..=3 {
        made(&mut world, create(number));
        give(&mut world, token(number, number as u64));
    }
    world.done_as(&of(0, 0), revoke(2, 9_000));
    let delete = PrincipalDelete { principal_id: id(3), expected: Revision(0) };
    world.done_as(&of(0, 0), Request::PrincipalDelete(delete));
    let rows = world.catalogue.snapshot().principals;
    assert_eq!(rows.len(), 2);
    let mut again = crate::allocator::Catalogue::new(crate::allocator::ShardSettings {
        seed: 1,
        records_max: 1 << 10,
    });
    // Twice, since a fold may have been cut.
    for row in rows.iter().chain(&rows) {
        again.absorb(&crate::model::Effect::PrincipalPut(Box::new(row.clone()))).unwrap();
    }
    assert_eq!(again.snapshot().principals, rows);
}
