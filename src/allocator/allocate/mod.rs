//! Allocate: judge a repeat, choose a place, commit. All addresses of a request are decided before
//! the first one is committed, so nothing is ever half done.

mod automatic;
mod candidates;
mod choose;
mod exact;
mod item;
mod plain;
mod repeat;
mod request;

use super::Shard;
use super::holds::{confirmed, kept};
use super::index::split_mix;
use super::refusal::{Refused, adopting, refuse, with};
use super::subnet::Subnet;
use crate::model::{
    AllocationExtras, AllocationPlace, AllocationRow, EffectSink, Family, OwnerId, Revision, Status,
};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::allocate::{AllocatedAddress, SubnetSettings};
use addrd_protocol::message::hold::HOLD_MS_DEFAULT;
use addrd_protocol::message::{
    Allocate, Allocated, AllocationState, Detail, FamilyChoice, Strategy,
};
use candidates::Found;
use choose::{Start, choose};
use request::Asked;

pub(super) use automatic::{PinSeeker, Single};
pub(super) use request::Want;

/// What is to be done for one want.
#[derive(Clone, Copy, Debug)]
enum Decision {
    /// It is held so already.
    Repeat(u32),
    /// It is held under this token, and its time is over, but no record says so yet.
    HoldAnew(u32),
    /// Its release is held under this token, which wants it back.
    Keep(u32),
    /// It changes hands to the instance that asks.
    TakeOver(u32),
    /// A port that is made again has it; what it had besides is missing.
    Complete(u32),
    /// A free place.
    Fresh(Choice),
}

/// A free place.
#[derive(Clone, Copy, Debug)]
struct Choice {
    subnet: u32,
    offset: u128,
    order: u8,
    moves_cursor: bool,
    /// What rests there and goes first.
    over: Option<u32>,
}

/// What rests at a place that may be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub(super) handle: u32,
    pub(super) offset: u128,
}

/// A decision carried out: the record, and whether it was held or taken over.
#[derive(Clone, Copy)]
struct Done {
    record: u32,
    repeated: bool,
    taken_over: bool,
    from_quarantine: bool,
}

impl Done {
    /// It was so already.
    const fn was(record: u32, repeated: bool) -> Self {
        Self { record, repeated, taken_over: false, from_quarantine: false }
    }
}

impl Shard {
    /// Allocates on a network of this shard.
    #[inline]
    pub(super) fn allocate(
        &mut self,
        network: u32,
        request: &Allocate,
        sink: &mut impl EffectSink,
    ) -> Result<Allocated, Refused> {
        if self.adopting {
            return self.allocate_any(network, request, sink);
        }
        match self.allocate_plain(network, request, sink) {
            Some(done) => done,
            None => self.allocate_any(network, request, sink),
        }
    }

    fn allocate_any(
        &mut self,
        network: u32,
        request: &Allocate,
        sink: &mut impl EffectSink,
    ) -> Result<Allocated, Refused> {
        let mut asked = Asked::new(request)?;
        let placed;
        if let Some(item) = asked.extras.hold_item {
            let slot = self.slot_of_item(network, &asked, item)?;
            placed = Allocate { slot, ..request.clone() };
            asked = Asked::trusted(&placed, placed.extras.as_deref());
        }
        let (first, second) = self.wants(network, &asked)?;
        let first = (first, self.decide(network, &asked, &first, sink)?);
        let second = match second {
            Some(want) => Some((want, self.decide(network, &asked, &want, sink)?)),
            None => None,
        };
        let order = |decision: &Decision| match decision {
            Decision::Fresh(choice) => Some(choice.order),
            Decision::Repeat(_)
            | Decision::HoldAnew(_)
            | Decision::Keep(_)
            | Decision::TakeOver(_)
            | Decision::Complete(_) => None,
        };
        let orders = [order(&first.1), second.as_ref().and_then(|(_, decision)| order(decision))];
        let life = self.life_of_new(network, &asked, &first.1)?;
        let life_of_second = match &second {
            Some((_, decision)) => self.life_of_new(network, &asked, decision)?,
            None => None,
        };
        if orders != [None; 2] {
            self.check_room_for_records()?;
            if asked.extras.hold_token.is_some() {
                self.check_hold_limit(network, orders.iter().flatten().count() as u64)?;
            }
            self.pay_for(network, orders.into_iter().flatten())?;
        }
        let asked = Asked { life, ..asked };
        let first = self.carry_out(network, &asked, &first.0, first.1, sink);
        let asked = Asked { life: life_of_second, ..asked };
        let second = second.map(|(want, how)| self.carry_out(network, &asked, &want, how, sink));
        Ok(self.reply(&asked, first, second))
    }

