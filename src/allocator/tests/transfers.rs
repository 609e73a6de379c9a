//! Transfers: what changes hands, what stays, what is refused, and that late messages of whoever had it
//! before touch nothing.

use super::catalogue::{in_pool, of, pool};
use super::fencing::orders;
use super::places::change_of;
use super::shared::{guest, lent};
use super::*;
use crate::limits::RESTART_GRACE_MS;
use crate::model::{Instance, Revision};
use addrd_protocol::Setting;
use addrd_protocol::message::{
    Allocation, AllocationGet, Batch, BatchItem, BatchMode, Failure, HoldRelease, Live, Lookup,
    PinCreate, PoolCreate, ProjectUpdate, QuotaSettings, Reconcile, Renew, SubnetUpdate, Transfer,
};
use uuid::Uuid;

const TOKEN: Uuid = Uuid::from_u128(0x70);

/// To another owner, under the revision that was told.
fn to_owner(given: &Allocated, number: u128) -> Transfer {
    Transfer {
        address: given.first.address,
        fences: Fences { revision: Some(given.first.revision), ..Fences::default() },
        to_owner: Some(owner(number)),
        to_slot: None,
        to_instance: None,
        to_project: None,
        owner_name: None,
    }
}

fn request(transfer: &Transfer) -> Request {
    Request::Transfer(Box::new(transfer.clone()))
}

fn of_owner(number: u128) -> Request {
    let target = Target::Key { owner: owner(number), slot: Slot(0) };
    Request::AllocationGet(Box::new(AllocationGet { target }))
}

impl World {
    fn transfer(&mut self, transfer: &Transfer) -> Allocation {
        self.transfer_as(&scope(1), transfer)
    }

    fn transfer_as(&mut self, scope: &Scope, transfer: &Transfer) -> Allocation {
        match self.apply_as(scope, &request(transfer)) {
            Ok((_, Reply::Allocation(allocation))) => *allocation,
            other => panic!("{other:?}"),
        }
    }

    fn no_transfer(&mut self, transfer: &Transfer) -> (Status, Option<Text>) {
        let refused = self.refused(1, request(transfer));
        (refused.status, refused.field)
    }

    fn held_by_owner(&mut self, number: u128) -> Option<Allocation> {
        match self.apply(1, &of_owner(number)) {
            Ok((_, Reply::Allocation(held))) => Some(*held),
            Err(refused) if refused.status == Status::NOT_FOUND => None,
            other => panic!("{other:?}"),
        }
    }

    fn lookup(&mut self, number: u128) -> Vec<Allocation> {
        match self.done(0, Request::Lookup(Box::new(Lookup::Owner(owner(number))))) {
            Reply::Lookups(found) => found.allocations,
            other => panic!("{other:?}"),
        }
    }
}

fn small() -> World {
    World::with_subnet(subnet(1, "10.0.0.0/29"))
}

#[test]
fn the_address_stays_and_so_does_all_that_is_not_named() {
    let mut world = small();
    let given = world.allocate(allocate_with(7, |extras| {
        extras.lease_ms = Some(60_000);
        extras.label = Some(text("app=web"));
        extras.manager = Some(text("cni"));
        extras.host = Some(text("n1"));
        extras.owner_name = Some(text("web-7"));
    }));
    let transfer = Transfer { owner_name: Some(text("web-8")), ..to_owner(&given, 8) };
    let now = world.transfer(&transfer);
    assert_eq!((now.address, now.owner, now.slot), (given.first.address, owner(8), Slot(0)));
    assert!(now.revision > given.first.revision && !now.repeated);
    assert_eq!((now.time_left_ms, now.label.as_deref()), (60_000, Some("app=web")));
    assert_eq!((now.manager.as_deref(), now.host.as_deref()), (Some("cni"), Some("n1")));
    assert_eq!(now.owner_name.as_deref(), Some("web-8"));
    assert_eq!(world.held_by_owner(8).map(|held| held.revision), Some(now.revision));
    assert_eq!(
        (world.held_by_owner(7), world.lookup(7)),
        (None, Vec::new()),
        "nobody finds the old key"
    );
    assert_eq!(world.lookup(8).len(), 1);
    let again = world.transfer(&transfer);
    assert_eq!(again, Allocation { repeated: true, ..now.clone() });
    // Without a name the owner has none, also where it is the one that has it.
    let slot = Transfer {
        fences: Fences { owner: Some(owner(8)), ..Fences::default() },
        to_slot: Some(Slot(4)),
        owner_name: None,
        ..transfer.clone()
    };
    assert_eq!(world.transfer(&slot).owner_name, None);
    let back = Transfer {
        fences: Fences { owner: Some(owner(8)), ..Fences::default() },
        owner_name: None,
        ..to_owner(&given, 7)
    };
    assert_eq!(world.transfer(&back).owner_name, None);
    world.check();
}

