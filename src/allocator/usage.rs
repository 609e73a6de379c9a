//! Counts and free ranges. Reads only.

use super::Shard;
use super::lists::behind;
use super::pages::{Cursor, Kind, Page};
use super::pieces::Span;
use super::refusal::{Refused, refuse_field};
use super::shard::At;
use super::subnets::check_page_limit;
use crate::limits::USAGE_PIECES_MAX;
use crate::model::{Family, Range, Status};
use addrd_protocol::message::usage::{FREE_RANGES_MAX, USAGE_SUBNETS_MAX};
use addrd_protocol::message::{
    FreeRanges, FreeRangesReply, NetworkUsage, PageRequest, SubnetUsage, Usage,
};

impl Shard {
    /// Counts of a network's subnets.
    pub(super) fn usage(
        &self,
        at: &At,
        network: u32,
        request: &Usage,
    ) -> Result<NetworkUsage, Refused> {
        let network_id = self.networks.at(network).id;
        let (revision, since) = (self.networks.at(network).revision, request.changed_since);
        if let Some(name) = &request.subnet {
            if since.is_some() {
                let message = format_args!("changed_since chooses among all subnets, not one");
                return Err(refuse_field(Status::CONFLICTING_FIELDS, "changed_since", message));
            }
            let subnets = vec![self.subnet_usage(self.find_named_subnet(network, name)?)];
            return Ok(NetworkUsage { network_id, subnets, next: None, revision });
        }
        let from = self.networks.at(network).counted_from;
        let page = PageRequest { limit: 0, cursor: request.cursor.clone() };
        let cursor = Cursor::read(Kind::Usage, at, &page)?;
        let mut page = Page::new(USAGE_SUBNETS_MAX as u32);
        let (mut family, mut pieces) = (Family::V4, 0);
        for key in self.networks.at(network).order.iter_from(behind(cursor)) {
            let subnet = self.subnets.at(key.subnet());
            pieces += subnet.pieces.all().len() + 1;
            if pieces > USAGE_PIECES_MAX && page.is_begun() {
                page.cut();
                break;
            }
            let shown = since.is_none_or(|since| subnet.counted.max(from) > since);
            let item = shown.then(|| self.subnet_usage(key.subnet()));
            if !page.look_at(subnet.base, item) {
                break;
            }
            family = key.family;
        }
        let (subnets, next) = page.finish(Kind::Usage, at, family);
        Ok(NetworkUsage { network_id, subnets, next, revision })
    }

    /// Counts of a subnet.
    pub(super) fn subnet_usage(&self, at: u32) -> SubnetUsage {
        let subnet = self.subnets.at(at);
        let (pool_size, free) = (subnet.pieces.size(), subnet.pieces.free());
        let pinned = self.pins_unheld(at);
        let excluded = subnet.pieces.excluded() - pinned;
        let allocated = pool_size - free - excluded - pinned;
        SubnetUsage {
            subnet_id: subnet.row.id,
            cidr: subnet.row.prefix,
            size: subnet.offset_max() + 1,
            pool_size,
            free,
            held: 0,
            allocated,
            quarantined: 0,
            excluded,
            pinned,
            used_outside: subnet.map.taken(&self.maps) - allocated,
        }
    }

    /// Free ranges of a subnet's pools outside of its exclusions, in rising order.
    pub(super) fn free_ranges(
        &self,
        network: u32,
        request: &FreeRanges,
    ) -> Result<FreeRangesReply, Refused> {
        let most = check_page_limit(request.limit, FREE_RANGES_MAX)? as usize;
        let at = self.find_named_subnet(network, &request.subnet)?;
        let subnet = self.subnets.at(at);
        let mut from = 0;
        if let Some(address) = &request.from {
            if Family::of(address) != subnet.family {
                let message = format_args!("from is of another family than {}", subnet.prefix());
                return Err(refuse_field(Status::CONFLICTING_FIELDS, "from", message));
            }
            from = addrd_protocol::prefix::number_of(address).saturating_sub(subnet.base);
        }
        let mut spans: Vec<Span> = subnet
            .pieces
            .open_within((from, subnet.offset_max().max(from)))
            .map(|piece| (piece.first, piece.last))
            .collect();
        spans.sort_unstable();
        let mut found: Vec<Span> = Vec::new();
        let mut next = None;
        'spans: for (first, last) in joined(&spans) {
            let mut start = first;
            while let Some(free) = subnet.map.find_free(&self.maps, start, last, 0) {
                if found.len() == most {
                    next = Some(free);
                    break 'spans;
                }
                let taken = subnet.map.next_taken(&self.maps, free).filter(|&at| at <= last);
                found.push((free, taken.map_or(last, |at| at - 1)));
                match taken {
                    Some(taken) => start = taken,
                    None => break,
                }
            }
        }
        let range = |(first, last)| Range::new(subnet.address(first), subnet.address(last));
        Ok(FreeRangesReply {
            subnet_id: subnet.row.id,
            ranges: found.into_iter().filter_map(range).collect(),
            next: next.map(|offset| subnet.address(offset)),
        })
    }
}

/// Sorted spans, those that touch made one.
fn joined(spans: &[Span]) -> Vec<Span> {
    let mut all: Vec<Span> = Vec::with_capacity(spans.len());
    for &(first, last) in spans {
        match all.last_mut() {
            Some(before) if before.1.checked_add(1) == Some(first) => before.1 = last,
            _ => all.push((first, last)),
        }
    }
    all
}
