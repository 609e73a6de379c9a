//! Random operations on the shard and on a naive server side by side: every answer, every counter
//! and the whole state must agree.
//!
//! `ADDRD_PROPTEST_CASES` sets the number of cases (default 1,000). A failing case prints its
//! steps, and `run` plays them again.

use super::dice::{Dice, net_of};
use super::naive::{Expected, Given, Held, Naive, No, Over};
use super::*;
use crate::limits::{CLOCK_GAP_MS_MAX, RESTART_GRACE_MS};
use crate::model::Revision;
use addrd_protocol::message::{
    Allocation, AllocationGet, AllocationState, Batch, BatchItem, BatchMode, BatchResult, Failure,
    Renew, Renewed,
};
use proptest::prelude::*;

pub(super) struct Machine {
    pub(super) world: World,
    pub(super) naive: Naive,
}

impl Machine {
    pub(super) fn new(shards: usize) -> Self {
        let world = World::new(shards);
        let (now, first_revision) = (world.at.tick.0, world.at.tick.first_revision());
        let naive = Naive { first_revision, now, ..Naive::default() };
        Self { world, naive }
    }

    pub(super) fn step(&mut self, seed: u64) {
        let mut dice = Dice(seed);
        let network = dice.network();
        if self.net(network).is_none() && !dice.once_in(4) {
            return self.network_create(network, &mut dice);
        }
        match dice.roll(100) {
            0..3 => self.network_create(network, &mut dice),
            3..6 => self.network_update(network, &mut dice),
            6 => self.network_delete(network, &mut dice),
            7..10 => self.exclusions(network, &mut dice),
            10..22 => self.subnet_create(network, &mut dice),
            22..26 => self.subnet_update(network, &mut dice),
            26..28 => self.subnet_delete(network, &mut dice),
            28..34 => self.exclusions(network, &mut dice),
            34..64 => self.allocate(network, &mut dice),
            64..78 => self.release(network, &mut dice),
            78..80 => self.update(network, &mut dice),
            80..82 => self.hold_end(network, &mut dice),
            82..90 => self.batch(network, &mut dice),
            90..93 => self.work(&mut dice),
            93..95 => self.time(&mut dice),
            95 => match dice.once_in(2) {
                true => self.renew(network, &mut dice),
                false => self.transfer(network, &mut dice),
            },
            96 => self.hold_end(network, &mut dice),
            _ => super::reads::compare(&mut self.world, &self.naive, &mut dice),
        }
    }

    /// Checks invariants and replay, and that both servers hold the same.
    pub(super) fn check(&mut self) {
        self.world.check();
        super::reads::compare_all(&mut self.world, &self.naive);
    }

    fn net(&self, network: u128) -> Option<&super::naive::Net> {
        net_of(&self.naive, network)
    }

    fn network_create(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.network_create();
        let verdict = self.naive.network_create(network_id(network), &request);
        let answer = self.world.apply(network, &Request::NetworkCreate(Box::new(request)));
        let reply = agree(&answer, &verdict);
        if let (Some(Reply::Network(reply)), Ok(repeated)) = (reply, verdict) {
            assert_eq!(reply.repeated, repeated);
        }
    }

    fn network_update(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.network_update(self.net(network));
        let verdict = self.naive.network_update(network_id(network), &request);
        let answer = self.world.apply(network, &Request::NetworkUpdate(Box::new(request)));
        if let (Some(Reply::Network(reply)), Ok(repeated)) = (agree(&answer, &verdict), verdict) {
            assert_eq!(reply.repeated, repeated);
        }
    }

    fn network_delete(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.network_delete(self.net(network));
        let verdict = self.naive.network_delete(network_id(network), &request);
        let answer = self.world.apply(network, &Request::NetworkDelete(request));
        agree(&answer, &verdict);
    }

    fn subnet_create(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.subnet_create();
        let verdict = self.naive.subnet_create(network_id(network), &request);
        let answer = self.world.apply(network, &Request::SubnetCreate(Box::new(request)));
        if let (Some(Reply::Subnet(reply)), Ok(repeated)) = (agree(&answer, &verdict), verdict) {
            assert_eq!(reply.repeated, repeated);
        }
    }

