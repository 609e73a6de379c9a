//! Deletes subnets: who stands in the way, and what goes with them.
//!
//! Source: protocol/SPEC.md, subnet_delete. A subnet goes at once if it is small, else as a job.

use super::no_subnet;
use super::rules;
use crate::allocator::Shard;
use crate::allocator::refusal::{Refused, refuse, with};
use crate::allocator::subnet::last_of;
use crate::limits::{DELETION_AT_ONCE_MAX, DELETION_LOOKS_MAX};
use crate::model::{Effect, EffectSink, Status, SubnetRow};
use addrd_protocol::message::{Detail, JobKind, Reply, SubnetDelete};

impl Shard {
    /// Deletes a subnet: at once if little is in it, as a job if much is. What is in it stands in
    /// the way, unless it yields or the deletion is forced.
    pub(in crate::allocator) fn subnet_delete(
        &mut self,
        network: u32,
        request: &SubnetDelete,
        sink: &mut impl EffectSink,
    ) -> Result<Reply, Refused> {
        let at = self.find_subnet(network, request.subnet_id);
        let at = at.ok_or_else(|| no_subnet(request.subnet_id))?;
        let subnet = self.subnets.at(at);
        if subnet.deleting {
            return self.running_job(network, request.subnet_id);
        }
        if request.expected.0 != 0 && request.expected != subnet.row.revision {
            return Err(rules::stale(subnet.row.revision, request.expected));
        }
        let live = subnet.allocations;
        if live > 0 && !request.force {
            self.check_yielding(at)?;
        }
        // What rests stands in nobody's way, and goes too.
        let inside = live + subnet.resting();
        if (live == 0 || !request.force) && inside <= DELETION_AT_ONCE_MAX as u64 {
            self.release_all(at, sink);
            self.end_pins_in(at, usize::MAX, sink);
            self.commit_subnet_gone(at, sink);
            return Ok(Reply::Empty);
        }
        self.check_room_for_job()?;
        let mut row = SubnetRow::clone(&self.subnets.at(at).row);
        row.deleting = true;
        row.revision = self.networks.at(network).next_revision();
        self.commit(&Effect::SubnetPut(Box::new(row)), sink);
        Ok(self.start_job(network, JobKind::SubnetDelete, request.subnet_id, inside + 1, sink))
    }

    /// Makes everything free that is in a subnet.
    pub(in crate::allocator) fn release_all(&mut self, at: u32, sink: &mut impl EffectSink) {
        while let Some(offset) = self.subnets.at(at).map.next_taken(&self.maps, 0) {
            let record = self.ledger.find_at(at, offset);
            self.commit_free(record.expect("each taken offset begins an allocation"), sink);
        }
    }

    /// Refuses the deletion of a subnet in which something does not yield to it, and shows an example
    /// if one is found soon.
    fn check_yielding(&self, at: u32) -> Result<(), Refused> {
        let subnet = self.subnets.at(at);
        let blocking = subnet.blocking();
        if blocking == 0 {
            return Ok(());
        }
        let refused = not_yielding(blocking, subnet.allocations);
        Err(match self.blocking_example(at) {
            Some(record) => with(refused, Detail::Held(Box::new(self.allocation(record)))),
            None => refused,
        })
    }

    /// An allocation that does not yield to the deletion of its subnet.
    ///
    /// Shape: looks at no more than [`DELETION_LOOKS_MAX`] allocations.
    fn blocking_example(&self, at: u32) -> Option<u32> {
        let subnet = self.subnets.at(at);
        let mut from = 0;
        for _ in 0..DELETION_LOOKS_MAX {
            let record = self.find_covering(at, subnet.map.next_taken(&self.maps, from)?)?;
            let of = self.ledger.at(record);
            if !of.rests() && !subnet.yields(of.holder()) {
                return Some(record);
            }
            from = last_of(self.ledger.offset(of), of.block_bits).checked_add(1)?;
        }
        None
    }
}

#[cold]
fn not_yielding(blocking: u64, live: u64) -> Refused {
    let message = format_args!(
        "{blocking} of the {live} live allocations of the subnet stand in the way; force would \
         release them"
    );
    with(refuse(Status::IN_USE, message), Detail::Count { count: blocking.into() })
}
