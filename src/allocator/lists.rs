//! Lists: networks, subnets, allocations, a bounded piece at a time.

use super::Shard;
use super::order::Key;
use super::pages::{Cursor, Kind, Page};
use super::refusal::Refused;
use super::shard::At;
use super::subnet::{Subnet, last_of};
use super::subnets::{check_page_limit, no_subnet};
use crate::limits::LIST_OBJECTS_MAX;
use crate::model::{Family, NetworkId, ProjectId, Text};
use addrd_protocol::codec::{ITEMS_BYTES_MAX, subnet_bytes};
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::{
    Allocation, AllocationFilter, AllocationList, AllocationPage, AllocationState, NetworkList,
    NetworkPage, SubnetList, SubnetPage,
};
use std::ops::Bound;

impl Shard {
    /// Networks of a project, and those that others share, by id and project.
    pub(super) fn network_list(
        &self,
        at: &At,
        project: ProjectId,
        request: &NetworkList,
    ) -> Result<NetworkPage, Refused> {
        let most = check_page_limit(request.page.limit, PAGE_OBJECTS_MAX)?;
        let behind = Cursor::read(Kind::Network, at, &request.page)?;
        let behind = behind
            .map(|cursor| (NetworkId::from_u128(cursor.key), ProjectId::from_u128(cursor.beside)));
        let mut page = Page::new(most);
        for (id, of, network) in self.visible_networks(project, behind) {
            let name = self.networks.at(network).name.as_deref().unwrap_or_default();
            let shown = request.name_prefix.as_deref().is_none_or(|start| name.starts_with(start));
            let item = shown.then(|| self.network(network));
            if !page.look_beside(id.0.as_u128(), of.0.as_u128(), item) {
                break;
            }
        }
        let (items, next) = page.finish(Kind::Network, at, Family::V4);
        Ok(NetworkPage { position: at.position, items, next })
    }

    /// A project's own networks and those that others share, by id and project, from behind one on.
    ///
    /// Shape: steps over nothing but what both orders have, the project's own shared networks.
    fn visible_networks(
        &self,
        project: ProjectId,
        behind: Option<(NetworkId, ProjectId)>,
    ) -> impl Iterator<Item = (NetworkId, ProjectId, u32)> {
        // The own one with the id of the last one looked at may be in front of that one, and is
        // then passed.
        let first = behind.map_or(NetworkId::NIL, |(id, _)| id);
        let last = NetworkId::from_u128(u128::MAX);
        let own = self.ordered.range((project, first)..=(project, last));
        let own = own.map(|(&(of, id), &network)| (id, of, network));
        let own = own.filter(move |(id, of, _)| behind.is_none_or(|b| (*id, *of) > b));
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let lent = self.lent.range((from, Bound::Unbounded));
        let lent = lent.map(|(&(id, of), &network)| (id, of, network));
        merged(own, lent)
    }

    /// Subnets of a network by family and prefix.
    pub(super) fn subnet_list(
        &self,
        at: &At,
        network: u32,
        request: &SubnetList,
    ) -> Result<SubnetPage, Refused> {
        let most = check_page_limit(request.page.limit, PAGE_OBJECTS_MAX)?;
        let cursor = Cursor::read(Kind::Subnet, at, &request.page)?;
        let mut page = Page::new(most);
        let mut family = Family::V4;
        let mut bytes = 0;
        for key in self.networks.at(network).order.iter_from(behind(cursor)) {
            let item = self.subnet(key.subnet());
            bytes += subnet_bytes(&item);
            if bytes > ITEMS_BYTES_MAX && page.is_begun() {
                page.cut();
                break;
            }
            if !page.look_at(self.subnets.at(key.subnet()).base, Some(item)) {
                break;
            }
            family = key.family;
        }
        let (items, next) = page.finish(Kind::Subnet, at, family);
        Ok(SubnetPage { position: at.position, items, next })
    }

    /// Allocations of a network by family and address.
    pub(super) fn allocation_list(
        &self,
        at: &At,
        network: u32,
        request: &AllocationList,
    ) -> Result<AllocationPage, Refused> {
        let most = check_page_limit(request.page.limit, PAGE_OBJECTS_MAX)?;
        if let Some(id) = request.filter.subnet {
            self.find_subnet(network, id).ok_or_else(|| no_subnet(id))?;
        }
        let cursor = Cursor::read(Kind::Allocation, at, &request.page)?;
        let mut walk = Walk { page: Page::new(most), family: Family::V4, subnets: 0 };
        let start = cursor.unwrap_or(Cursor { family: Family::V4, key: 0, beside: 0 });
        let begun = cursor.is_some();
        let first = self.subnet_at_or_before(network, start);
        for key in self.networks.at(network).order.iter_from(first) {
            if !self.wants_subnet(key, &request.filter) {
                if !walk.skip(self.subnets.at(key.subnet()), key.family) {
                    break;
                }
                continue;
            }
            if !self.walk_subnet(key, begun.then_some(start), &request.filter, &mut walk) {
                break;
            }
        }
        let family = walk.family;
        let (items, next) = walk.page.finish(Kind::Allocation, at, family);
        Ok(AllocationPage { position: at.position, items, next })
    }