    fn subnet_update(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.subnet_update(self.net(network));
        let verdict = self.naive.subnet_update(network_id(network), &request);
        let answer = self.world.apply(network, &Request::SubnetUpdate(Box::new(request)));
        if let (Some(Reply::Subnet(reply)), Ok(repeated)) = (agree(&answer, &verdict), verdict) {
            assert_eq!(reply.repeated, repeated);
        }
    }

    fn subnet_delete(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.subnet_delete(self.net(network));
        let verdict = self.naive.subnet_delete(network_id(network), &request);
        let answer = self.world.apply(network, &Request::SubnetDelete(request));
        agree(&answer, &verdict);
    }

    fn exclusions(&mut self, network: u128, dice: &mut Dice) {
        if dice.once_in(3) {
            let request = dice.subnet_include(self.net(network));
            let verdict = self.naive.subnet_include(network_id(network), &request);
            let answer = self.world.apply(network, &Request::SubnetInclude(Box::new(request)));
            agree(&answer, &verdict);
            return;
        }
        let request = dice.subnet_exclude(self.net(network));
        let verdict = self.naive.subnet_exclude(network_id(network), &request);
        let answer = self.world.apply(network, &Request::SubnetExclude(Box::new(request)));
        if let (Some(Reply::Subnet(reply)), Ok(inside)) = (agree(&answer, &verdict), verdict) {
            assert_eq!(reply.live_inside, inside);
        }
    }

    fn allocate(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.allocate(self.net(network));
        let verdict = self.naive.allocate(network_id(network), &request);
        let answer = self.world.apply(network, &Request::Allocate(request.clone()));
        if let (Some(Reply::Allocated(reply)), Ok(expected)) = (agree(&answer, &verdict), verdict) {
            self.given(network, &request, expected, reply);
        }
    }

    /// Compares what was given, and carries it out on the naive side.
    fn given(
        &mut self,
        network: u128,
        request: &Allocate,
        mut expected: Expected,
        reply: &Allocated,
    ) {
        let addresses = [Some(reply.first), reply.second];
        let real: Vec<_> = addresses.into_iter().flatten().collect();
        assert_eq!(real.len(), expected.len(), "{reply:?}");
        let settings = reply.settings.is_some();
        assert_eq!(settings, request.flags.want_subnet);
        for ((_, given), real) in expected.iter_mut().zip(&real) {
            let number = addrd_protocol::prefix::number_of(&real.address);
            if let Given::New { subnet, first, over: Over::Longest, .. } = given {
                // Of those whose rests end at once any may be taken.
                let net = self.net(network).unwrap();
                let end = |first| {
                    let mut all = net.resting_in(*subnet);
                    all.find(|rest| rest.first == first).map(|rest| (rest.end, rest.last - first))
                };
                assert_eq!(end(number), end(*first));
                *first = number;
            }
            if let Given::New { subnet, first, bits, random: true, .. } = given {
                self.assert_lawful(network, request, *subnet, number, *bits);
                *first = number;
            }
        }
        let held = self.naive.carry_out(network_id(network), request, &expected);
        for (((slot, given), held), real) in expected.iter().zip(held).zip(real) {
            assert_eq!((real.address, real.length), (held.address(), held.length), "{given:?}");
            assert_eq!((real.subnet_id, real.slot), (held.subnet, *slot));
            assert_eq!(real.revision, held.revision());
            assert_eq!(real.repeated, matches!(given, Given::Repeat(_)));
            assert_eq!(real.state == AllocationState::Held, held.token.is_some());
            assert_eq!(real.time_left_ms, held.end.map_or(0, |end| end - self.naive.now));
            assert_eq!(real.taken_over, matches!(given, Given::TakeOver(_)));
            let rested = matches!(given, Given::New { over: Over::Rest | Over::Longest, .. });
            assert_eq!(real.from_quarantine, rested);
            let preferred = request.extras.as_ref().and_then(|extras| extras.preferred);
            assert_eq!(real.was_preferred, preferred == Some(real.address));
        }
    }