    /// The life of its host that what a decision makes is to follow; `None` = as it was.
    fn life_of_new(
        &self,
        network: u32,
        asked: &Asked<'_>,
        decision: &Decision,
    ) -> Result<Option<u64>, Refused> {
        if !asked.extras.follow_host {
            return Ok(None);
        }
        let (mut manager, mut host) = (asked.extras.manager.as_ref(), asked.extras.host.as_ref());
        let project = self.project_asking(network);
        match decision {
            Decision::Fresh(_) => {}
            Decision::TakeOver(held) => {
                let row = self.ledger.extras_row(self.ledger.at(*held));
                manager = manager.or(row.and_then(|row| row.manager.as_ref()));
                host = host.or(row.and_then(|row| row.host.as_ref()));
            }
            // It may have been made before the present life of the host, and gone on by a grace only.
            Decision::Repeat(held) => {
                let row = self.ledger.extras_row(self.ledger.at(*held));
                let place = row.filter(|row| row.follows.is_some());
                let place = place.map(|row| (row.manager.as_ref(), row.host.as_ref()));
                return Ok(place.and_then(|place| self.life_to_follow(project, place).ok()));
            }
            _ => return Ok(None),
        }
        self.life_to_follow(project, (manager, host)).map(Some)
    }

    /// The addresses that are wanted: one, or two with slots s and s + 1.
    fn wants(&self, network: u32, asked: &Asked<'_>) -> Result<(Want, Option<Want>), Refused> {
        let slot = asked.request.slot;
        let want = |family, slot| Want { family, slot };
        let single = |family| Ok((want(family, slot), None));
        match asked.request.family {
            FamilyChoice::One => single(None),
            FamilyChoice::V4 => single(Some(Family::V4)),
            FamilyChoice::V6 => single(Some(Family::V6)),
            FamilyChoice::Both | FamilyChoice::Each => {
                let v4 = want(Some(Family::V4), slot);
                let v6 = want(Some(Family::V6), crate::model::Slot(slot.0.saturating_add(1)));
                if asked.request.family == FamilyChoice::Both {
                    return Ok((v4, Some(v6)));
                }
                match self.families(network, asked) {
                    [true, true] => Ok((v4, Some(v6))),
                    [true, false] => Ok((v4, None)),
                    [false, true] => Ok((v6, None)),
                    [false, false] => Err(self.nothing_found(network, asked, &v4, false)),
                }
            }
        }
    }

    /// The families that the candidates have.
    fn families(&self, network: u32, asked: &Asked<'_>) -> [bool; 2] {
        if asked.extras.subnets.is_empty() {
            return self.networks.at(network).usable.map(|count| count > 0);
        }
        let mut found = [false; 2];
        for &id in &asked.extras.subnets {
            if let Some(at) = self.find_subnet(network, id) {
                let subnet = self.subnets.at(at);
                found[super::network::family_index(subnet.family)] |= !subnet.deleting;
            }
        }
        found
    }

    fn decide(
        &mut self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
        sink: &mut impl EffectSink,
    ) -> Result<Decision, Refused> {
        let decision = self.decide_place(network, asked, want, sink)?;
        if let Decision::Fresh(choice) = &decision {
            self.check_resting_limit(network, choice.over, sink)?;
        }
        Ok(decision)
    }

