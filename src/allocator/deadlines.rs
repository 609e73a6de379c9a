//! When leases end: the deadline of each, and all of them in order. Ends nothing itself, reads no
//! clock.
//!
//! A renewal moves only the deadline in the allocation. Its entry in the order stays where it was and
//! is moved when its time has come, so an entry moves once a lease, not once a renewal.
//!
//! Source: docs/decisions/0018-leases.md.

use std::collections::BTreeSet;

/// The lease of one allocation.
///
/// Units: ms since the Unix epoch; 0 = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lease {
    /// Its end, as the record of the journal has it.
    pub(super) deadline: u64,
    /// Where it stands in the order; never behind its end.
    queued: u64,
    /// Grace periods that had been granted when the deadline was written.
    pub(super) grace: u32,
}

/// Leases by their ends.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    order: BTreeSet<(u64, u32)>,
    /// Grace periods granted so far.
    grace: u32,
    /// What had a lease before the last of them began doesn't end before this.
    grace_until: u64,
}

impl Deadlines {
    /// Leases.
    pub(super) fn count(&self) -> usize {
        self.order.len()
    }

    /// Bytes that the order takes, about: B-tree nodes are two thirds full.
    pub(super) fn bytes(&self) -> usize {
        self.order.len() * size_of::<(u64, u32)>() * 3 / 2
    }

    /// Leases that were written before this do not end before `until`.
    pub(super) fn grant(&mut self, until: u64) {
        self.grace = self.grace.saturating_add(1);
        self.grace_until = self.grace_until.max(until);
    }

    /// The end of the last grace that was granted; 0 = none was.
    pub(super) const fn granted_until(&self) -> u64 {
        self.grace_until
    }

    /// When a lease ends, with whatever grace it has.
    #[inline]
    pub(super) fn end_of(&self, lease: &Lease) -> u64 {
        if lease.grace < self.grace { lease.deadline.max(self.grace_until) } else { lease.deadline }
    }

    /// The lease of an allocation whose deadline was written; a deadline that is what it was keeps the
    /// grace that it had.
    pub(super) fn set(&mut self, handle: u32, old: Lease, deadline: u64) -> Lease {
        if deadline == old.deadline {
            return old;
        }
        let keeps_place = old.deadline != 0 && deadline >= old.queued;
        if !keeps_place {
            self.forget(handle, &old);
        }
        if deadline == 0 {
            return Lease::default();
        }
        if keeps_place {
            return Lease { deadline, grace: self.grace, ..old };
        }
        self.order.insert((deadline, handle));
        Lease { deadline, queued: deadline, grace: self.grace }
    }

    /// The allocation is gone, or has no lease any more.
    pub(super) fn forget(&mut self, handle: u32, lease: &Lease) {
        if lease.deadline != 0 {
            let was_there = self.order.remove(&(lease.queued, handle));
            debug_assert!(was_there, "each lease stands in the order");
        }
    }

    /// The first in the order, and the time at which it must be looked at.
    pub(super) fn first(&self) -> Option<(u64, u32)> {
        self.order.first().copied()
    }

    /// Moves an entry whose time has come to where its lease ends.
    pub(super) fn move_on(&mut self, handle: u32, lease: &mut Lease) {
        self.order.remove(&(lease.queued, handle));
        lease.queued = self.end_of(lease);
        self.order.insert((lease.queued, handle));
    }

    /// Whether a lease stands where it says, for checks.
    pub(super) fn has(&self, handle: u32, lease: &Lease) -> bool {
        self.order.contains(&(lease.queued, handle)) && lease.queued <= self.end_of(lease)
    }
}