    /// A random choice lies in the pools, outside exclusions, inside the limit, and is free.
    fn assert_lawful(
        &self,
        network: u128,
        request: &Allocate,
        subnet: SubnetId,
        first: u128,
        bits: u8,
    ) {
        let net = self.net(network).unwrap();
        let sub = net.sub(subnet).unwrap();
        let limit = request.extras.as_ref().and_then(|extras| extras.limit);
        let limit = limit.filter(|limit| limit.family() == sub.prefix.family());
        let last = super::naive::end_of(first, bits);
        let inside = sub.pieces(limit.as_ref()).iter().any(|&(a, b)| a <= first && last <= b);
        assert!(inside, "{first:#x} is in no piece");
        assert_eq!(net.obstacle(sub.prefix.family(), first, last), None);
    }

    fn release(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.release(self.net(network));
        let verdict = self.naive.release(network_id(network), &request);
        match (self.world.apply(network, &Request::Release(request.clone())), verdict) {
            (Ok((Status::NOT_HELD, Reply::Empty)), Ok(None)) => {}
            (Ok((Status::OK, Reply::Released(real))), Ok(Some((held, revision)))) => {
                assert_eq!((real.address, real.length), (held.address(), held.length));
                assert_eq!((real.subnet_id, real.revision), (held.subnet, Revision(revision)));
                let net = self.net(network).unwrap();
                let rests =
                    net.resting.iter().any(|r| (r.family, r.first) == (held.family, held.first));
                let state =
                    if rests { AllocationState::Quarantined } else { AllocationState::Free };
                assert_eq!(real.state, state);
            }
            (Err(refused), Err(no)) => assert_refused(&refused, no),
            (answer, verdict) => panic!("{request:?}: {answer:?}, not {verdict:?}"),
        }
    }

    fn update(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.update(self.net(network));
        let verdict = self.naive.update(network_id(network), &request);
        let answer = self.world.apply(network, &Request::AllocationUpdate(Box::new(request)));
        if let (Some(Reply::Allocation(real)), Ok((held, repeated))) =
            (agree(&answer, &verdict), verdict)
        {
            assert_same(real, &held);
            assert_eq!(real.repeated, repeated);
        }
    }

    fn renew(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.renew(self.net(network));
        let verdict = self.naive.renew(network_id(network), &request);
        let answer = self.world.apply(network, &Request::Renew(request));
        if let (Some(Reply::Renewed(real)), Ok(held)) = (agree(&answer, &verdict), verdict) {
            self.assert_renewed(real, &held);
        }
    }

    fn assert_renewed(&self, real: &Renewed, held: &Held) {
        assert_eq!((real.address, real.length), (held.address(), held.length));
        let left = held.end.map_or(0, |end| end - self.naive.now);
        assert_eq!((real.revision, real.time_left_ms), (held.revision(), left));
    }

    fn transfer(&mut self, network: u128, dice: &mut Dice) {
        let request = dice.transfer(self.net(network));
        let verdict = self.naive.transfer(network_id(network), &request);
        let answer = self.world.apply(network, &Request::Transfer(Box::new(request)));
        if let (Some(Reply::Allocation(real)), Ok((held, repeated))) =
            (agree(&answer, &verdict), verdict)
        {
            assert_same(real, &held);
            assert_eq!(real.repeated, repeated);
        }
    }

    fn hold_end(&mut self, network: u128, dice: &mut Dice) {
        let item = match dice.roll(3) {
            0 => BatchItem::HoldConfirm(dice.hold_end(self.net(network))),
            1 => BatchItem::HoldCancel(dice.hold_end(self.net(network))),
            _ => BatchItem::HoldRelease(Box::new(dice.hold_release(self.net(network)))),
        };
        let request = match &item {
            BatchItem::HoldConfirm(end) => Request::HoldConfirm(*end),
            BatchItem::HoldCancel(end) => Request::HoldCancel(*end),
            BatchItem::HoldRelease(release) => Request::HoldRelease(release.clone()),
            other => unreachable!("made above: {other:?}"),
        };
        let result = match self.world.apply(network, &request) {
            Ok((Status::OK, Reply::HoldEnded(ended))) => BatchResult::HoldEnded(ended),
            Ok((Status::NOT_HELD, Reply::Empty)) => BatchResult::NotHeld,
            Err(refused) => BatchResult::Failed(refused),
            other => panic!("{other:?}"),
        };
        self.batch_item(network, &item, &result);
    }

