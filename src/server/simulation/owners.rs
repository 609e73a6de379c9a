//! What a controller of the simulation knows of what its owners have: for good, by a lease or under a hold. Pure:
//! asks the next thing, enters answers and checks them. Times are ms of the clients, whose clock goes on while the
//! server's stands.

use super::super::testing::frame_with;
use crate::engine::tests::stage::Random;
use crate::limits::HOLD_REST_MS;
use crate::model::{NetworkId, OwnerId, ProjectId, Revision};
use addrd_protocol::message::allocate::AllocatedAddress;
use addrd_protocol::message::{
    Allocate, AllocateExtras, AllocateFlags, AllocationState, FamilyChoice, Fences, HoldEnd,
    Release, Renew, Reply, Request, Strategy, Target,
};
use addrd_protocol::prefix::number_of;
use addrd_protocol::{Instance, Retry, Slot, Status};
use uuid::Uuid;

/// So long a lease or a hold is, ms. Always the same: a renewal never makes one shorter.
const TERM_MS: u64 = 3_000;

/// Network and owner.
pub(super) type Key = (u128, u128);

/// What ends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Never,
    Lease,
    Hold(Uuid),
}

/// What an owner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) address: u128,
    pub(super) revision: Revision,
    pub(super) end: End,
}

impl Held {
    /// The same life of the same address, however it ends.
    fn is_life_of(&self, other: &Self) -> bool {
        (self.address, self.revision) == (other.address, other.revision)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Allocate(End),
    Renew(Revision),
    Release,
    Confirm(Revision, Uuid),
    Cancel(Revision, Uuid),
}

impl How {
    /// From when it is sent on somebody else may have the address.
    const fn is_end(self) -> bool {
        matches!(self, Self::Release | Self::Cancel(..))
    }
}

/// A request that has no answer yet.
#[derive(Clone, Copy, Debug)]
struct Asked {
    how: How,
    /// It was sent before, and what became of that is unknown.
    is_again: bool,
    /// It is on its way on the connection at hand.
    is_sent: bool,
    /// When it was sent last.
    at: u64,
}

/// One owner in one network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    key: Key,
    /// As answered last; `None` = it has nothing.
    has: Option<Held>,
    /// It has it for certain until then.
    sure_until: u64,
    /// A lease is over at that time for certain; a restart of the server spares it.
    over_at: u64,
    asked: Option<Asked>,
    /// Tokens that it used.
    tokens: u64,
}

impl Own {
    pub(super) const fn new(key: Key) -> Self {
        Self { key, has: None, sure_until: 0, over_at: u64::MAX, asked: None, tokens: 0 }
    }

    /// What it has for certain.
    fn sure(&self, now: u64) -> Option<Held> {
        let ends = self.asked.is_some_and(|asked| asked.how.is_end());
        self.has.filter(|_| self.sure_until > now && !ends)
    }

    /// The address that it has for certain.
    pub(super) fn told(&self, now: u64) -> Option<(u128, u128)> {
        Some((self.key.0, self.sure(now)?.address))
    }

    /// The address that nobody else may have: what a hold left behind rests for it.
    pub(super) fn kept(&self, now: u64) -> Option<(u128, u128)> {
        let ends = self.asked.is_some_and(|asked| asked.how.is_end());
        let has = self.has.filter(|_| !ends)?;
        let rests = if matches!(has.end, End::Hold(_)) { HOLD_REST_MS } else { 0 };
        (self.sure_until.saturating_add(rests) > now).then_some((self.key.0, has.address))
    }

    pub(super) fn is_unsent(&self) -> bool {
        self.asked.is_some_and(|asked| !asked.is_sent)
    }

    /// What was on its way may have been done.
    pub(super) fn cut_off(&mut self) {
        if let Some(asked) = &mut self.asked {
            if asked.is_sent {
                // It may have been renewed.
                (asked.is_again, self.over_at) = (true, u64::MAX);
            }
            asked.is_sent = false;
        }
    }

    /// Asks something, or again what has no answer; `None` while something is on its way, or it waits.
    pub(super) fn ask(&mut self, now: u64, random: &mut Random) -> Option<Request> {
        let asked = match self.asked {
            Some(Asked { is_sent: true, .. }) => return None,
            Some(asked) => Asked { is_sent: true, at: now, ..asked },
            None => Asked { how: self.choose(random)?, is_again: false, is_sent: true, at: now },
        };
        self.asked = Some(asked);
        Some(request(self.key.1, asked.how))
    }