#[test]
fn slot_and_instance_change_alone() {
    let mut world = small();
    let given = world.allocate(allocate(7));
    let to = Transfer { to_owner: None, to_instance: Some(Instance(5)), ..to_owner(&given, 7) };
    let now = world.transfer(&to);
    assert_eq!((now.owner, now.instance), (owner(7), Instance(5)));
    assert!(now.revision > given.first.revision, "it changed hands");
    let slot = Transfer {
        fences: Fences { instance: Some(Instance(5)), ..Fences::default() },
        to_instance: None,
        to_slot: Some(Slot(3)),
        ..to
    };
    let now = world.transfer(&slot);
    assert_eq!((now.slot, now.instance), (Slot(3), Instance(5)));
    assert_eq!(world.lookup(7).len(), 1);
    assert_eq!(world.held_by_owner(7), None, "slot 0 is free again");
    world.allocate(allocate(7));
    assert_eq!(world.lookup(7).len(), 2);
    world.check();
}

/// Its owner released the address, and another one got it with the slot, instance and project that the
/// late request gives.
#[test]
fn a_late_transfer_is_not_told_done_about_whoever_took_the_address_since() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/30"));
    let life = |number| {
        let life = allocate_with(number, |extras| extras.manager = Some(text("cni")));
        Allocate { slot: Slot(3), instance: Instance(5), ..life }
    };
    let given = world.allocate(Allocate { slot: Slot(0), ..life(7) });
    assert_eq!(world.release(release(7)), Status::OK);
    let taken = world.allocate(life(8));
    assert_eq!(taken.first.address, given.first.address);
    let revision = Fences { revision: Some(given.first.revision), ..Fences::default() };
    let late = Transfer { fences: revision.clone(), to_owner: None, ..to_owner(&given, 7) };
    let named = [
        Transfer { to_slot: Some(Slot(3)), ..late.clone() },
        Transfer { to_instance: Some(Instance(5)), ..late.clone() },
        Transfer { to_project: Some(ProjectId::DEFAULT), ..late.clone() },
    ];
    let with = |transfer: &Transfer, fences| Transfer { fences, ..transfer.clone() };
    for transfer in &named {
        let mut refused = |fences, status, field: &str| {
            let answer = world.no_transfer(&with(transfer, fences));
            assert_eq!(answer, (status, Some(text(field))), "{transfer:?}");
        };
        refused(revision.clone(), Status::STALE, "revision");
        let old = Fences { instance: Some(Instance(4)), ..Fences::default() };
        refused(old, Status::STALE, "instance");
        let of_owner = Fences { owner: Some(owner(7)), ..revision.clone() };
        refused(of_owner, Status::NOT_HOLDER, "owner");
        let managed = Fences { manager: Some(text("neutron")), ..revision.clone() };
        refused(managed, Status::NOT_HOLDER, "manager");
    }
    let of_other = Fences { manager: Some(text("neutron")), ..revision.clone() };
    let to_holder = Transfer { to_slot: Some(Slot(3)), ..to_owner(&given, 8) };
    assert_eq!(world.no_transfer(&with(&to_holder, of_other)).0, Status::NOT_HOLDER);
    // Who says whose it is can send it again.
    let mine = Fences { owner: Some(owner(8)), ..revision };
    for transfer in &named {
        let again = world.transfer(&with(transfer, mine.clone()));
        assert!(again.repeated && again.revision == taken.first.revision, "{transfer:?}");
    }
    assert!(world.transfer(&to_holder).repeated);
    let now = Some(taken.first.revision);
    let life = Fences { revision: now, instance: Some(Instance(5)), ..mine };
    let next = Transfer { to_instance: Some(Instance(6)), ..with(&late, life) };
    assert!(!world.transfer(&next).repeated);
    assert!(world.transfer(&next).repeated, "the instance is what changed");
    world.check();
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut world = small();
    let given = world.allocate(allocate(7));
    let other = world.allocate(allocate(8));
    let refused = |world: &mut World, transfer: &Transfer, status, field: &str| {
        assert_eq!(world.no_transfer(transfer), (status, Some(text(field))));
    };
    refused(&mut world, &to_owner(&given, 8), Status::KEY_IN_USE, "to_owner");
    let old = Fences { revision: Some(Revision(5)), ..Fences::default() };
    let stale = Transfer { fences: old, ..to_owner(&given, 9) };
    refused(&mut world, &stale, Status::STALE, "revision");
    let of_other = Fences { owner: Some(owner(8)), ..Fences::default() };
    let wrong = Transfer { fences: of_other, ..to_owner(&given, 9) };
    refused(&mut world, &wrong, Status::NOT_HOLDER, "owner");
    let nowhere = Transfer { address: ip("10.0.0.6"), ..to_owner(&given, 9) };
    assert_eq!(world.no_transfer(&nowhere).0, Status::NOT_FOUND);
    let none = Transfer { fences: Fences::default(), ..to_owner(&given, 9) };
    refused(&mut world, &none, Status::CONFLICTING_FIELDS, "revision");
    let nothing = Transfer { to_owner: None, ..to_owner(&given, 9) };
    refused(&mut world, &nothing, Status::CONFLICTING_FIELDS, "to_owner");
    // Kept for somebody: only that one can have it.
    let pin = PinCreate {
        address: other.first.address,
        owner: owner(20),
        slot: Slot(0),
        owner_name: None,
    };
    world.done(1, Request::PinCreate(Box::new(pin)));
    refused(&mut world, &to_owner(&other, 9), Status::PINNED, "address");
    assert_eq!(world.transfer(&to_owner(&other, 20)).owner, owner(20));
    // About to be released: nobody knows yet whose it will be.
    let target = Target::Key { owner: owner(7), slot: Slot(0) };
    let held = HoldRelease { target, fences: Fences::default(), token: TOKEN, hold_ms: None };
    world.done(1, Request::HoldRelease(Box::new(held)));
    refused(&mut world, &to_owner(&given, 9), Status::OTHER_TOKEN, "address");
    let hold = world.allocate(allocate_with(30, |extras| extras.hold_token = Some(TOKEN)));
    refused(&mut world, &to_owner(&hold, 31), Status::OTHER_TOKEN, "address");
    world.check();
}