    /// Time passes, at times over a restart, and at times so long that what ran out is free again.
    fn time(&mut self, dice: &mut Dice) {
        self.wait(dice.roll(CLOCK_GAP_MS_MAX));
        if dice.once_in(16) {
            (0..120).for_each(|_| self.wait(CLOCK_GAP_MS_MAX));
        }
        if dice.once_in(4) && self.world.shards.len() == 1 {
            self.restart();
        }
    }

    /// Time passes. What is over can't be seen or renewed even before an effect says so; then all of it
    /// is ended.
    pub(super) fn wait(&mut self, ms: u64) {
        let over = self.naive.wait(ms);
        self.world.at.tick.0 += ms;
        for (network, held) in &over {
            let target = Target::Key { owner: held.owner, slot: held.slot };
            let renew = Renew { target, fences: Fences::default(), lease_ms: 5_000 };
            let get = AllocationGet { target };
            let network = network.0.as_u128();
            let refused = self.world.refused(network, Request::Renew(renew));
            assert_eq!(refused.status, Status::EXPIRED);
            let refused = self.world.refused(network, Request::AllocationGet(Box::new(get)));
            assert_eq!(refused.status, Status::NOT_FOUND);
        }
        let World { shards, at, log, .. } = &mut self.world;
        let before = log.effects.len();
        shards.iter_mut().for_each(|shard| while shard.step_expiry(at, 3, log) {});
        assert_eq!(log.effects.len() - before, over.len());
        let before = log.effects.len();
        shards.iter_mut().for_each(|shard| while shard.step_rests(at, 3, log) {});
        assert_eq!(log.effects.len() - before, self.naive.end_rests());
    }

    /// The memory is lost and comes back from all effects.
    fn restart(&mut self) {
        let mut again = Shard::new(ShardSettings { seed: 6, records_max: 1 << 20 });
        self.world.log.effects.iter().for_each(|effect| again.absorb(effect).unwrap());
        again.grant_grace(Tick(self.world.at.tick.0 + RESTART_GRACE_MS));
        self.naive.restart(RESTART_GRACE_MS);
        self.world.shards = vec![again];
    }

    fn batch(&mut self, network: u128, dice: &mut Dice) {
        let items: Vec<BatchItem> = (0..dice.roll(6))
            .map(|_| match dice.roll(13) {
                12 => BatchItem::Transfer(Box::new(dice.transfer(self.net(network)))),
                10 => BatchItem::HoldRelease(Box::new(dice.hold_release(self.net(network)))),
                0..5 => BatchItem::Allocate(dice.allocate(self.net(network))),
                5..7 => BatchItem::Release(dice.release(self.net(network))),
                8 => BatchItem::HoldConfirm(dice.hold_end(self.net(network))),
                9 => BatchItem::HoldCancel(dice.hold_end(self.net(network))),
                7 => BatchItem::Update(Box::new(dice.update(self.net(network)))),
                _ => BatchItem::Renew(dice.renew(self.net(network))),
            })
            .collect();
        let mode = dice.one_of(&[BatchMode::Independent, BatchMode::AllOrNothing]);
        let batch = Batch { mode, items };
        let before = self.naive.clone();
        let effects = self.world.log.effects.len();
        let request = Request::Batch(Box::new(batch.clone()));
        match self.world.apply(network, &request) {
            Ok((_, Reply::Batch(reply))) => {
                assert_eq!(reply.results.len(), batch.items.len());
                for (item, result) in batch.items.iter().zip(&reply.results) {
                    let failed = matches!(result, BatchResult::Failed(_));
                    assert!(!(failed && mode == BatchMode::AllOrNothing));
                    self.batch_item(network, item, result);
                }
            }
            Ok(other) => panic!("{other:?}"),
            Err(refused) => {
                assert_eq!(self.world.log.effects.len(), effects, "nothing is left behind");
                self.refused_batch(network, &batch, &refused);
                self.naive = before;
            }
        }
    }