    /// Owners with an odd number have things for good; the others lease in one network, and hold in the other.
    fn choose(&mut self, random: &mut Random) -> Option<How> {
        let which = random.below(10);
        Some(match self.has.map(|has| (has.end, has.revision)) {
            Some((End::Hold(token), revision)) => match which {
                0..3 => How::Confirm(revision, token),
                3..5 => How::Cancel(revision, token),
                5 => How::Allocate(End::Hold(token)),
                // It waits, at times until its time is over.
                _ => return None,
            },
            Some((End::Lease, revision)) if which < 5 => How::Renew(revision),
            Some(_) if which < 8 => How::Release,
            Some((end, _)) => How::Allocate(end),
            None if which < 2 => How::Release,
            None => How::Allocate(self.fresh()),
        })
    }

    fn fresh(&mut self) -> End {
        match (self.key.1 % 2, self.key.0) {
            (1, _) => End::Never,
            (_, 1) => End::Lease,
            _ => {
                self.tokens += 1;
                let (network, owner) = self.key;
                End::Hold(Uuid::from_u128(network << 96 | owner << 64 | u128::from(self.tokens)))
            }
        }
    }

    /// Enters an answer.
    ///
    /// # Panics
    /// When it breaks a promise.
    pub(super) fn answered(&mut self, status: Status, reply: Option<Reply>, now: u64) {
        let asked = self.asked.expect("it asked");
        let is_sure = self.has.is_some() && self.sure_until > now;
        let (key, before) = (self.key, self.has);
        let what =
            || format!("{key:?}, {now}: {asked:?}, {status}, had {before:?}, sure: {is_sure}");
        match (asked.how, status, reply) {
            (how, status, _) if status.retry() == Retry::Later => {
                // Nothing was done; it is asked again, as what it was.
                self.asked = Some(Asked { how, is_sent: false, ..asked });
                return;
            }
            (How::Allocate(end), Status::OK, Some(Reply::Allocated(got))) => {
                let now_has = held_of(&got.first, end).unwrap_or_else(|| panic!("{}", what()));
                let is_same = before.is_some_and(|before| before.is_life_of(&now_has));
                assert!(!is_sure || is_same && got.first.repeated, "{}: {got:?}", what());
                let may_repeat = is_same || asked.is_again;
                assert!(may_repeat || !got.first.repeated, "{}: {got:?}", what());
                self.has(now_has, (asked.at, now), got.first.time_left_ms);
            }
            (How::Allocate(_), Status::EXHAUSTED, _) => {
                assert!(self.kept(now).is_none(), "its own would do: {}", what());
                self.has = None;
            }
            (How::Renew(_), Status::OK, Some(Reply::Renewed(got))) => {
                let has = before.unwrap_or_else(|| panic!("{}", what()));
                let told = (number_of(&got.address), got.revision);
                assert_eq!(told, (has.address, has.revision), "{}", what());
                assert!(asked.at < self.over_at, "renewed when it was over: {}", what());
                self.has(has, (asked.at, now), got.time_left_ms);
            }
            (How::Renew(_), Status::EXPIRED, _) => {
                assert!(!is_sure, "{}", what());
                self.has = None;
            }
            (How::Release, Status::OK, Some(Reply::Released(gone))) => {
                let address = number_of(&gone.address);
                let is_own = before.is_some_and(|held| held.address == address);
                assert!(is_own, "{}: {gone:?}", what());
                self.has = None;
            }
            (How::Release, Status::NOT_HELD, _) => {
                assert!(!is_sure || asked.is_again, "{}", what());
                self.has = None;
            }
            (How::Confirm(..), Status::OK, Some(Reply::HoldEnded(got))) => {
                let has = before.unwrap_or_else(|| panic!("{}", what()));
                let told = (number_of(&got.address), got.revision);
                assert_eq!(told, (has.address, has.revision), "{}", what());
                assert!(asked.is_again || !got.repeated, "{}", what());
                self.has(Held { end: End::Never, ..has }, (asked.at, now), 0);
            }
            (How::Cancel(..), Status::OK, Some(Reply::HoldEnded(got))) => {
                let has = before.unwrap_or_else(|| panic!("{}", what()));
                assert_eq!(number_of(&got.address), has.address, "{}", what());
                self.has = None;
            }
            (How::Cancel(..), Status::NOT_HELD, _) => {
                assert!(!is_sure || asked.is_again, "{}", what());
                self.has = None;
            }
            (.., reply) => panic!("{}: {reply:?}", what()),
        }
        self.asked = None;
    }

