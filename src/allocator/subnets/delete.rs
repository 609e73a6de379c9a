//! Deletes subnets: who stands in the way, and what goes with them.
//!
//! Source: protocol/SPEC.md, subnet_delete. A subnet goes at once if it is small, else as a job.

use super::rules;
use super::{in_use, no_subnet};
use crate::allocator::Shard;
use crate::allocator::ports::Class;
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
        if live == 0 || (!request.force && live <= DELETION_AT_ONCE_MAX as u64) {
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
        Ok(self.start_job(network, JobKind::SubnetDelete, request.subnet_id, live + 1, sink))
    }

    fn release_all(&mut self, at: u32, sink: &mut impl EffectSink) {
        while let Some(offset) = self.subnets.at(at).map.next_taken(&self.maps, 0) {
            let record = self.ledger.find_at(at, offset);
            self.commit_gone(record.expect("each taken offset begins an allocation"), sink);
        }
    }

    /// Refuses the deletion of a subnet in which something does not yield to it.
    ///
    /// Shape: looks at no more than [`DELETION_LOOKS_MAX`] allocations.
    fn check_yielding(&self, at: u32) -> Result<(), Refused> {
        let subnet = self.subnets.at(at);
        let live = subnet.allocations;
        let (mut from, mut looks) = (0, 0);
        while let Some(taken) = subnet.map.next_taken(&self.maps, from) {
            let Some(record) = self.find_covering(at, taken) else { break };
            if !self.yields(at, record) {
                let refused = in_use("subnet", live);
                return Err(with(refused, Detail::Held(Box::new(self.allocation(record)))));
            }
            looks += 1;
            if looks >= DELETION_LOOKS_MAX {
                return Err(too_many(live));
            }
            let of = self.ledger.at(record);
            match last_of(self.ledger.offset(of), of.block_bits).checked_add(1) {
                Some(next) => from = next,
                None => break,
            }
        }
        Ok(())
    }

    /// Whether an allocation goes silently with its subnet.
    fn yields(&self, at: u32, record: u32) -> bool {
        let automatic = self.subnets.at(at).row.service.is_auto_address();
        let class = self.port_of(record).map(|port| self.ports.at(port).class);
        class.is_some_and(|class| class.yields() || (automatic && class != Class::Router))
    }
}

#[cold]
fn too_many(live: u64) -> Refused {
    let message = format_args!(
        "the subnet has {live} live allocations, more than the {DELETION_LOOKS_MAX} that are looked \
         through for one that stands in the way; force would release them"
    );
    with(refuse(Status::IN_USE, message), Detail::Count { count: live.into() })
}