    /// An all-or-nothing batch is refused because of the item that it names, and of no other.
    fn refused_batch(&mut self, network: u128, batch: &Batch, refused: &Failure) {
        if batch.items.is_empty() || self.net(network).is_none() {
            let status =
                if self.net(network).is_none() { Status::NOT_FOUND } else { Status::OUT_OF_RANGE };
            assert_eq!(refused.status, status);
            return;
        }
        assert_eq!(batch.mode, BatchMode::AllOrNothing, "{refused:?}");
        let at = usize::from(refused.item.expect("it names the item"));
        let result = BatchResult::Failed(Box::new(refused.clone()));
        for item in &batch.items[..at] {
            if self.accept(network, item).is_none() {
                return;
            }
        }
        self.batch_item(network, &batch.items[at], &result);
    }

    /// An item before the refused one: it would have been done. `None` where chance chose, since
    /// what it chose is not told.
    fn accept(&mut self, network: u128, item: &BatchItem) -> Option<()> {
        let id = network_id(network);
        match item {
            BatchItem::Allocate(request) => {
                let expected = self.naive.allocate(id, request).expect("would have been done");
                let by_chance = |given: &Given| {
                    let over = matches!(given, Given::New { over: Over::Longest, .. });
                    over || matches!(given, Given::New { random: true, .. })
                };
                if expected.iter().any(|(_, given)| by_chance(given)) {
                    return None;
                }
                self.naive.carry_out(id, request, &expected);
            }
            BatchItem::Release(request) => _ = self.naive.release(id, request).unwrap(),
            BatchItem::Update(request) => _ = self.naive.update(id, request).unwrap(),
            BatchItem::Renew(request) => _ = self.naive.renew(id, request).unwrap(),
            BatchItem::Transfer(request) => _ = self.naive.transfer(id, request).unwrap(),
            BatchItem::HoldConfirm(end) if end.release => {
                _ = self.naive.confirm_release(id, end).unwrap();
            }
            BatchItem::HoldCancel(end) if end.release => {
                _ = self.naive.cancel_release(id, end).unwrap();
            }
            BatchItem::HoldRelease(release) => {
                _ = self.naive.hold_release(id, release).unwrap();
            }
            BatchItem::HoldConfirm(end) => _ = self.naive.hold_confirm(id, end).unwrap(),
            BatchItem::HoldCancel(end) => _ = self.naive.hold_cancel(id, end).unwrap(),
            BatchItem::PortCreate(_) | BatchItem::PortUpdate(_) | BatchItem::PortDelete(_) => {
                unreachable!("ports have a model of their own")
            }
        }
        Some(())
    }