    fn decide_place(
        &mut self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
        sink: &mut impl EffectSink,
    ) -> Result<Decision, Refused> {
        let key = self.key_of(network, asked.request.owner, want.slot);
        let held = self.ledger.find_key(&self.subnets, &key);
        if let Some(held) = held
            && !self.end_if_over(held, sink)
        {
            return self.judge(held, asked, want);
        }
        if self.networks.at(network).deleting {
            return Err(refuse(Status::DELETING, format_args!("the network is being deleted")));
        }
        // What a pin keeps may have been given away after the state at hand.
        if self.networks.at(network).pinned
            && !(self.adopting && asked.exact(want).is_none())
            && let Some(choice) = self.pinned_choice(network, asked, want, sink)
        {
            return Ok(Decision::Fresh(choice));
        }
        if asked.request.strategy == Strategy::Eui64 {
            return self.eui64_choice(network, asked, want, sink).map(Decision::Fresh);
        }
        if let Some(exact) = asked.exact(want) {
            self.end_at(network, asked, &exact, sink);
            return self.exactly(network, asked, want, exact).map(Decision::Fresh);
        }
        if self.adopting && !is_planted(Bug::ChosenWhileAdopting) {
            return Err(adopting("address"));
        }
        if let Some(choice) = self.own_resting_choice(network, asked, want) {
            return Ok(Decision::Fresh(choice));
        }
        if let Some(preferred) = asked.preferred(want) {
            self.end_rests_at(network, asked, &preferred, sink);
            if let Some(choice) = self.preferably(network, asked, want, preferred) {
                return Ok(Decision::Fresh(choice));
            }
        }
        self.automatically(network, asked, want, sink).map(Decision::Fresh)
    }

    fn automatically(
        &mut self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
        sink: &mut impl EffectSink,
    ) -> Result<Choice, Refused> {
        let random = self.random_state();
        let mut found = self.draw(network, asked, want, random);
        if !matches!(found, Found::Yes(_))
            && self.end_due(network, &asked.extras.subnets, want, sink)
        {
            found = self.draw(network, asked, want, random);
        }
        match found {
            Found::Yes(choice) => Ok(choice),
            _ if self.is_any_due(network, &asked.extras.subnets, want) => {
                Err(self.rests_are_ending())
            }
            Found::No => {
                let resting = self.longest_resting_choice(network, asked, want);
                resting.ok_or_else(|| self.nothing_found(network, asked, want, false))
            }
            Found::GaveUp => Err(self.nothing_found(network, asked, want, true)),
        }
    }

    /// What the strategy takes among the free places of the candidates.
    fn draw(&self, network: u32, asked: &Asked<'_>, want: &Want, random: u64) -> Found<Choice> {
        self.over_candidates(network, asked, want, |at| {
            let subnet = self.subnets.at(at);
            let (span, order) = self.eligible(subnet, asked, want).ok()?;
            let strategy = match asked.request.strategy {
                Strategy::Default => subnet.strategy,
                named => named,
            };
            let start = Start::new(strategy, asked.request.owner, want.slot, || drawn(random))?;
            let offset = choose(subnet, &self.maps, start, span, order)?;
            let moves_cursor = matches!(start, Start::Cursor);
            Some(Choice { subnet: at, offset, order, moves_cursor, over: None })
        })
    }