#[test]
fn a_lease_goes_on_with_the_grace_that_it_had() {
    let mut world = small();
    let given = world.allocate(allocate_with(7, |extras| extras.lease_ms = Some(5_000)));
    let at = world.at.tick;
    world.shards[0].grant_restart_grace(Tick(at.0));
    let granted = RESTART_GRACE_MS;
    let now = world.transfer(&to_owner(&given, 8));
    assert_eq!(now.time_left_ms, granted, "who could not renew keeps it, whoever has it now");
    // What is over nobody can hand over.
    (0..granted / 5_000).for_each(|_| {
        world.at.tick.0 += 5_000;
        let World { shards, at, .. } = &mut world;
        shards[0].notice_time(at, Tick(0));
    });
    let late = Transfer {
        fences: Fences { revision: Some(now.revision), ..Fences::default() },
        ..to_owner(&given, 9)
    };
    assert_eq!(world.no_transfer(&late).0, Status::NOT_FOUND);
}

#[test]
fn a_lease_that_is_over_is_no_reason_to_refuse_its_key() {
    let mut world = small();
    world.allocate(allocate_with(8, |extras| extras.lease_ms = Some(1_000)));
    let given = world.allocate(allocate(7));
    world.at.tick.0 += 2_000;
    assert_eq!(world.transfer(&to_owner(&given, 8)).owner, owner(8));
    assert_eq!(world.lookup(8).len(), 1);
    world.check();
}

#[test]
fn it_rests_for_the_new_owner_and_the_old_one_has_no_claim() {
    let resting = SubnetCreate { quarantine_ms: Some(60_000), ..subnet(1, "10.0.0.0/29") };
    let mut world = World::with_subnet(resting);
    let given = world.allocate(allocate(7));
    world.transfer(&to_owner(&given, 8));
    assert_eq!(world.release(release(8)), Status::OK);
    assert_ne!(world.address(7), given.first.address);
    assert_eq!(world.address(8), given.first.address, "its own, back");
    world.check();
}