    /// It has something, of which so much time was left between two moments.
    fn has(&mut self, held: Held, (asked, answered): (u64, u64), left_ms: u64) {
        self.has = Some(held);
        (self.sure_until, self.over_at) = match held.end {
            End::Never => (u64::MAX, u64::MAX),
            End::Lease | End::Hold(_) => {
                (asked.saturating_add(left_ms), answered.saturating_add(left_ms))
            }
        };
    }

    /// The server has started again: what was answered is so, what was not is in or it is not.
    ///
    /// # Panics
    /// When something is lost, or there that nobody asked for.
    pub(super) fn recovered(&mut self, is: Option<Held>, now: u64) {
        let is_again = self.asked.is_some_and(|asked| asked.is_again);
        let how = self.asked.filter(|_| is_again).map(|asked| asked.how);
        let is_sure = self.has.is_some() && self.sure_until > now;
        let is_same = match (&is, &self.has) {
            (Some(is), Some(has)) => is.is_life_of(has),
            (None, None) => true,
            _ => false,
        };
        let may_be = match how {
            // Told to be over, and not journalled: a start spares it.
            None if self.has.is_none() => is.is_none_or(|is| is.end == End::Lease),
            None | Some(How::Renew(_) | How::Confirm(..)) => {
                is_same || !is_sure && (is.is_none() || self.has.is_none())
            }
            Some(How::Allocate(_)) => is_same || !is_sure,
            Some(How::Release | How::Cancel(..)) => is_same || is.is_none(),
        };
        assert!(may_be, "{:?} has {is:?} at {now} after {self:?}", self.key);
        if let (true, Some(is), Some(has)) = (is_same, is, self.has) {
            let is_confirmed = is.end == End::Never && matches!(how, Some(How::Confirm(..)));
            assert!(is.end == has.end || is_confirmed, "{is:?} after {self:?}");
        }
        if let (None, Some(is)) = (self.asked, is)
            && !is_same
        {
            self.has(is, (0, 0), 0);
        }
        self.over_at = u64::MAX;
    }
}

/// What was got, if it can be what was asked for.
fn held_of(got: &AllocatedAddress, asked: End) -> Option<Held> {
    let end = match (got.state, got.time_left_ms, asked) {
        // A hold that was confirmed before is there for good.
        (AllocationState::Allocated, 0, End::Never | End::Hold(_)) => End::Never,
        (AllocationState::Allocated, 1..=TERM_MS, End::Lease) => End::Lease,
        (AllocationState::Held, 1..=TERM_MS, End::Hold(_)) => asked,
        _ => return None,
    };
    Some(Held { address: number_of(&got.address), revision: got.revision, end })
}

fn request(owner: u128, how: How) -> Request {
    let owner = OwnerId::from_u128(owner);
    let target = Target::Key { owner, slot: Slot(0) };
    let fenced = |revision| Fences { revision: Some(revision), ..Fences::default() };
    let hold_end = |revision, token| HoldEnd { target, revision, token, release: false };
    match how {
        How::Allocate(end) => {
            let extras = match end {
                End::Never => None,
                End::Lease => {
                    Some(AllocateExtras { lease_ms: Some(TERM_MS), ..AllocateExtras::default() })
                }
                End::Hold(token) => Some(AllocateExtras {
                    hold_token: Some(token),
                    hold_ms: Some(TERM_MS),
                    ..AllocateExtras::default()
                }),
            };
            Request::Allocate(Allocate {
                owner,
                slot: Slot(0),
                instance: Instance(0),
                family: FamilyChoice::One,
                strategy: Strategy::Default,
                length: None,
                flags: AllocateFlags::default(),
                extras: extras.map(Box::new),
            })
        }
        How::Renew(revision) => {
            Request::Renew(Renew { target, fences: fenced(revision), lease_ms: TERM_MS })
        }
        How::Release => Request::Release(Release { target, fences: Fences::default(), any: false }),
        How::Confirm(revision, token) => Request::HoldConfirm(hold_end(revision, token)),
        How::Cancel(revision, token) => Request::HoldCancel(hold_end(revision, token)),
    }
}

/// A request as it is sent.
pub(super) fn frame(id: u64, network: u128, request: &Request) -> Vec<u8> {
    frame_with(id, NetworkId::from_u128(network), request, |header| {
        header.project = ProjectId::DEFAULT;
    })
}
