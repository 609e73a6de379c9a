//! When a worker looks how full its subnets are: a few after each drain, all of them about once a
//! second, nothing while nothing changes. Counts nothing itself.

use crate::allocator::{FillReport, Shard, Survey};
use crate::limits;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a worker's last report hangs.
#[derive(Clone, Debug, Default)]
pub(super) struct Board(Arc<Mutex<FillReport>>);

impl Board {
    /// The last report.
    pub(super) fn report(&self) -> FillReport {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hang(&self, report: FillReport) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }
}

/// The surveyor of one worker.
#[derive(Debug)]
pub(super) struct Surveyor {
    board: Board,
    survey: Survey,
    is_under_way: bool,
    /// Something changed since the last survey began.
    is_stale: bool,
    /// The next one begins then at the earliest, monotonic ns.
    due_ns: u64,
}

impl Surveyor {
    pub(super) fn new() -> (Self, Board) {
        let board = Board::default();
        let surveyor = Self {
            board: board.clone(),
            survey: Survey::default(),
            is_under_way: false,
            is_stale: true,
            due_ns: 0,
        };
        (surveyor, board)
    }

    /// The worker's state has changed.
    pub(super) fn changed(&mut self) {
        self.is_stale = true;
    }

    /// Looks at no more than `examine` subnets, if it is time. True: there are more to look at.
    pub(super) fn step(&mut self, shard: &Shard, examine: u32, now_ns: u64) -> bool {
        if !self.is_under_way {
            if !self.is_stale || now_ns < self.due_ns {
                return false;
            }
            (self.is_under_way, self.is_stale) = (true, false);
        }
        if let Some(report) = shard.survey(&mut self.survey, examine) {
            self.board.hang(report);
            self.is_under_way = false;
            // So that many subnets take no larger part of a worker than few.
            let subnets_ms = u64::from(shard.subnets()) / limits::SURVEY_SUBNETS_A_MS;
            self.due_ns = now_ns + (limits::SURVEY_MS + subnets_ms) * 1_000_000;
        }
        self.is_under_way
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shard_with_subnets;
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn all_subnets_are_looked_at_a_few_at_a_time_and_again_only_after_a_change() {
        let shard = shard_with_subnets(10);
        let (mut surveyor, board) = Surveyor::new();
        let mut steps = 1;
        while surveyor.step(&shard, 3, SECOND) {
            assert_eq!(board.report(), FillReport::default(), "only whole reports are shown");
            steps += 1;
        }
        assert_eq!((steps, board.report().levels.iter().sum::<u64>()), (4, 10));
        surveyor.changed();
        assert!(!surveyor.step(&shard, 3, SECOND + SECOND / 2), "not so soon");
        assert!(surveyor.step(&shard, 3, 3 * SECOND));
        while surveyor.step(&shard, 3, 3 * SECOND) {}
        assert!(!surveyor.step(&shard, 3, 60 * SECOND), "nothing has changed");
    }
}
