//! Counts and free ranges. Reads only.

use super::Shard;
use super::growth::Outlook;
use super::lists::behind;
use super::network::family_index;
use super::order::Key;
use super::pages::{Cursor, Kind, Page};
use super::pieces::Span;
use super::refusal::{Refused, refuse_field};
use super::shard::At;
use super::subnets::check_page_limit;
use super::totals::Totals;
use crate::limits::USAGE_PIECES_MAX;
use crate::model::{Family, Range, Revision, Status, SubnetId};
use addrd_protocol::message::usage::{FREE_RANGES_MAX, USAGE_GONE_MAX, USAGE_SUBNETS_MAX};
use addrd_protocol::message::{
    FreeRanges, FreeRangesReply, NetworkUsage, PageRequest, SubnetUsage, Usage, UsageTotals,
};

impl Shard {
    /// Counts of a network: sums, and its subnets or those that changed.
    ///
    /// Shape: the sums cost nothing that grows; a look at each subnet of the page and at those passed
    /// over since they did not change.
    pub(super) fn usage(
        &self,
        at: &At,
        network: u32,
        request: &Usage,
    ) -> Result<NetworkUsage, Refused> {
        check_usage(request)?;
        let of = self.networks.at(network);
        let empty = NetworkUsage {
            network_id: of.id,
            whole: false,
            totals: Vec::new(),
            subnets: Vec::new(),
            next: None,
            revision: of.revision,
            gone: Vec::new(),
        };
        if let Some(name) = &request.subnet {
            let subnets = vec![self.subnet_usage(at, self.find_named_subnet(network, name)?)];
            return Ok(NetworkUsage { subnets, ..empty });
        }
        let totals = self.totals(network, request.family);
        if request.totals_only {
            return Ok(NetworkUsage { totals, ..empty });
        }
        let since = request.changed_since.filter(|since| self.is_remembered(network, *since));
        let gone = since.map_or_else(Vec::new, |since| self.gone(network, request, since));
        let whole = since.is_none() || gone.len() > USAGE_GONE_MAX;
        let since = since.filter(|_| !whole);
        let (subnets, next) = self.usage_page(at, network, request, since)?;
        let gone = if whole || request.cursor.is_some() { Vec::new() } else { gone };
        Ok(NetworkUsage { whole, totals, subnets, next, gone, ..empty })
    }

    fn usage_page(
        &self,
        at: &At,
        network: u32,
        request: &Usage,
        since: Option<Revision>,
    ) -> Result<(Vec<SubnetUsage>, Option<addrd_protocol::message::list::Cursor>), Refused> {
        let page = PageRequest { limit: 0, cursor: request.cursor.clone() };
        let cursor = Cursor::read(Kind::Usage, at, &page)?;
        let first = Key::before(request.family.unwrap_or(Family::V4), 0);
        let mut page = Page::new(USAGE_SUBNETS_MAX as u32);
        let (mut family, mut pieces) = (first.family, 0);
        let keys = self.networks.at(network).order.iter_from(behind(cursor).max(first));
        for key in keys.take_while(|key| request.family.is_none_or(|only| key.family == only)) {
            let subnet = self.subnets.at(key.subnet());
            pieces += subnet.pieces.all().len() + 1;
            if pieces > USAGE_PIECES_MAX && page.is_begun() {
                page.cut();
                break;
            }
            let shown = since.is_none_or(|since| subnet.counted > since);
            let item = shown.then(|| self.subnet_usage(at, key.subnet()));
            if !page.look_at(subnet.base, item) {
                break;
            }
            family = key.family;
        }
        Ok(page.finish(Kind::Usage, at, family))
    }

    /// The sums of a network by family.
    fn totals(&self, network: u32, only: Option<Family>) -> Vec<UsageTotals> {
        let families = [Family::V4, Family::V6].into_iter();
        let families = families.filter(|family| only.is_none_or(|only| only == *family));
        let totals = &self.networks.at(network).totals;
        let of = |family| Some(totals[family_index(family)].as_ref()?.of_family(family));
        families.filter_map(of).collect()
    }

    /// Whether it is known what changed in a network behind a revision.
    fn is_remembered(&self, network: u32, since: Revision) -> bool {
        let of = self.networks.at(network);
        of.known_from <= since && since <= of.revision
    }

    /// Subnets that were deleted behind a revision, one more at most than a reply may have.
    fn gone(&self, network: u32, request: &Usage, since: Revision) -> Vec<SubnetId> {
        let gone = self.departed.behind(self.networks.at(network).handle, since);
        let gone = gone.filter(|(_, family)| request.family.is_none_or(|only| only == *family));
        gone.map(|(id, _)| id).take(USAGE_GONE_MAX + 1).collect()
    }

    /// Counts of a subnet.
    pub(super) fn subnet_usage(&self, at: &At, handle: u32) -> SubnetUsage {
        let subnet = self.subnets.at(handle);
        let counts = Totals::of(subnet, &self.maps).of_subnet(subnet);
        let Outlook { hour, day, watched_ms } = self.outlook(handle, at.tick);
        SubnetUsage {
            growth_1h: hour,
            growth_24h: day,
            watched_ms: (watched_ms > 0).then_some(watched_ms),
            ..counts
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

/// Refuses what does not go together.
pub(super) fn check_usage(request: &Usage) -> Result<(), Refused> {
    let conflict = |field: &str, why: &str| {
        Err(refuse_field(Status::CONFLICTING_FIELDS, field, format_args!("{field} {why}")))
    };
    let Usage { subnet, cursor, changed_since, family, totals_only } = request;
    if *totals_only && (subnet.is_some() || cursor.is_some() || changed_since.is_some()) {
        return conflict("totals_only", "goes with a family and nothing else");
    }
    if subnet.is_none() {
        return Ok(());
    }
    if changed_since.is_some() {
        return conflict("changed_since", "chooses among all subnets, not one");
    }
    if family.is_some() {
        return conflict("family", "chooses among all subnets, not one");
    }
    Ok(())
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