#[test]
fn a_batch_takes_transfers_back_or_does_them_all() {
    let mut world = small();
    let (a, b) = (world.allocate(allocate(1)), world.allocate(allocate(2)));
    let before = world.snapshot();
    let item = |transfer: Transfer| BatchItem::Transfer(Box::new(transfer));
    let by_owner = |given: &Allocated, from, to| Transfer {
        fences: Fences { owner: Some(owner(from)), ..Fences::default() },
        ..to_owner(given, to)
    };
    // An exchange, by way of a third.
    let exchange =
        vec![item(by_owner(&a, 1, 3)), item(by_owner(&b, 2, 1)), item(by_owner(&a, 3, 2))];
    let mut refused = exchange.clone();
    refused.push(item(by_owner(&a, 2, 1)));
    let batch = |items| Request::Batch(Box::new(Batch { mode: BatchMode::AllOrNothing, items }));
    let failure = world.refused(1, batch(refused));
    assert_eq!((failure.status, failure.item), (Status::KEY_IN_USE, Some(3)));
    assert_eq!(world.snapshot(), before, "nothing is left behind");
    world.done(1, batch(exchange));
    assert_eq!(world.held_by_owner(1).unwrap().address, b.first.address);
    assert_eq!(world.held_by_owner(2).unwrap().address, a.first.address);
    assert_eq!(world.held_by_owner(3), None);
    world.check();
}

#[test]
fn across_projects_both_quotas_count() {
    let mut world = lent();
    let quotas = QuotaSettings { addresses: Setting::Value(1), ..QuotaSettings::default() };
    for project in 1..3 {
        let update = ProjectUpdate { quotas: quotas.clone(), ..ProjectUpdate::default() };
        world.done_as(&of(project, 0), Request::ProjectUpdate(Box::new(update)));
    }
    let given = |world: &mut World, scope: &Scope, number| match world
        .done_as(scope, Request::Allocate(allocate(number)))
    {
        Reply::Allocated(given) => given,
        other => panic!("{other:?}"),
    };
    let one = given(&mut world, &guest(1), 7);
    given(&mut world, &guest(2), 8);
    let to = |given: &Allocated, project: u128| Transfer {
        to_owner: None,
        to_project: Some(of(project, 0).project),
        ..to_owner(given, 7)
    };
    let full = world.refused_as(&guest(1), request(&to(&one, 2)));
    assert_eq!(full.status, Status::QUOTA);
    world.done_as(&guest(2), Request::Release(release(8)));
    let seen = world.transfer_as(&guest(1), &to(&one, 2));
    assert_eq!(
        (seen.address, seen.owner),
        (one.first.address, OwnerId::NIL),
        "it is another's now"
    );
    assert_eq!(seen.project_id, of(2, 0).project);
    // The one has room again, the other has none.
    let again = given(&mut world, &guest(1), 9);
    let full = world.refused_as(&guest(2), Request::Allocate(allocate(10)));
    assert_eq!(full.status, Status::QUOTA);
    // Who had it finds nothing there; its late release is nobody's.
    let late = world.refused_as(&guest(1), request(&to(&one, 2)));
    assert_eq!(late.status, Status::NOT_FOUND);
    let fences = Fences { revision: Some(one.first.revision), ..Fences::default() };
    let late = Release { target: Target::Address(one.first.address), fences, any: false };
    let answer = world.apply_as(&guest(1), &Request::Release(late));
    assert_eq!(answer.unwrap().0, Status::NOT_HELD);
    // To the project of the network, and back to nobody who isn't there.
    let home = world.transfer_as(&guest(1), &to(&again, 0));
    assert_eq!(home.address, again.first.address);
    let nobody = world.refused_as(
        &of(0, 1),
        request(&Transfer {
            fences: Fences { owner: Some(owner(9)), ..Fences::default() },
            ..to(&again, 77)
        }),
    );
    assert_eq!((nobody.status, nobody.field), (Status::NOT_FOUND, Some(text("to_project"))));
    world.check();
}