    fn batch_item(&mut self, network: u128, item: &BatchItem, result: &BatchResult) {
        let id = network_id(network);
        match (item, result) {
            (BatchItem::Allocate(request), BatchResult::Allocated(real)) => {
                let expected = self.naive.allocate(id, request).expect("refused on the naive side");
                self.given(network, request, expected, real);
            }
            (BatchItem::Allocate(request), BatchResult::Failed(refused)) => {
                assert_refused(refused, self.naive.allocate(id, request).expect_err("was refused"));
            }
            (BatchItem::Release(request), result) => {
                match (self.naive.release(id, request), result) {
                    (Ok(None), BatchResult::NotHeld) => {}
                    (Ok(Some((held, _))), BatchResult::Released(real)) => {
                        assert_eq!(real.address, held.address());
                    }
                    (Err(no), BatchResult::Failed(refused)) => assert_refused(refused, no),
                    other => panic!("{other:?}"),
                }
            }
            (BatchItem::Renew(request), result) => match (self.naive.renew(id, request), result) {
                (Ok(held), BatchResult::Renewed(real)) => self.assert_renewed(real, &held),
                (Err(no), BatchResult::Failed(refused)) => assert_refused(refused, no),
                other => panic!("{other:?}"),
            },
            (BatchItem::HoldRelease(_), result) => self.release_item(network, item, result),
            (BatchItem::HoldConfirm(end) | BatchItem::HoldCancel(end), result) if end.release => {
                self.release_item(network, item, result);
            }
            (BatchItem::HoldConfirm(end), result) => {
                match (self.naive.hold_confirm(id, end), result) {
                    (Ok((held, repeated, late)), BatchResult::HoldEnded(real)) => {
                        assert_eq!((real.address, real.length), (held.address(), held.length));
                        assert_eq!((real.revision, real.repeated), (held.revision(), repeated));
                        assert_eq!((real.state, real.late), (AllocationState::Allocated, late));
                    }
                    (Err(no), BatchResult::Failed(refused)) => assert_refused(refused, no),
                    other => panic!("{other:?}"),
                }
            }
            (BatchItem::HoldCancel(end), result) => {
                match (self.naive.hold_cancel(id, end), result) {
                    (Ok(Some((held, late))), BatchResult::HoldEnded(real)) => {
                        assert_eq!(
                            (real.address, real.revision),
                            (held.address(), held.revision())
                        );
                        let state = self.state_at(network, &held);
                        assert_eq!((real.state, real.late), (state, late));
                    }
                    (Ok(None), BatchResult::NotHeld) => {}
                    (Err(no), BatchResult::Failed(refused)) => assert_refused(refused, no),
                    other => panic!("{other:?}"),
                }
            }
            (BatchItem::Transfer(request), result) => {
                match (self.naive.transfer(id, request), result) {
                    (Ok((held, _)), BatchResult::Updated(real)) => assert_same(real, &held),
                    (Err(no), BatchResult::Failed(refused)) => assert_refused(refused, no),
                    other => panic!("{other:?}"),
                }
            }
            (BatchItem::Update(request), result) => {
                match (self.naive.update(id, request), result) {
                    (Ok((held, _)), BatchResult::Updated(real)) => assert_same(real, &held),
                    (Err(no), BatchResult::Failed(refused)) => assert_refused(refused, no),
                    other => panic!("{other:?}"),
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// What is left where something was held.
    fn state_at(&self, network: u128, held: &Held) -> AllocationState {
        let net = self.net(network).unwrap();
        let mut rests = net.resting.iter();
        match rests.any(|rest| (rest.family, rest.first) == (held.family, held.first)) {
            true => AllocationState::Quarantined,
            false => AllocationState::Free,
        }
    }

    /// An item about a release that is held.
    fn release_item(&mut self, network: u128, item: &BatchItem, result: &BatchResult) {
        let id = network_id(network);
        let verdict = match item {
            BatchItem::HoldConfirm(end) => self.naive.confirm_release(id, end).map(|held| {
                let held = held?;
                let state = self.state_at(network, &held);
                Some((held, false, state))
            }),
            BatchItem::HoldCancel(end) => {
                let kept = self.naive.cancel_release(id, end);
                kept.map(|(held, repeated)| Some((held, repeated, AllocationState::Allocated)))
            }
            BatchItem::HoldRelease(release) => self.naive.hold_release(id, release).map(|held| {
                let (held, repeated, is_gone) = held?;
                let state = match is_gone {
                    true => self.state_at(network, &held),
                    false => AllocationState::Allocated,
                };
                Some((held, repeated, state))
            }),
            other => unreachable!("{other:?}"),
        };
        match (verdict, result) {
            (Ok(Some((held, repeated, state))), BatchResult::HoldEnded(real)) => {
                assert_eq!((real.address, real.revision), (held.address(), held.revision()));
                assert_eq!((real.repeated, real.state, real.late), (repeated, state, false));
            }
            (Ok(None), BatchResult::NotHeld) => {}
            (Err(no), BatchResult::Failed(refused)) => assert_refused(refused, no),
            other => panic!("{item:?}: {other:?}"),
        }
    }

    fn work(&mut self, dice: &mut Dice) {
        self.world.work(1 + dice.roll(3) as usize);
        self.naive.work_jobs();
        // Slices of jobs are records too, and their number is the server's own business.
        for net in &mut self.naive.networks {
            let find = |shard: &Shard| {
                let at = shard.find_network(ProjectId::DEFAULT, net.id)?;
                Some(shard.networks.at(at).revision.0)
            };
            let real = self.world.shards.iter().find_map(find).expect("both have it");
            assert!(real >= net.counter);
            net.counter = real;
        }
    }
}

/// Both refuse alike, or both do it: then the reply.
fn agree<'a, T: std::fmt::Debug>(answer: &'a Answer, verdict: &Result<T, No>) -> Option<&'a Reply> {
    match (answer, verdict) {
        (Ok((_, reply)), Ok(_)) => Some(reply),
        (Err(refused), Err(no)) => {
            assert_refused(refused, *no);
            None
        }
        (answer, verdict) => panic!("{answer:?}, not {verdict:?}"),
    }
}

fn assert_refused(refused: &Failure, (status, field): No) {
    assert_eq!(refused.status, status, "{refused:?}");
    if let Some(field) = field {
        assert_eq!(refused.field.as_deref(), Some(field), "{refused:?}");
    }
    assert!(!refused.message.is_empty());
}

/// An allocation as both show it.
pub(super) fn assert_same(real: &Allocation, held: &Held) {
    assert_eq!((real.address, real.length), (held.address(), held.length));
    assert_eq!((real.subnet_id, real.owner, real.slot), (held.subnet, held.owner, held.slot));
    assert_eq!((real.instance, real.revision), (held.instance, held.revision()));
    assert_eq!((&real.manager, &real.host), (&held.manager, &held.host));
    assert_eq!((&real.label, &real.owner_name), (&held.label, &held.owner_name));
    let state = match held.token {
        Some(_) => AllocationState::Held,
        None => AllocationState::Allocated,
    };
    assert_eq!(real.state, state);
}

fn run(shards: usize, steps: &[u64]) {
    let mut machine = Machine::new(shards);
    // Something to work with from the start.
    let create = Request::NetworkCreate(Box::default());
    machine.naive.network_create(network_id(1), &NetworkCreate::default()).unwrap();
    machine.world.done(1, create);
    for &step in steps {
        machine.step(step);
    }
    machine.check();
}

fn number(variable: &str, default: u32) -> u32 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub(super) fn cases() -> u32 {
    number("ADDRD_PROPTEST_CASES", 1_000)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: number("ADDRD_PROPTEST_SHRINKS", 20_000),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_shard_agrees_with_a_naive_server(
        shards in 1_usize..=2,
        steps in prop::collection::vec(any::<u64>(), 1..120),
    ) {
        run(shards, &steps);
    }
}

/// The random worlds are rich enough: every status that the model knows comes up.
#[test]
fn every_status_is_met() {
    let mut tally = std::collections::BTreeMap::<Status, u64>::new();
    for seed in 0..200 {
        let mut machine = Machine::new(1);
        machine.naive.network_create(network_id(1), &NetworkCreate::default()).unwrap();
        machine.world.done(1, Request::NetworkCreate(Box::default()));
        (0..200).for_each(|step| machine.step(seed * 1_000 + step));
        for (status, count) in &machine.world.tally {
            *tally.entry(*status).or_default() += count;
        }
    }
    let expected = [
        Status::NOT_HELD,
        Status::EXHAUSTED,
        Status::ADDRESS_TAKEN,
        Status::ADDRESS_RESTING,
        Status::KEY_IN_USE,
        Status::HELD_BY_OTHER_INSTANCE,
        Status::STALE,
        Status::NOT_HOLDER,
        Status::NOT_FOUND,
        Status::ID_IN_USE,
        Status::NAME_IN_USE,
        Status::PREFIX_OVERLAP,
        Status::EXPIRED,
        Status::HOLD_OVER,
        Status::OTHER_TOKEN,
        Status::HOLD_CONFIRMED,
        Status::NO_MATCHING_SUBNET,
        Status::INVALID_ADDRESS,
        Status::IS_GATEWAY,
        Status::EXCLUDED,
        Status::IN_USE,
        Status::DELETING,
        Status::POOL_OVERLAP,
        Status::GATEWAY_IN_POOL,
        Status::OUT_OF_RANGE,
        Status::CONFLICTING_FIELDS,
        Status::POOL_OUTSIDE,
        Status::INVALID_NAME,
        Status::INVALID_GATEWAY,
        Status::INVALID_PREFIX,
    ];
    for status in expected {
        assert!(tally.get(&status).is_some_and(|&count| count >= 5), "{status}: {tally:?}");
    }
    let done = tally[&Status::OK];
    assert!(done * 3 > tally.values().sum::<u64>(), "{tally:?}");
}
