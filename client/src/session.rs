//! Sessions are lanes (SPEC.md section 5): their ids, epochs, and which owner uses which.
//! Never opens a connection.

use addrd_protocol::id::NAMESPACE;
use addrd_protocol::{OwnerId, SessionId};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Where the session ids of a client come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Sessions {
    /// A random one for each lane: for clients that live long.
    #[default]
    Random,
    /// One lane whose session follows from an owner: for a client that does one thing and ends.
    /// A later such client closes the connection of an earlier one that was given up.
    OfOwner(OwnerId),
    /// None: nothing is fenced. Only for reading.
    None,
}

/// Session of a lane and the epoch of its last connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) session: SessionId,
    epoch: u64,
}

impl Lane {
    pub(crate) fn new(sessions: Sessions) -> Self {
        match sessions {
            Sessions::Random => Self { session: SessionId(Uuid::new_v4()), epoch: 0 },
            Sessions::OfOwner(owner) => Self { session: of_owner(owner), epoch: wall_clock_us() },
            Sessions::None => Self { session: SessionId::NIL, epoch: 0 },
        }
    }

    /// The epoch of the next connection: higher than any before.
    pub(crate) fn next_epoch(&mut self) -> u64 {
        self.epoch = self.epoch.saturating_add(1);
        self.epoch
    }
}

/// The session of one-shot clients that act for an owner.
#[must_use]
pub fn of_owner(owner: OwnerId) -> SessionId {
    let mut name = *b"session:----------------";
    for (place, byte) in name.iter_mut().skip(8).zip(owner.as_bytes()) {
        *place = *byte;
    }
    SessionId(Uuid::new_v5(&NAMESPACE, &name))
}

/// Which of `lanes` lanes an owner uses: always the same for one number of lanes.
#[must_use]
pub fn lane_of(owner: &OwnerId, lanes: usize) -> usize {
    lane_of_bytes(owner.as_bytes(), lanes)
}

pub(crate) fn lane_of_bytes(id: &[u8; 16], lanes: usize) -> usize {
    let number = u128::from_be_bytes(*id).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let lanes = u128::try_from(lanes.max(1)).unwrap_or(1);
    usize::try_from((number >> 64) % lanes).unwrap_or(0)
}

/// Epochs of one-shot clients come from the wall clock, since they share no memory. One that
/// steps back makes the server refuse the connection, which is said and harms nothing.
#[expect(clippy::disallowed_methods, reason = "processes that share nothing but a clock")]
fn wall_clock_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX - u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_spread_over_lanes_and_stay_there() {
        let mut counts = [0_u32; 7];
        for n in 0..7_000_u128 {
            let owner = OwnerId::from_u128(n);
            counts[lane_of(&owner, 7)] += 1;
            assert_eq!(lane_of(&owner, 7), lane_of(&owner, 7));
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
        assert_eq!(lane_of(&OwnerId::from_u128(5), 1), 0);
        assert_eq!(lane_of(&OwnerId::from_u128(5), 0), 0);
    }

    #[test]
    fn one_shot_clients_of_an_owner_share_a_session_with_rising_epochs() {
        let owner = OwnerId::from_text("web-1");
        let (mut first, mut second) =
            (Lane::new(Sessions::OfOwner(owner)), Lane::new(Sessions::OfOwner(owner)));
        assert_eq!(first.session, second.session);
        assert_ne!(of_owner(owner), of_owner(OwnerId::from_text("web-2")));
        let a = first.next_epoch();
        assert!(a < first.next_epoch());
        assert!(second.next_epoch() > 0);
        assert_ne!(Lane::new(Sessions::Random).session, Lane::new(Sessions::Random).session);
    }
}
