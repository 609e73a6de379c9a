//! Gives existing ports their address in a new auto-address subnet: a job, slice by slice.

use super::seeker::Seeker;
use super::state::{Class, slot_bit};
use super::wishes::{Wish, Wishes};
use crate::allocator::Shard;
use crate::limits::{JOB_SLICE_RECORD_BYTES_MAX, RECORD_BYTES_MAX};
use crate::model::{EffectSink, JobRow, Revision};
use std::ops::Bound;

/// Bytes of records from which on a slice takes no further port: the last one, with all its texts
/// and its address, and the job's own record still fit.
const FILL_BYTES_MAX: usize = JOB_SLICE_RECORD_BYTES_MAX - 2 * RECORD_BYTES_MAX;

impl Shard {
    /// Looks at the next ports of a job, at most `left`; true once it has seen all.
    pub(in crate::allocator) fn fill_ports(
        &mut self,
        network: u32,
        row: &mut JobRow,
        left: &mut usize,
        sink: &mut impl EffectSink,
    ) -> bool {
        let Some(subnet) = self.find_subnet(network, row.subnet_id) else { return true };
        if self.subnets.at(subnet).deleting {
            return true;
        }
        let start = sink.bytes();
        while *left > 0 && sink.bytes() - start < FILL_BYTES_MAX {
            let behind = (Bound::Excluded(row.cursor.0), Bound::Included(row.until.0));
            let next = self.networks.at(network).ports.range(behind).next();
            let Some((&created, &port)) = next else { return true };
            self.fill_port(port, subnet, sink);
            row.cursor = Revision(created);
            *left -= 1;
        }
        false
    }

    /// One port, for its own project.
    fn fill_port(&mut self, port: u32, subnet: u32, sink: &mut impl EffectSink) {
        self.act_for(self.ports.at(port).guest());
        self.fill_own_port(port, subnet, sink);
        self.act_for(None);
    }

    /// Nothing happens if it has the address, is none that should, or another owner has
    /// the address.
    fn fill_own_port(&mut self, port: u32, subnet: u32, sink: &mut impl EffectSink) {
        let of = self.ports.at(port);
        let (network, texts) = (of.network, of.texts().clone());
        let seeker = Seeker {
            network,
            owner: of.owner(),
            mac: of.mac,
            class: of.class,
            device_owner: texts.device_owner.as_ref(),
            host: texts.host.as_ref(),
            allow_gateway: false,
            restoring: false,
        };
        let wanted = seeker.class != Class::Router
            && seeker.is_served_by(self.subnets.at(subnet))
            && self.candidates(&seeker).automatic.contains(&subnet);
        let had = self.had(port);
        if !wanted || had.iter().any(|had| had.automatic && had.subnet == subnet) {
            return;
        }
        let used = had.iter().fold(0, |used, had| used | slot_bit(had.slot));
        let Some(address) = self.eui64_address(subnet, seeker.mac) else { return };
        // What is refused here was refused without an effect: the port goes without the address.
        _ = self.as_one_step(network, sink, |shard, sink| {
            let slot = shard.free_slot(&seeker, used)?;
            let wish = Wish::Exact(address, subnet);
            shard.fulfil_one(&seeker, &Wishes::default(), slot, wish, sink)?;
            let mut row = shard.next_port_row(port);
            row.slots = used | slot_bit(slot);
            Ok(shard.commit_port(network, row, sink))
        });
    }
}