    fn carry_out(
        &mut self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
        decision: Decision,
        sink: &mut impl EffectSink,
    ) -> Done {
        let mut rest_end = None;
        if let Decision::Fresh(Choice { over: Some(resting), .. }) = decision {
            rest_end = self.rest_to_go_on(resting);
            self.commit_free(resting, sink);
        }
        let revision = self.networks.at(network).next_revision();
        match decision {
            Decision::Repeat(record) => {
                let follows =
                    self.ledger.extras_row(self.ledger.at(record)).and_then(|r| r.follows);
                if asked.life.is_some() && asked.life != follows {
                    let mut row = self.ledger.row_of(&self.subnets, record);
                    row.changed = revision;
                    row.extras.get_or_insert_default().follows = asked.life;
                    self.commit_changed(record, row, sink);
                }
                self.note_alive(record);
                self.note_elsewhere(record, asked.extras);
                Done::was(record, true)
            }
            Decision::HoldAnew(record) => {
                let mut row = self.ledger.row_of(&self.subnets, record);
                row.changed = revision;
                let rest_end = row.extras.as_ref().and_then(|extras| extras.quarantine_end);
                (_, row.extras) = self.held_if_asked(asked, row.extras, rest_end);
                self.commit_changed(record, row, sink);
                Done::was(record, true)
            }
            Decision::Keep(record) => {
                self.commit_kept(record, sink);
                self.note_elsewhere(record, asked.extras);
                Done::was(record, true)
            }
            Decision::TakeOver(record) => {
                let row = self.taken_over(record, revision, asked);
                self.commit_changed(record, row, sink);
                Done { taken_over: true, ..Done::was(record, false) }
            }
            Decision::Complete(record) => self.complete(record, asked, revision, sink),
            Decision::Fresh(choice) => {
                let subnet = self.subnets.at(choice.subnet);
                let extras = self.merged(None, asked);
                let (state, extras) = self.held_if_asked(asked, extras, rest_end);
                let row = AllocationRow {
                    place: AllocationPlace {
                        network: subnet.network_handle,
                        subnet: subnet.handle,
                        offset: choice.offset,
                        block_bits: choice.order,
                    },
                    revision,
                    changed: revision,
                    owner: asked.request.owner,
                    slot: want.slot,
                    instance: asked.request.instance,
                    state,
                    moves_cursor: choice.moves_cursor,
                    extras: self.signed(network, extras),
                };
                let record = self.commit_fresh(choice.subnet, row, sink);
                Done { from_quarantine: choice.over.is_some(), ..Done::was(record, false) }
            }
        }
    }

    /// An allocation as it is once another instance has it: neither held nor about to be released.
    fn taken_over(&self, record: u32, revision: Revision, asked: &Asked<'_>) -> AllocationRow {
        let mut row = self.ledger.row_of(&self.subnets, record);
        (row.revision, row.changed) = (revision, revision);
        row.instance = asked.request.instance;
        row.extras = match row.state {
            AllocationState::Held => confirmed(row.extras),
            _ => kept(row.extras),
        };
        row.state = AllocationState::Allocated;
        let was = row.extras.as_deref().map(|row| (row.manager.clone(), row.host.clone()));
        row.extras = self.merged(row.extras, asked);
        if let Some(extras) = &mut row.extras
            && asked.life.is_none()
            && was != Some((extras.manager.clone(), extras.host.clone()))
        {
            // Whoever moves it elsewhere says whether it follows there.
            extras.follows = None;
        }
        row
    }

    /// State and rare fields of what is new: held if the request has a token; `rest_end` is when what it takes
    /// would have rested.
    fn held_if_asked(
        &self,
        asked: &Asked<'_>,
        extras: Option<Box<AllocationExtras>>,
        rest_end: Option<u64>,
    ) -> (AllocationState, Option<Box<AllocationExtras>>) {
        let Some(token) = asked.extras.hold_token else {
            return (AllocationState::Allocated, extras);
        };
        let mut extras = extras.unwrap_or_default();
        let hold_ms = asked.extras.hold_ms.unwrap_or(HOLD_MS_DEFAULT);
        extras.token = Some(token);
        extras.item = asked.extras.hold_item;
        extras.deadline = Some(self.deadline_of(hold_ms));
        extras.quarantine_end = rest_end;
        (AllocationState::Held, Some(extras))
    }

