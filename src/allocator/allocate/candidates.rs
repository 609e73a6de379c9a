//! Which subnets a request may draw from, in order, and why each fell out. Changes nothing.

use super::request::{Asked, Limit, Want};
use crate::allocator::Shard;
use crate::allocator::holds::held_in_pools;
use crate::allocator::network::family_index;
use crate::allocator::order::Key;
use crate::allocator::pieces::Span;
use crate::allocator::quarantine::{resting_in_pools, retry_after};
use crate::allocator::refusal::{Refused, refuse, with};
use crate::allocator::subnet::Subnet;
use crate::limits::CHOICE_SUBNETS_MAX;
use crate::model::{Family, Status, SubnetId};
use addrd_protocol::message::failure::FAILURE_CANDIDATES_MAX;
use addrd_protocol::message::{Candidate, CandidateReason, Detail};
use addrd_protocol::prefix::number_of;

/// What a search over candidates came to.
pub(super) enum Found<T> {
    Yes(T),
    No,
    /// Bound [`CHOICE_SUBNETS_MAX`] was reached.
    GaveUp,
}

impl Shard {
    /// The part of a subnet that a request may draw from, or why it may not.
    pub(super) fn eligible(
        &self,
        subnet: &Subnet,
        asked: &Asked<'_>,
        want: &Want,
    ) -> Result<(Span, u8), CandidateReason> {
        if !want.takes(subnet.family) {
            return Err(CandidateReason::Family);
        }
        if subnet.deleting {
            return Err(CandidateReason::Deleting);
        }
        if !subnet.open && asked.extras.subnets.is_empty() {
            return Err(closed_reason(subnet));
        }
        let order = asked.order(subnet.family).filter(|&order| order <= subnet.host_bits);
        let order = order.ok_or(CandidateReason::Length)?;
        let span = match asked.limit(subnet.family) {
            Limit::None => Some(subnet.whole()),
            Limit::Range(range) => subnet.span_of(range),
            Limit::Other => None,
        };
        let span = span.ok_or(CandidateReason::Limit)?;
        if subnet.pieces.all().is_empty() {
            return Err(CandidateReason::NoPools);
        }
        let touches = |first: u128, last: u128| first <= span.1 && last >= span.0;
        if !subnet.pieces.all().iter().any(|piece| touches(piece.first, piece.last)) {
            return Err(CandidateReason::Limit);
        }
        Ok((span, order))
    }

    /// Runs `choose` over the candidates in order until it gives something: those that the request
    /// names, or all of the network by family and prefix, IPv4 first.
    pub(super) fn over_candidates<T>(
        &self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
        mut choose: impl FnMut(u32) -> Option<T>,
    ) -> Found<T> {
        let named = &asked.extras.subnets;
        for family in [Family::V4, Family::V6] {
            if !want.takes(family) {
                continue;
            }
            let found = if named.is_empty() {
                self.over_all(network, family, asked, &mut choose)
            } else {
                let found = named.iter().find_map(|&id| {
                    let at = self.find_subnet(network, id)?;
                    (self.subnets.at(at).family == family).then(|| choose(at)).flatten()
                });
                found.map_or(Found::No, Found::Yes)
            };
            if !matches!(found, Found::No) {
                return found;
            }
        }
        Found::No
    }

    fn over_all<T>(
        &self,
        network: u32,
        family: Family,
        asked: &Asked<'_>,
        choose: &mut impl FnMut(u32) -> Option<T>,
    ) -> Found<T> {
        let Some(order) = asked.order(family) else { return Found::No };
        let Some(mut from) = self.networks.at(network).first_open[family_index(family)] else {
            return Found::No;
        };
        let mut end = None;
        match asked.limit(family) {
            Limit::None => {}
            Limit::Other => return Found::No,
            Limit::Range(range) => {
                from = from.max(self.subnet_before(network, family, number_of(&range.first())));
                end = Some(Key::behind(family, number_of(&range.last())));
            }
        }
        let first = self.subnets.at(from.subnet());
        if end.is_none() && first.room > order {
            // The common case needs no search: the first subnet with room.
            if let Some(found) = choose(from.subnet()) {
                return Found::Yes(found);
            }
        }
        for _ in 0..CHOICE_SUBNETS_MAX {
            let next = self.networks.at(network).order.next_with_room(from, order);
            let Some(key) = next.filter(|key| key.family == family) else { return Found::No };
            if end.is_some_and(|end| key > end) {
                return Found::No;
            }
            if let Some(found) = choose(key.subnet()) {
                return Found::Yes(found);
            }
            from = key.next();
        }
        Found::GaveUp
    }

    /// The subnet that may have an address, or the place behind it.
    fn subnet_before(&self, network: u32, family: Family, address: u128) -> Key {
        let behind = Key::behind(family, address);
        let before = self.networks.at(network).order.last_before(behind);
        before.filter(|key| key.family == family).unwrap_or(Key::before(family, address))
    }

