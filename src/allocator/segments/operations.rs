//! Creates, changes and deletes segments, and maps hosts to them.

use crate::allocator::Shard;
use crate::allocator::refusal::{Refused, limit, out_of_range, refuse, refuse_field, with};
use crate::allocator::release::write;
use crate::allocator::subnets::rules;
use crate::limits::{HOST_SEGMENTS_MAX, HOSTS_PER_NETWORK_MAX, SEGMENTS_PER_NETWORK_MAX};
use crate::model::{
    Effect, EffectSink, HostRow, Revision, SegmentId, SegmentRow, Status, Text, Thing,
};
use addrd_protocol::message::segment::SEGMENT_HOSTS_MAX;
use addrd_protocol::message::{
    Detail, Segment, SegmentCreate, SegmentDelete, SegmentHosts, SegmentUpdate,
};

impl Shard {
    /// Creates a segment, or shows the one that exists.
    pub(in crate::allocator) fn segment_create(
        &mut self,
        network: u32,
        request: &SegmentCreate,
        sink: &mut impl EffectSink,
    ) -> Result<Segment, Refused> {
        if let Some(row) = self.segment_row(network, request.segment_id) {
            return Ok(Segment { repeated: true, ..self.segment(network, &row.clone()) });
        }
        self.check_living(network)?;
        let count = self.networks.at(network).plan.as_ref().map_or(0, |plan| plan.segments.len());
        if count >= SEGMENTS_PER_NETWORK_MAX {
            let most = SEGMENTS_PER_NETWORK_MAX as u128;
            return Err(limit("SEGMENTS_PER_NETWORK_MAX", count as u128 + 1, most));
        }
        self.check_room_for_records()?;
        let of = self.networks.at(network);
        let row = SegmentRow {
            network: of.handle,
            revision: of.next_revision(),
            created: of.next_revision(),
            id: request.segment_id,
            description: request.description.clone(),
        };
        self.commit(&Effect::SegmentPut(Box::new(row.clone())), sink);
        Ok(self.segment(network, &row))
    }

