//! Leases of prefixes straight from pools: when they end, who may renew them, what comes across them.

use super::catalogue::{exactly, in_pool, pool};
use super::host_leases::update as unchanged;
use super::*;
use crate::limits::CLOCK_GAP_MS_MAX;
use addrd_protocol::Setting;
use addrd_protocol::message::batch::BatchItem;
use addrd_protocol::message::{
    Allocation, AllocationGet, AllocationUpdate, Batch, BatchMode, BatchResult, PoolCreate, Renew,
    RenewOwner, Renewed, RenewedOwner, Transaction, TransactionItem,
};

const LEASE_MS: u64 = 10_000;

/// A pool of four /26, each of them handed out by itself.
fn world() -> World {
    let mut world = World::new(1);
    let create = pool(&["10.0.0.0/24"]);
    world.pool(1, PoolCreate { default_length: Some(26), max_length: Some(26), ..create });
    world
}

fn leased(number: u128) -> Allocate {
    allocate_with(number, |extras| extras.lease_ms = Some(LEASE_MS))
}

fn renewal(number: u128) -> Renew {
    Renew { target: release(number).target, fences: Fences::default(), lease_ms: LEASE_MS }
}

impl World {
    fn ask_pool(&mut self, request: Request) -> Reply {
        self.done_as(&in_pool(0, 1), request)
    }

    fn prefix_for(&mut self, request: Allocate) -> String {
        match self.ask_pool(Request::Allocate(request)) {
            Reply::Allocated(got) => format!("{}/{}", got.first.address, got.first.length),
            other => panic!("{other:?}"),
        }
    }

    fn renewed(&mut self, number: u128) -> Renewed {
        match self.ask_pool(Request::Renew(renewal(number))) {
            Reply::Renewed(renewed) => renewed,
            other => panic!("{other:?}"),
        }
    }

    fn end_prefixes(&mut self) -> usize {
        let before = self.log.effects.len();
        let Self { catalogue, at, log, .. } = self;
        while catalogue.step_expiry(at, 2, log) {}
        self.log.effects.len() - before
    }

    fn prefix_shown(&mut self, number: u128) -> Option<Allocation> {
        let get = AllocationGet { target: release(number).target };
        match self.apply_as(&in_pool(0, 1), &Request::AllocationGet(Box::new(get))) {
            Ok((_, Reply::Allocation(allocation))) => Some(*allocation),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => {
                assert_eq!(refused.status, Status::NOT_FOUND);
                None
            }
        }
    }

    fn free_in_pool(&mut self) -> u128 {
        let found = self.pool_get(1);
        found.size - found.used
    }
}

#[test]
fn a_prefix_goes_on_while_it_is_renewed_and_is_free_once_its_end_is_written() {
    let mut world = world();
    assert_eq!(world.prefix_for(leased(1)), "10.0.0.0/26");
    assert_eq!(world.prefix_for(leased(2)), "10.0.0.64/26");
    assert_eq!(world.prefix_for(allocate(3)), "10.0.0.128/26");
    world.wait(LEASE_MS - 1);
    assert_eq!(world.end_prefixes(), 0, "all of it is still to go");
    assert_eq!(world.renewed(1).time_left_ms, LEASE_MS);
    assert_eq!(world.renewed(3).time_left_ms, 0, "it has none");
    world.wait(1);
    // What is over is shown to nobody, and is not free before that is written.
    assert!(world.prefix_shown(2).is_none());
    let refused = world.refused_as(&in_pool(0, 1), Request::Renew(renewal(2)));
    assert_eq!(refused.status, Status::EXPIRED);
    assert_eq!(world.free_in_pool(), 64);
    assert_eq!(world.end_prefixes(), 1);
    assert_eq!(world.free_in_pool(), 128);
    assert_eq!(world.prefix_shown(1).unwrap().time_left_ms, LEASE_MS - 1);
    assert_eq!(world.catalogue.leases(), 1);
    assert_eq!(world.catalogue.next_expiry(), Some(Tick(world.at.tick.0 + LEASE_MS - 1)));
    world.check();
}

#[test]
fn a_request_ends_what_it_comes_across_and_is_over() {
    let mut world = world();
    for number in 1..=4 {
        world.prefix_for(leased(number));
    }
    world.wait(LEASE_MS);
    // The same key begins anew; others get what they name; a release finds nothing.
    let Reply::Allocated(again) = world.ask_pool(Request::Allocate(leased(1))) else { panic!() };
    assert!(!again.first.repeated);
    let taken = exactly(9, "10.0.0.64/26");
    assert_eq!(world.prefix_for(taken), "10.0.0.64/26");
    let released = world.apply_as(&in_pool(0, 1), &Request::Release(release(3)));
    assert_eq!(released.unwrap().0, Status::NOT_HELD);
    assert_eq!(world.end_prefixes(), 1, "that of owner 4 is left");
    assert_eq!(world.free_in_pool(), 128);
    world.check();
}