/// Limits, use, rests and even whether a project is there: nothing of it to who gives.
#[test]
fn a_refusal_tells_nothing_of_the_project_that_is_to_have_it() {
    let mut world = lent();
    let rests = SubnetUpdate { quarantine_ms: Setting::Value(60_000), ..change_of(1) };
    world.done_as(&of(0, 1), Request::SubnetUpdate(Box::new(rests)));
    let given = world.take(&guest(1), allocate(7));
    world.take(&guest(2), allocate(8));
    let to = |project: u128| {
        let to_project = Some(of(project, 0).project);
        request(&Transfer { to_owner: None, to_project, ..to_owner(&given, 7) })
    };
    let limit = |world: &mut World, quotas| {
        let update = ProjectUpdate { quotas, ..ProjectUpdate::default() };
        world.done_as(&of(2, 0), Request::ProjectUpdate(Box::new(update)));
    };
    let tells_nothing = |refused: &Failure, status| {
        assert_eq!((refused.status, refused.field.as_deref()), (status, Some("to_project")));
        assert_eq!(refused.details, [], "{refused:?}");
        let has_digits = refused.message.contains(|one: char| one.is_ascii_digit());
        assert!(!has_digits, "{refused:?}");
    };
    let addresses = Setting::Value(1);
    limit(&mut world, QuotaSettings { addresses, ..QuotaSettings::default() });
    let full = world.refused_as(&guest(1), to(2));
    tells_nothing(&full, Status::QUOTA);
    let (addresses, resting) = (Setting::Null, Setting::Value(0));
    limit(&mut world, QuotaSettings { addresses, resting, ..QuotaSettings::default() });
    world.done_as(&guest(2), Request::Release(release(8)));
    let full = world.refused_as(&guest(1), to(2));
    tells_nothing(&full, Status::RESTING_LIMIT);
    assert_eq!(full.retry_after_ms, 1_000, "not when the next rest ends");
    limit(&mut world, QuotaSettings { resting: Setting::Null, ..QuotaSettings::default() });
    world.take(&guest(2), allocate(7));
    let taken = world.refused_as(&guest(1), to(2));
    assert_eq!((taken.status, taken.details), (Status::KEY_IN_USE, Vec::new()));
    world.check();
}

#[test]
fn a_network_that_is_not_shared_stays_in_its_project() {
    let mut world = World::with_projects();
    world.done_as(&of(0, 1), Request::NetworkCreate(Box::default()));
    world.done_as(&of(0, 1), Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/29"))));
    let given = world.allocate(allocate(7));
    let to = Transfer { to_project: Some(of(1, 0).project), ..to_owner(&given, 7) };
    assert_eq!(world.no_transfer(&to), (Status::NOT_FOUND, Some(text("to_project"))));
    // Whether there is such a project can't be seen from the answer.
    let told = |world: &mut World, project: u128| {
        let to_project = Some(of(project, 0).project);
        let refused = world.refused(1, request(&Transfer { to_project, ..to.clone() }));
        let message = refused.message.replace(&of(project, 0).project.to_string(), "it");
        (refused.status, refused.field, refused.details, message)
    };
    assert_eq!(told(&mut world, 1), told(&mut world, 77));
}

#[test]
fn a_prefix_of_a_pool_changes_hands_within_its_project() {
    let mut world = World::with_projects();
    world.pool(9, PoolCreate { shared: true, ..pool(&["10.0.0.0/16"]) });
    let scope = Scope { network: network_id(9), ..in_pool(1, 9) };
    let ask = Request::Allocate(Allocate { length: Some(24), ..allocate(7) });
    let Reply::Allocated(given) = world.done_as(&scope, ask) else { panic!() };
    let now = world.transfer_as(&scope, &to_owner(&given, 8));
    assert_eq!((now.owner, now.length), (owner(8), 24));
    world.check();
    let fences = Fences { revision: Some(now.revision), ..Fences::default() };
    let away = Transfer { to_project: Some(of(2, 0).project), fences, ..to_owner(&given, 8) };
    let refused = world.refused_as(&scope, request(&away));
    assert_eq!((refused.status, refused.field), (Status::UNSUPPORTED, Some(text("to_project"))));
    let late = world.apply_as(&scope, &Request::Release(release(7)));
    assert_eq!(late.unwrap().0, Status::NOT_HELD);
}

#[test]
fn a_transfer_clears_the_mark_of_a_suspect() {
    let mut world = small();
    let given = world.allocate(allocate_with(7, |extras| {
        extras.manager = Some(text("cni"));
        extras.host = Some(text("n1"));
    }));
    let lists = |call, live| Reconcile {
        manager: text("cni"),
        host: text("n1"),
        call,
        part: 0,
        parts: 1,
        grace_ms: 1_000,
        dry_run: false,
        live,
    };
    let missed = |world: &mut World, call| {
        world.at.tick.0 += 2_000;
        world.done(1, Request::Reconcile(Box::new(lists(call, Vec::<Live>::new()))));
        let World { shards, at, log, .. } = world;
        while shards[0].has_suspects_to_release() {
            shards[0].step_reconcile(at, 8, log);
        }
        world.held_by_owner(8).is_none()
    };
    missed(&mut world, 1);
    world.transfer(&to_owner(&given, 8));
    assert!(!missed(&mut world, 2), "it is missed for the first time");
    assert!(missed(&mut world, 3), "and twice since");
}

/// What whoever had it may send late, or twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Transfer,
    ReleaseByKey,
    ReleaseByAddress,
    Renew,
}