    /// Why nothing was found.
    #[cold]
    pub(super) fn nothing_found(
        &self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
        gave_up: bool,
    ) -> Refused {
        let candidates = self.report(network, asked, want);
        let used_up = |candidate: &Candidate| {
            matches!(candidate.reason, CandidateReason::Exhausted | CandidateReason::Fragmented)
        };
        let all_seen = candidates.len() < FAILURE_CANDIDATES_MAX;
        let refused = if gave_up {
            refuse(
                Status::LIMIT,
                format_args!(
                    "{CHOICE_SUBNETS_MAX} subnets have free addresses, none a free block of this \
                     length inside its pools; name candidate subnets (bound CHOICE_SUBNETS_MAX)"
                ),
            )
        } else if candidates.iter().any(used_up) || (!all_seen && !candidates.is_empty()) {
            exhausted(&candidates, asked)
        } else if candidates.is_empty() {
            refuse(Status::NO_MATCHING_SUBNET, format_args!("the network has no subnet"))
        } else {
            let reason = candidates[0].reason;
            refuse(
                Status::NO_MATCHING_SUBNET,
                format_args!(
                    "none of {} subnets fits the request; the first fell out because of: {}",
                    candidates.len(),
                    reason_text(reason)
                ),
            )
        };
        candidates.into_iter().map(Detail::Candidate).fold(refused, with)
    }

    fn report(&self, network: u32, asked: &Asked<'_>, want: &Want) -> Vec<Candidate> {
        let named = &asked.extras.subnets;
        if !named.is_empty() {
            let of = |&id: &SubnetId| match self.find_subnet(network, id) {
                Some(at) => self.candidate(at, asked, want),
                None => missing(id),
            };
            return named.iter().map(of).collect();
        }
        let first = Key::before(Family::V4, 0);
        let all = self.networks.at(network).order.iter_from(first);
        let wanted = all.filter(|key| want.takes(key.family)).take(FAILURE_CANDIDATES_MAX);
        let mut found: Vec<Candidate> =
            wanted.map(|key| self.candidate(key.subnet(), asked, want)).collect();
        if found.is_empty() {
            let all = self.networks.at(network).order.iter_from(first);
            let others = all.take(FAILURE_CANDIDATES_MAX);
            found = others.map(|key| self.candidate(key.subnet(), asked, want)).collect();
        }
        found
    }

    fn candidate(&self, at: u32, asked: &Asked<'_>, want: &Want) -> Candidate {
        let subnet = self.subnets.at(at);
        let reason = match self.eligible(subnet, asked, want) {
            Err(reason) => reason,
            Ok((_, order)) if order > 0 && subnet.pieces.free() > 0 => CandidateReason::Fragmented,
            Ok(_) => CandidateReason::Exhausted,
        };
        self.bare_candidate(at, reason)
    }

    /// A subnet's counts, and why it fell out.
    pub(in crate::allocator) fn bare_candidate(
        &self,
        at: u32,
        reason: CandidateReason,
    ) -> Candidate {
        let subnet = self.subnets.at(at);
        let size = subnet.pieces.size();
        let excluded = subnet.pieces.closed();
        let quarantined = resting_in_pools(subnet, &self.maps);
        let held = held_in_pools(subnet, &self.maps);
        Candidate {
            subnet_id: subnet.row.id,
            reason,
            pool_size: size,
            allocated: size - subnet.pieces.free() - excluded - quarantined - held,
            held,
            quarantined,
            excluded,
            next_free_in_ms: self.next_free_in_ms(subnet),
        }
    }
}

/// Why a subnet is not for every request.
fn closed_reason(subnet: &Subnet) -> CandidateReason {
    let service = &subnet.row.service;
    if service.segment_id.is_some() {
        CandidateReason::Segment
    } else if service.is_auto_address() {
        CandidateReason::AutoAddress
    } else {
        CandidateReason::ServiceType
    }
}

fn exhausted(candidates: &[Candidate], asked: &Asked<'_>) -> Refused {
    let sum = |of: fn(&Candidate) -> u128| {
        candidates.iter().fold(0_u128, |sum, candidate| sum.saturating_add(of(candidate)))
    };
    let [size, taken, resting] =
        [sum(|c| c.pool_size), sum(|c| c.allocated), sum(|c| c.quarantined)];
    let what =
        if asked.request.length.is_some() { "aligned block of this length" } else { "address" };
    let for_request = |c: &&Candidate| {
        matches!(c.reason, CandidateReason::Exhausted | CandidateReason::Fragmented)
    };
    let next = candidates.iter().filter(for_request).map(|c| c.next_free_in_ms);
    let next = next.filter(|next| *next > 0).min();
    let rests = match next {
        Some(next) => format!(", {resting} rest, the next of them for {next} ms"),
        None => String::new(),
    };
    let mut refused = refuse(
        Status::EXHAUSTED,
        format_args!(
            "no free {what} in {}: {taken} of {size} pool addresses are taken{rests}",
            match candidates.len() {
                1 => "the subnet".to_owned(),
                count => format!("any of {count} subnets"),
            }
        ),
    );
    refused.retry_after_ms = next.map_or(0, retry_after);
    refused
}

fn missing(subnet_id: SubnetId) -> Candidate {
    Candidate {
        subnet_id,
        reason: CandidateReason::NotFound,
        pool_size: 0,
        allocated: 0,
        held: 0,
        quarantined: 0,
        excluded: 0,
        next_free_in_ms: 0,
    }
}

const fn reason_text(reason: CandidateReason) -> &'static str {
    match reason {
        CandidateReason::Exhausted => "all addresses are taken",
        CandidateReason::Family => "its family is another one",
        CandidateReason::Limit => "the limit does not touch its pools",
        CandidateReason::Deleting => "it is being deleted",
        CandidateReason::NoPools => "it has no allocation pools",
        CandidateReason::Length => "the block is larger than the subnet",
        CandidateReason::NotFound => "there is no such subnet in the network",
        CandidateReason::Fragmented => "no aligned block of the length is free",
        CandidateReason::AutoAddress => "it gives only addresses that follow from a MAC",
        CandidateReason::ServiceType => "it is for other services; a request can name it",
        CandidateReason::Segment => "it is on a segment; a request can name it",
    }
}