    /// Gives an address of a port that was made again what it had besides.
    fn complete(
        &mut self,
        record: u32,
        asked: &Asked<'_>,
        revision: Revision,
        sink: &mut impl EffectSink,
    ) -> Done {
        let before = self.ledger.row_of(&self.subnets, record);
        let mut extras = self.merged(before.extras.clone(), asked).unwrap_or_default();
        // A lease that it has by now goes on: the same line again moves nothing.
        if let Some(deadline) = before.extras.as_ref().and_then(|extras| extras.deadline) {
            extras.deadline = Some(deadline);
        }
        let extras = (*extras != AllocationExtras::default()).then_some(extras);
        let instance = asked.request.instance;
        let mut row = AllocationRow { instance, extras, ..before.clone() };
        let repeated = row == before;
        if repeated {
            self.note_alive(record);
        } else {
            row.changed = revision;
            self.commit_changed(record, row, sink);
        }
        Done::was(record, repeated)
    }

    /// Rare fields with the project that asks, if it isn't the network's.
    fn signed(
        &self,
        network: u32,
        extras: Option<Box<AllocationExtras>>,
    ) -> Option<Box<AllocationExtras>> {
        let Some(project) = self.acting else { return extras };
        if project == self.networks.at(network).project {
            return extras;
        }
        let mut extras = extras.unwrap_or_default();
        extras.project = Some(project);
        Some(extras)
    }

    /// Rare fields of a request over those that are there; what it does not name stays.
    fn merged(
        &self,
        old: Option<Box<AllocationExtras>>,
        asked: &Asked<'_>,
    ) -> Option<Box<AllocationExtras>> {
        if asked.request.extras.is_none() {
            return old;
        }
        let given = asked.extras;
        let mut row = old.unwrap_or_default();
        row.trace = given.trace;
        if asked.life.is_some() {
            row.follows = asked.life;
        }
        if let Some(lease_ms) = given.lease_ms {
            row.deadline = Some(self.deadline_of(lease_ms));
        }
        let pairs = [
            (&mut row.manager, &given.manager),
            (&mut row.host, &given.host),
            (&mut row.label, &given.label),
            (&mut row.owner_name, &given.owner_name),
        ];
        for (field, value) in pairs {
            if value.is_some() {
                field.clone_from(value);
            }
        }
        (*row != AllocationExtras::default()).then_some(row)
    }

    fn reply(&self, asked: &Asked<'_>, first: Done, second: Option<Done>) -> Allocated {
        let settings = asked.request.flags.want_subnet.then(|| {
            let of = |done: Done| settings_of(self.subnets.at(self.ledger.at(done.record).subnet));
            Box::new([of(first), second.map(of).unwrap_or_default()])
        });
        Allocated {
            first: self.allocated(asked, first),
            second: second.map(|done| self.allocated(asked, done)),
            settings,
        }
    }

    fn allocated(&self, asked: &Asked<'_>, done: Done) -> AllocatedAddress {
        let record = self.ledger.at(done.record);
        let subnet = self.subnets.at(record.subnet);
        let address = subnet.address(self.ledger.offset(record));
        AllocatedAddress {
            address,
            length: subnet.family.bits() - record.block_bits,
            subnet_length: subnet.family.bits() - subnet.host_bits,
            subnet_id: subnet.row.id,
            slot: record.slot,
            revision: record.revision,
            state: record.state(),
            time_left_ms: self.time_left(record),
            repeated: done.repeated,
            was_preferred: asked.extras.preferred == Some(address),
            from_quarantine: done.from_quarantine,
            taken_over: done.taken_over,
        }
    }

    /// What is held, as a refusal's detail; of another project's only the fact.
    pub(super) fn shown(&self, refused: Refused, record: u32) -> Refused {
        if !self.is_own(self.ledger.at(record)) {
            return refused;
        }
        with(refused, Detail::Held(Box::new(self.allocation(record))))
    }
}

/// 128 random bits from a state.
fn drawn(mut state: u64) -> u128 {
    u128::from(split_mix(&mut state)) << 64 | u128::from(split_mix(&mut state))
}

fn settings_of(subnet: &Subnet) -> SubnetSettings {
    SubnetSettings {
        gateway: subnet.row.gateway,
        dns_servers: subnet.row.dns_servers.clone(),
        routes: subnet.row.routes.clone(),
    }
}

/// An owner as people know it.
pub(super) fn owner_text(owner: OwnerId) -> impl std::fmt::Display {
    owner.0
}
