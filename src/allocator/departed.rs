//! Which subnets were deleted lately, so that whoever polls the counts of a network learns that they
//! are gone. Remembers a bounded number for the whole shard, nothing across a restart; knows no
//! subnet that is there.
//!
//! Source: docs/decisions/0015-what-a-poll-tells.md.

use crate::model::{Family, NetworkHandle, Revision, SubnetId};
use std::collections::{BTreeMap, VecDeque};

/// A subnet that was deleted, and at which revision of its network.
type Place = (NetworkHandle, u64);

/// The deletions that are remembered.
#[derive(Debug, Default)]
pub(super) struct Departed {
    by_place: BTreeMap<Place, (SubnetId, Family)>,
    /// The oldest first; those of networks that are gone stay until it is their turn.
    order: VecDeque<Place>,
}

impl Departed {
    /// Remembers a deletion. Beyond `most` gives the oldest one, which is forgotten.
    pub(super) fn note(
        &mut self,
        place: Place,
        subnet: (SubnetId, Family),
        most: usize,
    ) -> Option<Place> {
        self.by_place.insert(place, subnet);
        self.order.push_back(place);
        if self.order.len() <= most {
            return None;
        }
        let oldest = self.order.pop_front()?;
        self.by_place.remove(&oldest).map(|_| oldest)
    }

    /// Those of a network behind a revision, the oldest first.
    pub(super) fn behind(
        &self,
        network: NetworkHandle,
        since: Revision,
    ) -> impl Iterator<Item = (SubnetId, Family)> {
        let from = (network, since.0.saturating_add(1));
        self.by_place.range(from..=(network, u64::MAX)).map(|(_, subnet)| *subnet)
    }

    /// Forgets those of a network that is gone.
    pub(super) fn forget(&mut self, network: NetworkHandle) {
        while let Some((&place, _)) = self.by_place.range((network, 0)..=(network, u64::MAX)).next()
        {
            self.by_place.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(number: u128) -> (SubnetId, Family) {
        (SubnetId::from_u128(number), Family::V4)
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut departed = Departed::default();
        let (one, two) = (NetworkHandle(1), NetworkHandle(2));
        assert_eq!(departed.note((one, 5), subnet(1), 2), None);
        assert_eq!(departed.note((two, 7), subnet(2), 2), None);
        assert_eq!(departed.note((one, 9), subnet(3), 2), Some((one, 5)));
        let behind =
            |departed: &Departed, since| departed.behind(one, Revision(since)).collect::<Vec<_>>();
        assert_eq!(behind(&departed, 0), [subnet(3)]);
        assert_eq!(behind(&departed, 9), []);
        assert_eq!(behind(&departed, u64::MAX), []);
        departed.forget(two);
        assert_eq!(departed.behind(two, Revision(0)).count(), 0);
        assert_eq!(
            departed.note((one, 11), subnet(4), 2),
            None,
            "the oldest went with its network"
        );
        assert_eq!(behind(&departed, 8), [subnet(3), subnet(4)]);
    }
}