fn started_anew(world: &World) -> World {
    let mut again = World::new(1);
    for effect in &world.log.effects {
        again.catalogue.absorb(effect).unwrap();
        again.shards[0].absorb(effect).unwrap();
        again.log.push(effect);
    }
    again.at = world.at;
    again
}

fn run(order: &[Message], restart_before: usize) {
    let mut world = small();
    let given = world.allocate(allocate_with(7, |extras| extras.lease_ms = Some(3_600_000)));
    let fences = || Fences { revision: Some(given.first.revision), ..Fences::default() };
    let release = |target| Request::Release(Release { target, fences: fences(), any: false });
    let key = Target::Key { owner: owner(7), slot: Slot(0) };
    let address = Target::Address(given.first.address);
    let mut held: Option<Revision> = None;
    let mut is_gone = false;
    for (number, message) in order.iter().enumerate() {
        if number == restart_before {
            world = started_anew(&world);
        }
        let request = match message {
            Message::Transfer => request(&to_owner(&given, 8)),
            Message::ReleaseByKey => release(key),
            Message::ReleaseByAddress => release(address),
            Message::Renew => {
                let lease_ms = 1_000;
                Request::Renew(Renew { target: address, fences: fences(), lease_ms })
            }
        };
        match (message, world.apply(1, &request)) {
            (Message::Transfer, Ok((_, Reply::Allocation(now)))) => {
                assert!(!is_gone, "{order:?}: what is released is nobody's to hand over");
                assert_eq!(*held.get_or_insert(now.revision), now.revision, "{order:?}");
            }
            (Message::Transfer, Err(refused)) => {
                assert!(is_gone, "{order:?}: {refused:?}");
                assert_eq!(refused.status, Status::NOT_FOUND);
            }
            (_, Ok((Status::OK, _))) => {
                assert!(held.is_none(), "{order:?}: it is the new owner's");
                is_gone |= *message != Message::Renew;
            }
            (_, Ok((status, _))) => assert_eq!(status, Status::NOT_HELD, "{order:?}"),
            (_, Err(refused)) => {
                let fences = [Status::STALE, Status::EXPIRED];
                assert!(fences.contains(&refused.status), "{order:?}: {refused:?}");
            }
        }
    }
    let now = world.held_by_owner(8);
    assert_eq!(now.as_ref().map(|now| now.revision), held, "{order:?}");
    if let Some(now) = now {
        assert_eq!(now.address, given.first.address);
    }
    world.check();
}

/// Two copies of a transfer, and late messages of whoever had it before.
#[test]
fn in_every_order_the_new_owner_keeps_its_address() {
    let mut all = Vec::new();
    use Message::{ReleaseByAddress, ReleaseByKey, Renew, Transfer};
    let mut left = vec![Transfer, Transfer, ReleaseByKey, ReleaseByAddress, Renew, Renew];
    orders(&mut left, &mut Vec::new(), &mut all);
    assert_eq!(all.len(), 180, "6! / (2! 2!)");
    for order in &all {
        for restart_before in 0..=order.len() {
            run(order, restart_before);
        }
    }
}