    /// Changes a segment; an update that finds everything so already is repeated.
    pub(in crate::allocator) fn segment_update(
        &mut self,
        network: u32,
        request: &SegmentUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<Segment, Refused> {
        let mut row = self.known_segment(network, request.segment_id)?;
        self.check_living(network)?;
        if !write(&mut row.description, &request.description) {
            return Ok(Segment { repeated: true, ..self.segment(network, &row) });
        }
        check_expected(row.revision, request.expected)?;
        row.revision = self.networks.at(network).next_revision();
        self.commit(&Effect::SegmentPut(Box::new(row.clone())), sink);
        Ok(self.segment(network, &row))
    }

    /// Deletes a segment that no subnet is on, with what is mapped to it.
    pub(in crate::allocator) fn segment_delete(
        &mut self,
        network: u32,
        request: &SegmentDelete,
        sink: &mut impl EffectSink,
    ) -> Result<(), Refused> {
        let row = self.known_segment(network, request.segment_id)?;
        check_expected(row.revision, request.expected)?;
        let shown = self.segment(network, &row);
        if shown.subnets > 0 {
            let message = format_args!(
                "{} subnets are on the segment; it can be deleted once they are gone",
                shown.subnets
            );
            let refused = refuse(Status::IN_USE, message);
            return Err(with(refused, Detail::Count { count: shown.subnets.into() }));
        }
        if shown.hosts as usize > SEGMENT_HOSTS_MAX {
            let message = format_args!(
                "{} hosts are mapped to the segment; at most {SEGMENT_HOSTS_MAX} go with it, \
                 segment_hosts takes the others away",
                shown.hosts
            );
            let refused = refuse(Status::IN_USE, message);
            return Err(with(refused, Detail::Count { count: shown.hosts.into() }));
        }
        let plan = self.networks.at(network).plan.as_ref();
        let hosts = plan.and_then(|plan| plan.segment_hosts.get(&request.segment_id));
        let hosts: Vec<u64> = hosts.into_iter().flatten().copied().collect();
        for created in hosts {
            self.commit_thing_gone(network, Thing::Host, Revision(created), sink);
        }
        self.commit_thing_gone(network, Thing::Segment, row.created, sink);
        Ok(())
    }

    /// Maps hosts to a segment and takes others away, in one step.
    pub(in crate::allocator) fn segment_hosts(
        &mut self,
        network: u32,
        request: &SegmentHosts,
        sink: &mut impl EffectSink,
    ) -> Result<Segment, Refused> {
        let row = self.known_segment(network, request.segment_id)?;
        self.check_living(network)?;
        check_hosts(request)?;
        let missing: Vec<Text> = request
            .add
            .iter()
            .filter(|host| self.mapping(network, host, row.id).is_none())
            .cloned()
            .collect();
        self.check_room_for_hosts(network, &missing)?;
        let before = self.networks.at(network).revision;
        for host in missing {
            if self.mapping(network, &host, row.id).is_some() {
                continue;
            }
            let of = self.networks.at(network);
            let mapping =
                HostRow { network: of.handle, created: of.next_revision(), segment: row.id, host };
            self.commit(&Effect::HostPut(Box::new(mapping)), sink);
        }
        for host in &request.remove {
            if let Some(created) = self.mapping(network, host, row.id) {
                self.commit_thing_gone(network, Thing::Host, created, sink);
            }
        }
        let repeated = self.networks.at(network).revision == before;
        Ok(Segment { repeated, ..self.segment(network, &row) })
    }

    fn check_room_for_hosts(&self, network: u32, missing: &[Text]) -> Result<(), Refused> {
        let Some(plan) = self.networks.at(network).plan.as_deref() else { return Ok(()) };
        let all = plan.hosts.len() + missing.len();
        if all > HOSTS_PER_NETWORK_MAX {
            let most = HOSTS_PER_NETWORK_MAX as u128;
            return Err(limit("HOSTS_PER_NETWORK_MAX", all as u128, most));
        }
        let full = missing.iter().find(|host| plan.reached(host).count() >= HOST_SEGMENTS_MAX);
        match full {
            None => self.check_room_for_records(),
            Some(_) => {
                let most = HOST_SEGMENTS_MAX as u128;
                Err(limit("HOST_SEGMENTS_MAX", most + 1, most))
            }
        }
    }

    /// When a host was mapped to a segment.
    fn mapping(&self, network: u32, host: &Text, segment: SegmentId) -> Option<Revision> {
        let plan = self.networks.at(network).plan.as_deref()?;
        plan.host_segments.get(host)?.get(&segment).copied().map(Revision)
    }

    pub(in crate::allocator) fn segment_row(
        &self,
        network: u32,
        id: SegmentId,
    ) -> Option<&SegmentRow> {
        let plan = self.networks.at(network).plan.as_deref()?;
        plan.segments.get(plan.segment_ids.get(&id)?)
    }

    pub(super) fn known_segment(&self, network: u32, id: SegmentId) -> Result<SegmentRow, Refused> {
        self.segment_row(network, id).cloned().ok_or_else(|| no_segment(id))
    }

    /// Refuses changes of a network that is being deleted.
    pub(in crate::allocator) fn check_living(&self, network: u32) -> Result<(), Refused> {
        if self.networks.at(network).deleting {
            return Err(rules::deleting("network"));
        }
        Ok(())
    }

    /// Pushes and absorbs that a segment, host or pin is gone.
    pub(in crate::allocator) fn commit_thing_gone(
        &mut self,
        network: u32,
        thing: Thing,
        created: Revision,
        sink: &mut impl EffectSink,
    ) {
        let of = self.networks.at(network);
        let plan = of.plan.as_deref().expect("what is planned is in a plan");
        let was = plan.was(thing, created).expect("what goes was there");
        let (network, revision) = (of.handle, of.next_revision());
        self.commit(&Effect::ThingGone { network, revision, created, was }, sink);
    }
}

fn check_expected(now: Revision, expected: Revision) -> Result<(), Refused> {
    if expected.0 != 0 && expected != now {
        return Err(rules::stale(now, expected));
    }
    Ok(())
}

fn check_hosts(request: &SegmentHosts) -> Result<(), Refused> {
    for (field, list) in [("add", &request.add), ("remove", &request.remove)] {
        if list.len() > SEGMENT_HOSTS_MAX {
            return Err(out_of_range(field, list.len() as u128, 0, SEGMENT_HOSTS_MAX as u128));
        }
        if list.iter().any(|host| host.is_empty()) {
            return Err(out_of_range(field, 0, 1, addrd_protocol::text::TEXT_BYTES_MAX as u128));
        }
    }
    match request.add.iter().find(|host| request.remove.contains(host)) {
        None => Ok(()),
        Some(host) => {
            let message = format_args!("host {host} is to be added and removed; one is accepted");
            Err(refuse_field(Status::CONFLICTING_FIELDS, "remove", message))
        }
    }
}

/// No such segment.
#[cold]
pub(in crate::allocator) fn no_segment(id: SegmentId) -> Refused {
    let message = format_args!("the network has no segment {id}");
    refuse_field(Status::NOT_FOUND, "segment_id", message)
}