#[test]
fn whoever_could_not_renew_keeps_the_prefix() {
    let mut world = world();
    world.catalogue.set_restart_grace(60_000);
    world.prefix_for(leased(1));
    // A standstill: nobody could renew.
    world.at.tick.0 += LEASE_MS + CLOCK_GAP_MS_MAX + 1;
    world.catalogue.notice_time(&world.at, Tick(0));
    assert_eq!(world.end_prefixes(), 0);
    assert_eq!(world.renewed(1).time_left_ms, LEASE_MS);
    world.wait(LEASE_MS);
    assert_eq!(world.end_prefixes(), 1, "what was renewed since ends when it says");
    // The clock is in doubt.
    world.prefix_for(leased(1));
    world.catalogue.stop_expiry(true);
    world.wait(2 * LEASE_MS);
    assert_eq!((world.end_prefixes(), world.prefix_shown(1).unwrap().time_left_ms), (0, 1));
    world.catalogue.stop_expiry(false);
    assert_eq!(world.end_prefixes(), 1);
    world.check();
}

#[test]
fn an_update_gives_a_lease_and_takes_it_and_an_owner_renews_all() {
    let mut world = world();
    let update = |lease_ms| {
        Request::AllocationUpdate(Box::new(AllocationUpdate { lease_ms, ..unchanged(1) }))
    };
    world.prefix_for(allocate(1));
    world.ask_pool(update(Setting::Value(LEASE_MS)));
    assert_eq!(world.prefix_shown(1).unwrap().time_left_ms, LEASE_MS);
    world.prefix_for(Allocate { slot: Slot(1), ..leased(1) });
    world.prefix_for(Allocate { slot: Slot(2), ..allocate(1) });
    world.wait(1_000);
    let all = RenewOwner { owner: owner(1), instance: None, lease_ms: LEASE_MS };
    let Reply::RenewedOwner(counts) = world.ask_pool(Request::RenewOwner(all)) else { panic!() };
    assert_eq!(counts, RenewedOwner { renewed: 2, endless: 1, ..RenewedOwner::default() });
    world.ask_pool(update(Setting::Null));
    world.wait(LEASE_MS);
    assert_eq!(world.end_prefixes(), 1, "that of slot 1");
    assert_eq!(world.prefix_shown(1).unwrap().time_left_ms, 0);
    let refused = world.refused_as(&in_pool(0, 1), update(Setting::Value(1)));
    assert_eq!(refused.status, Status::OUT_OF_RANGE);
    world.check();
}

#[test]
fn what_a_refused_batch_ended_or_renewed_is_as_it_was() {
    let mut world = world();
    world.prefix_for(leased(1));
    world.prefix_for(leased(2));
    world.wait(LEASE_MS / 2);
    world.renewed(2);
    world.wait(LEASE_MS / 2);
    let before = (world.log.effects.len(), world.catalogue.snapshot());
    // The lease of 1 is over: its key begins anew; then a renewal of nothing refuses the whole.
    let items = vec![
        BatchItem::Renew(renewal(2)),
        BatchItem::Allocate(leased(1)),
        BatchItem::Renew(renewal(8)),
    ];
    let batch = Batch { mode: BatchMode::AllOrNothing, items: items.clone() };
    let refused = world.refused_as(&in_pool(0, 1), Request::Batch(Box::new(batch)));
    assert_eq!((refused.status, refused.item), (Status::EXPIRED, Some(2)));
    let in_transaction = |operation: &BatchItem| TransactionItem {
        network: network_id(1),
        pool: true,
        network_project: None,
        operation: operation.clone(),
    };
    let all = Transaction { items: items.iter().map(in_transaction).collect() };
    let refused = world.refused_as(&in_pool(0, 0), Request::Transaction(Box::new(all)));
    assert_eq!((refused.status, refused.item), (Status::EXPIRED, Some(2)));
    assert_eq!((world.log.effects.len(), world.catalogue.snapshot()), before);
    assert_eq!(world.free_in_pool(), 128);
    world.check();
    // One by one the others are done.
    let batch = Batch { mode: BatchMode::Independent, items };
    let Reply::Batch(reply) = world.ask_pool(Request::Batch(Box::new(batch))) else { panic!() };
    let [BatchResult::Renewed(_), BatchResult::Allocated(got), BatchResult::Failed(_)] =
        &reply.results[..]
    else {
        panic!("{reply:?}")
    };
    assert!(!got.first.repeated);
    world.check();
}

#[test]
fn in_adoption_mode_nothing_ends() {
    use addrd_protocol::message::{AdoptAction, ServerAdopt};
    let mut world = world();
    world.prefix_for(leased(1));
    let adopt = |action| Request::ServerAdopt(ServerAdopt { action });
    world.done_as(&in_pool(0, 0), adopt(AdoptAction::Begin));
    world.wait(LEASE_MS);
    assert_eq!(world.end_prefixes(), 0);
    world.renewed(1);
    world.done_as(&in_pool(0, 0), adopt(AdoptAction::End));
    world.wait(LEASE_MS);
    assert_eq!(world.end_prefixes(), 1);
    world.check();
}
