//! Segments and mappings as replies show them. Reads only.

use crate::allocator::Shard;
use crate::allocator::pages::{Cursor, Kind, Page};
use crate::allocator::refusal::Refused;
use crate::allocator::shard::At;
use crate::allocator::subnets::check_page_limit;
use crate::model::{Family, SegmentRow};
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::{
    HostList, HostMapping, HostPage, PageRequest, Segment, SegmentGet, SegmentList, SegmentPage,
};
use std::collections::BTreeMap;
use std::ops::Bound;

impl Shard {
    /// A segment as it is.
    pub(super) fn segment(&self, network: u32, row: &SegmentRow) -> Segment {
        let of = self.networks.at(network);
        let plan = of.plan.as_deref();
        let subnets = plan.and_then(|plan| plan.segment_subnets.get(&row.id));
        let hosts = plan.and_then(|plan| plan.segment_hosts.get(&row.id));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Segment {
            segment_id: row.id,
            network_id: of.id,
            revision: row.revision,
            subnets: count(subnets.map_or(0, |on| on.len())),
            hosts: count(hosts.map_or(0, |mapped| mapped.len())),
            repeated: false,
            description: row.description.clone(),
        }
    }

    /// Reads a segment.
    pub(in crate::allocator) fn segment_get(
        &self,
        network: u32,
        request: &SegmentGet,
    ) -> Result<Segment, Refused> {
        let row = self.known_segment(network, request.segment_id)?;
        Ok(self.segment(network, &row))
    }

    /// Segments of a network in the order in which they were made.
    pub(in crate::allocator) fn segment_list(
        &self,
        at: &At,
        network: u32,
        request: &SegmentList,
    ) -> Result<SegmentPage, Refused> {
        let empty = BTreeMap::new();
        let plan = self.networks.at(network).plan.as_deref();
        let all = plan.map_or(&empty, |plan| &plan.segments);
        let show = |row: &SegmentRow| Some(self.segment(network, row));
        let page = pages(at, Kind::Segment, &request.page, all, show)?;
        let (items, next) = page.finish(Kind::Segment, at, Family::V4);
        Ok(SegmentPage { position: at.position, items, next })
    }

    /// Mappings of a network in the order in which they were made.
    pub(in crate::allocator) fn host_list(
        &self,
        at: &At,
        network: u32,
        request: &HostList,
    ) -> Result<HostPage, Refused> {
        let empty = BTreeMap::new();
        let plan = self.networks.at(network).plan.as_deref();
        let all = plan.map_or(&empty, |plan| &plan.hosts);
        let page = pages(at, Kind::Host, &request.page, all, |row| {
            let shown = request.segment_id.is_none_or(|id| id == row.segment)
                && request.host.as_ref().is_none_or(|host| *host == row.host);
            shown.then(|| HostMapping { segment_id: row.segment, host: row.host.clone() })
        })?;
        let (items, next) = page.finish(Kind::Host, at, Family::V4);
        Ok(HostPage { position: at.position, items, next })
    }
}

/// A page of things that are ordered by the revision at which they were made.
pub(in crate::allocator) fn pages<R, T>(
    at: &At,
    kind: Kind,
    request: &PageRequest,
    all: &BTreeMap<u64, R>,
    show: impl Fn(&R) -> Option<T>,
) -> Result<Page<T>, Refused> {
    let most = check_page_limit(request.limit, PAGE_OBJECTS_MAX)?;
    let from = match Cursor::read(kind, at, request)? {
        None => Bound::Unbounded,
        Some(cursor) => Bound::Excluded(cursor.key as u64),
    };
    let mut page = Page::new(most);
    for (&created, row) in all.range((from, Bound::Unbounded)) {
        if !page.look_at(created.into(), show(row)) {
            break;
        }
    }
    Ok(page)
}
