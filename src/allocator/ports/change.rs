//! Changes ports: what is asked for and held stays, the rest goes, what is missing is made.

use super::addresses::Had;
use super::create::{check_device_owner, no_port};
use super::seeker::Seeker;
use super::state::{Class, slot_bit};
use super::wishes::{Wish, Wishes};
use crate::allocator::Shard;
use crate::allocator::refusal::{Refused, refuse_field};
use crate::allocator::release::write;
use crate::allocator::subnets::rules;
use crate::model::{EffectSink, Family, PortRow, Setting, Status, Text};
use addrd_protocol::message::{IpAllocation, Port, PortUpdate};

impl Shard {
    /// Changes a port; an update that finds everything so already is repeated.
    pub(in crate::allocator) fn port_update(
        &mut self,
        network: u32,
        request: &PortUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<Port, Refused> {
        let port = self.find_port(network, request.port_id);
        let port = port.ok_or_else(|| no_port(request.port_id))?;
        if self.networks.at(network).deleting {
            return Err(rules::deleting("network"));
        }
        let before = self.port_row(port);
        let row = self.changed_row(network, &before, request)?;
        let records = self.networks.at(network).revision;
        let changed = self.as_one_step(network, sink, |shard, sink| {
            let mut row = row;
            shard.change_addresses(port, &before, &mut row, request, sink)?;
            let unchanged = shard.networks.at(network).revision == records;
            let same = PortRow { slots: before.slots, ..row.clone() } == before;
            if unchanged && same {
                return Ok(None);
            }
            shard.check_expected(port, request.expected)?;
            row.revision = shard.networks.at(network).next_revision();
            Ok(Some(shard.commit_port(network, row, sink)))
        })?;
        Ok(match changed {
            Some(port) => self.port(port),
            None => Port { repeated: true, ..self.port(port) },
        })
    }

    /// The attributes after an update, its addresses apart.
    fn changed_row(
        &self,
        network: u32,
        before: &PortRow,
        request: &PortUpdate,
    ) -> Result<PortRow, Refused> {
        let mut row = before.clone();
        if let Some(mac) = request.mac.filter(|mac| *mac != before.mac) {
            row.mac = self.checked_mac(network, mac)?;
        }
        check_device_owner(request.device_owner.value())?;
        write(&mut row.host, &request.host);
        write(&mut row.device_owner, &request.device_owner);
        write(&mut row.description, &request.description);
        Ok(row)
    }

    fn change_addresses(
        &mut self,
        port: u32,
        before: &PortRow,
        row: &mut PortRow,
        request: &PortUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<(), Refused> {
        let seeker = Seeker {
            network: self.ports.at(port).network,
            owner: self.ports.at(port).owner(),
            mac: row.mac,
            class: Class::of(row.device_owner.as_ref()),
            device_owner: row.device_owner.as_ref(),
            host: row.host.as_ref(),
            allow_gateway: request.allow_gateway,
            restoring: false,
        };
        let deferred = row.ip_allocation == IpAllocation::Deferred && row.host.is_some();
        let had = self.had(port);
        let kept = had.iter().map(|had| slot_bit(had.slot)).fold(0, |all, bit| all | bit);
        let slots;
        if !request.fixed_ips.is_unset() {
            let wishes = self.wishes(&seeker, &request.fixed_ips)?;
            row.ip_allocation = wishes.ip_allocation;
            slots = self.make_so(&seeker, wishes, &had, sink)?;
        } else if deferred {
            let wishes = self.wishes(&seeker, &Setting::Unset)?;
            row.ip_allocation = wishes.ip_allocation;
            let missing = self.without_had(wishes, &had);
            slots = self.fulfil(&seeker, &missing, kept, sink)?;
        } else {
            if row.host != before.host {
                self.check_host(&seeker, &had)?;
            }
            slots = self.remake(&seeker, before, &had, kept, sink)?;
        }
        row.slots = slots;
        Ok(())
    }

    /// The addresses of a port whose host alone changes must lie on segments that it reaches.
    fn check_host(&self, seeker: &Seeker<'_>, had: &[Had]) -> Result<(), Refused> {
        let Some(host) = seeker.host else { return Ok(()) };
        let apart = had.iter().find(|had| {
            let segment = self.subnets.at(had.subnet).row.service.segment_id;
            segment.is_some_and(|segment| !self.reaches(seeker.network, host, segment))
        });
        apart.map_or(Ok(()), |had| Err(not_compatible(host, had)))
    }

    /// Makes addresses anew that follow from a MAC which changed.
    fn remake(
        &mut self,
        seeker: &Seeker<'_>,
        before: &PortRow,
        had: &[Had],
        kept: u128,
        sink: &mut impl EffectSink,
    ) -> Result<u128, Refused> {
        if seeker.mac == before.mac {
            return Ok(before.slots);
        }
        let old: Vec<Had> = had.iter().copied().filter(|had| had.automatic).collect();
        let freed = self.release_had(&old, sink);
        let automatic = old.iter().map(|had| had.subnet).collect();
        let wishes = Wishes { automatic, ..Wishes::default() };
        self.fulfil(seeker, &wishes, kept & !freed, sink)
    }

    /// Wishes for automatic addresses that the port has not got.
    fn without_had(&self, mut wishes: Wishes, had: &[Had]) -> Wishes {
        wishes.automatic.retain(|at| !had.iter().any(|had| had.automatic && had.subnet == *at));
        wishes
    }

    /// Makes a port have what is asked for: keeps what satisfies a wish, releases the rest,
    /// allocates what is missing.
    fn make_so(
        &mut self,
        seeker: &Seeker<'_>,
        mut wishes: Wishes,
        had: &[Had],
        sink: &mut impl EffectSink,
    ) -> Result<u128, Refused> {
        let mut left: Vec<Had> = had.to_vec();
        let mut kept = 0;
        // Automatic ones stay while they follow from the MAC.
        left.retain(|had| {
            let stays =
                had.automatic && self.eui64_address(had.subnet, seeker.mac) == Some(had.address);
            if stays {
                kept |= slot_bit(had.slot);
                wishes.automatic.retain(|at| *at != had.subnet);
            } else if had.automatic {
                wishes.automatic.push(had.subnet);
            }
            !stays
        });
        wishes.automatic.sort_unstable();
        wishes.automatic.dedup();
        let mut keep = |is: &dyn Fn(&Had) -> bool| {
            let found = left.iter().position(|had| !had.automatic && is(had));
            found.map(|place| kept |= slot_bit(left.remove(place).slot)).is_some()
        };
        // Named addresses first, so that a wish for any one keeps none that another names.
        wishes.list.retain(|wish| match wish {
            Wish::Exact(address, _) => !keep(&|had| had.address == *address),
            Wish::Any(_) | Wish::Family(_) => true,
        });
        wishes.list.retain(|wish| match wish {
            Wish::Any(at) => !keep(&|had| had.subnet == *at),
            Wish::Family(family) => !keep(&|had| Family::of(&had.address) == *family),
            Wish::Exact(..) => true,
        });
        self.release_had(&left, sink);
        self.fulfil(seeker, &wishes, kept, sink)
    }
}

#[cold]
fn not_compatible(host: &Text, had: &Had) -> Refused {
    let message = format_args!(
        "{} lies on a segment that host {host} is not mapped to; the same request with other \
         fixed_ips would be accepted",
        had.address
    );
    refuse_field(Status::HOST_NOT_COMPATIBLE, "host", message)
}
