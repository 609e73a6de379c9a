//! The last lives of hosts whose leases have ended, for as long as a message of theirs may be on its way. Decides nothing.
//!
//! It lasts as long as the process: so do the connections on which such a message could come.
//!
//! Source: docs/decisions/0032-host-leases.md.

use crate::limits::FORMER_LIVES_MAX;
use crate::model::HostName;
use std::collections::BTreeMap;

/// The last life of each host; of the hosts whose leases ended last.
#[derive(Debug, Default)]
pub(super) struct FormerLives {
    by_host: BTreeMap<HostName, Former>,
    /// The same in the order in which they ended.
    by_turn: BTreeMap<u64, HostName>,
    /// The last turn in that order.
    turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Former {
    life: u64,
    turn: u64,
}

impl FormerLives {
    /// The lease of a host has ended, and this was its last life.
    pub(super) fn note(&mut self, of: &HostName, life: u64) {
        self.turn += 1;
        let turn = self.turn;
        if let Some(old) = self.by_host.insert(of.clone(), Former { life, turn }) {
            self.by_turn.remove(&old.turn);
        }
        self.by_turn.insert(turn, of.clone());
        if self.by_host.len() > FORMER_LIVES_MAX
            && let Some((_, oldest)) = self.by_turn.pop_first()
        {
            self.by_host.remove(&oldest);
        }
    }

    /// The last life of a host without a lease; 0 = none is remembered.
    pub(super) fn last_of(&self, of: &HostName) -> u64 {
        self.by_host.get(of).map_or(0, |former| former.life)
    }

    /// Hosts that are remembered.
    pub(super) fn count(&self) -> usize {
        debug_assert_eq!(self.by_host.len(), self.by_turn.len());
        self.by_host.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProjectId, Text};

    #[test]
    fn the_hosts_that_ended_last_are_remembered_and_no_more() {
        let of = |number: usize| HostName {
            project: ProjectId::DEFAULT,
            manager: Text::new("cni").unwrap(),
            host: Text::new(&format!("n{number}")).unwrap(),
        };
        let mut former = FormerLives::default();
        for number in 0..FORMER_LIVES_MAX {
            former.note(&of(number), 7);
        }
        former.note(&of(0), 9);
        assert_eq!((former.count(), former.last_of(&of(0))), (FORMER_LIVES_MAX, 9));
        former.note(&of(FORMER_LIVES_MAX), 1);
        assert_eq!(former.count(), FORMER_LIVES_MAX);
        let left = [0, 1, 2, FORMER_LIVES_MAX].map(|number| former.last_of(&of(number)));
        assert_eq!(left, [9, 0, 7, 1]);
    }
}