    /// The subnet in which a cursor stands, or the first behind it.
    fn subnet_at_or_before(&self, network: u32, cursor: Cursor) -> Key {
        let order = &self.networks.at(network).order;
        let before = order.last_before(Key::behind(cursor.family, cursor.key));
        before
            .filter(|key| key.family == cursor.family)
            .unwrap_or(Key::before(cursor.family, cursor.key))
    }

    fn wants_subnet(&self, key: Key, filter: &AllocationFilter) -> bool {
        filter.family.is_none_or(|family| family == key.family)
            && filter.subnet.is_none_or(|id| id == self.subnets.at(key.subnet()).row.id)
    }

    /// Looks at the allocations of a subnet behind the cursor; false once the page is full.
    fn walk_subnet(
        &self,
        key: Key,
        behind: Option<Cursor>,
        filter: &AllocationFilter,
        walk: &mut Walk,
    ) -> bool {
        let at = key.subnet();
        let subnet = self.subnets.at(at);
        let mut from = match behind {
            Some(cursor) if cursor.family == key.family && cursor.key >= subnet.base => {
                match (cursor.key - subnet.base).checked_add(1) {
                    Some(from) => from,
                    None => return true,
                }
            }
            _ => 0,
        };
        while from <= subnet.offset_max() {
            let Some(taken) = subnet.map.next_taken(&self.maps, from) else { break };
            let Some(record) = self.find_covering(at, taken) else { break };
            let begins = self.ledger.offset(self.ledger.at(record));
            let last = last_of(begins, self.ledger.at(record).block_bits);
            if begins >= from {
                let shown = self.matches(record, filter).then(|| self.allocation(record));
                if !walk.page.look_at(subnet.base + begins, shown) {
                    return false;
                }
                walk.family = key.family;
            }
            match last.checked_add(1) {
                Some(next) => from = next,
                None => break,
            }
        }
        walk.skip(subnet, key.family)
    }

    fn matches(&self, record: u32, filter: &AllocationFilter) -> bool {
        let of = self.ledger.at(record);
        if !self.sees(of) || self.is_over(of) {
            return false;
        }
        // What rests is no allocation: who wants to see it says so.
        let is_asked_for = filter.state == Some(AllocationState::Quarantined);
        if of.rests() && !(is_asked_for && self.still_rests(of)) {
            return false;
        }
        // What is not shown of a guest's allocation can't be asked for either.
        let asks_who = filter.owner.is_some()
            || filter.manager.is_some()
            || filter.host.is_some()
            || filter.label.is_some();
        if asks_who && !self.is_own(of) {
            return false;
        }
        if filter.state.is_some_and(|state| state != of.state())
            || filter.owner.is_some_and(|owner| owner != of.owner())
        {
            return false;
        }
        if let Some(since) = filter.changed_since {
            let changed =
                self.ledger.extras(of).map_or(of.revision, |e| e.changed.max(of.revision));
            if changed <= since {
                return false;
            }
        }
        if filter.manager.is_none() && filter.host.is_none() && filter.label.is_none() {
            return true;
        }
        let Some(row) = self.ledger.extras_row(of) else { return false };
        let same = |wanted: &Option<Text>, held: &Option<Text>| wanted.is_none() || wanted == held;
        same(&filter.manager, &row.manager)
            && same(&filter.host, &row.host)
            && filter.label.as_deref().is_none_or(|wanted| {
                row.label.as_deref().is_some_and(|held| has_label(held, wanted))
            })
    }
}

/// Two rising sequences as one; what both have comes once.
fn merged<T: Ord>(
    left: impl Iterator<Item = T>,
    right: impl Iterator<Item = T>,
) -> impl Iterator<Item = T> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(a), Some(b)) if b < a => right.next(),
        (Some(a), Some(b)) if b == a => {
            right.next();
            left.next()
        }
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}

/// A list of allocations under way. A subnet without allocations counts as one look, so that a
/// network of empty subnets takes bounded time too.
struct Walk {
    page: Page<Allocation>,
    family: Family,
    subnets: usize,
}

impl Walk {
    /// Notes that everything in a subnet was looked at; false once enough was.
    fn skip(&mut self, subnet: &Subnet, family: Family) -> bool {
        self.subnets += 1;
        if self.subnets < LIST_OBJECTS_MAX {
            return true;
        }
        self.family = family;
        self.page.stop_at(subnet.base + subnet.offset_max());
        false
    }
}

/// Behind the subnet that a cursor names.
pub(super) fn behind(cursor: Option<Cursor>) -> Key {
    match cursor {
        None => Key::before(Family::V4, 0),
        Some(cursor) => Key::behind(cursor.family, cursor.key),
    }
}

/// Whether a label is this text, or has it as one of its pairs.
fn has_label(held: &str, wanted: &str) -> bool {
    held == wanted || held.split(',').any(|pair| pair.trim() == wanted)
}
