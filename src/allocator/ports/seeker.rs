//! Which subnets a port may draw from, in order. Changes nothing.
//!
//! Source: protocol/SPEC.md, port_create ("Candidates").

use super::state::Class;
use crate::allocator::Shard;
use crate::allocator::network::family_index;
use crate::allocator::order::Key;
use crate::allocator::refusal::{Refused, refuse, refuse_field, with};
use crate::allocator::subnet::Subnet;
use crate::limits::DHCP_SUBNETS_MAX;
use crate::model::{Family, Mac, OwnerId, SegmentId, Status, SubnetId, Text};
use addrd_protocol::message::failure::FAILURE_CANDIDATES_MAX;
use addrd_protocol::message::{CandidateReason, Detail, Strategy};

/// A port that looks for addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeker<'a> {
    pub(super) network: u32,
    pub(super) owner: OwnerId,
    pub(super) mac: Mac,
    pub(super) class: Class,
    pub(super) device_owner: Option<&'a Text>,
    pub(super) host: Option<&'a Text>,
    pub(super) allow_gateway: bool,
    /// It is made again as it was.
    pub(super) restoring: bool,
}

impl Seeker<'_> {
    /// How a free address is chosen for it.
    pub(super) const fn strategy(&self) -> Strategy {
        match self.class {
            Class::Dhcp | Class::Distributed => Strategy::Lowest,
            Class::Plain | Class::Agent | Class::Router => Strategy::Default,
        }
    }

    /// Whether a subnet is for its device owner.
    pub(super) fn is_served_by(&self, subnet: &Subnet) -> bool {
        let types = &subnet.row.service.service_types;
        match self.class {
            Class::Dhcp => subnet.row.enable_dhcp,
            _ => types.is_empty() || self.device_owner.is_some_and(|owner| types.contains(owner)),
        }
    }
}

/// What a port may draw from without naming it.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates {
    /// Subnets that give addresses out of their pools, those with service types first.
    pub(super) listed: Vec<u32>,
    /// Auto-address subnets.
    pub(super) automatic: Vec<u32>,
    /// Subnets for everybody, of each family, come behind.
    pub(super) open: [bool; 2],
}

impl Candidates {
    fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.automatic.is_empty() && self.open == [false; 2]
    }
}

impl Shard {
    /// The candidates of a port in order.
    ///
    /// Shape: looks at the network's special subnets and at those on the segments that the host
    /// reaches; all three have bounds in `limits`.
    pub(super) fn candidates(&self, seeker: &Seeker<'_>) -> Candidates {
        let of = self.networks.at(seeker.network);
        let mut found = Candidates::default();
        if seeker.class == Class::Dhcp {
            found.listed = self.dhcp_subnets(seeker.network);
        } else {
            found.open = of.usable.map(|count| count > 0);
        }
        let Some(plan) = of.plan.as_deref() else { return found };
        let mut keys: Vec<Key> = plan.special.iter().copied().collect();
        let segments = seeker.host.into_iter().flat_map(|host| plan.reached(host));
        let on_segments = segments.filter_map(|segment| plan.segment_subnets.get(&segment));
        keys.extend(on_segments.flatten());
        keys.sort_unstable();
        let serving = |key: &Key| {
            let subnet = self.subnets.at(key.subnet());
            (!subnet.deleting && seeker.is_served_by(subnet)).then_some((key.subnet(), subnet))
        };
        let is_typed = |subnet: &Subnet| !subnet.row.service.service_types.is_empty();
        for typed in [true, false] {
            for (at, subnet) in keys.iter().filter_map(serving) {
                if is_typed(subnet) != typed {
                    continue;
                }
                if subnet.row.service.is_auto_address() {
                    found.automatic.push(at);
                } else {
                    found.listed.push(at);
                }
            }
        }
        found
    }

    /// Subnets for everybody with `enable_dhcp`.
    fn dhcp_subnets(&self, network: u32) -> Vec<u32> {
        let all = self.networks.at(network).order.iter_from(Key::before(Family::V4, 0));
        all.take(DHCP_SUBNETS_MAX)
            .map(|key| key.subnet())
            .filter(|&at| {
                let subnet = self.subnets.at(at);
                subnet.is_usable() && subnet.row.enable_dhcp
            })
            .collect()
    }

    /// Candidates of a family that give addresses out of their pools, by id; the bound of a
    /// request's candidates holds here as well.
    pub(super) fn listed_of(&self, candidates: &Candidates, family: Family) -> Vec<SubnetId> {
        let of = candidates.listed.iter().map(|&at| self.subnets.at(at));
        of.filter(|subnet| subnet.family == family).map(|subnet| subnet.row.id).collect()
    }

    /// Whether a family has any candidate that gives addresses out of its pools.
    pub(super) fn has_family(&self, candidates: &Candidates, family: Family) -> bool {
        let listed = candidates.listed.iter();
        candidates.open[family_index(family)]
            || listed.into_iter().any(|&at| self.subnets.at(at).family == family)
    }

    /// Whether a port with this host may have an address of a subnet that it names.
    pub(super) fn is_reached(&self, host: Option<&Text>, network: u32, at: u32) -> bool {
        match (self.subnets.at(at).row.service.segment_id, host) {
            (None, _) | (_, None) => true,
            (Some(segment), Some(host)) => self.reaches(network, host, segment),
        }
    }

    pub(super) fn reaches(&self, network: u32, host: &Text, segment: SegmentId) -> bool {
        let plan = self.networks.at(network).plan.as_deref();
        plan.is_some_and(|plan| plan.reached(host).any(|reached| reached == segment))
    }

    /// What it means that a port has no candidate: `Ok(true)` = it waits for its host,
    /// `Ok(false)` = it goes without addresses.
    ///
    /// # Errors
    /// `HOST_NOT_CONNECTED`, or `NO_MATCHING_SUBNET` with the reason of each subnet.
    pub(super) fn without_candidates(
        &self,
        seeker: &Seeker<'_>,
        candidates: &Candidates,
    ) -> Result<bool, Refused> {
        let of = self.networks.at(seeker.network);
        if !candidates.is_empty() || of.order.count() == 0 {
            return Ok(false);
        }
        let plan = of.plan.as_deref();
        let on_segments = plan.is_some_and(|plan| !plan.segment_subnets.is_empty());
        match seeker.host {
            None if on_segments => Ok(true),
            Some(host) if on_segments && self.is_unconnected(seeker.network, host) => {
                let message = format_args!(
                    "host {host} is mapped to no segment of the network, and all its subnets are on \
                     segments; segment_hosts would map it"
                );
                Err(refuse_field(Status::HOST_NOT_CONNECTED, "host", message))
            }
            _ => Err(self.no_candidate(seeker)),
        }
    }

    fn is_unconnected(&self, network: u32, host: &Text) -> bool {
        let plan = self.networks.at(network).plan.as_deref();
        plan.is_none_or(|plan| plan.reached(host).next().is_none())
    }

    #[cold]
    fn no_candidate(&self, seeker: &Seeker<'_>) -> Refused {
        let device_owner = seeker.device_owner.map_or("", |text| text.as_str());
        let message = format_args!(
            "none of the network's subnets serves device owner \"{device_owner}\" and reaches the \
             port's host"
        );
        let refused = refuse(Status::NO_MATCHING_SUBNET, message);
        let all = self.networks.at(seeker.network).order.iter_from(Key::before(Family::V4, 0));
        all.take(FAILURE_CANDIDATES_MAX)
            .map(|key| {
                let reason = self.why_not(seeker, key.subnet());
                Detail::Candidate(self.bare_candidate(key.subnet(), reason))
            })
            .fold(refused, with)
    }

    /// Why a subnet is no candidate.
    pub(super) fn why_not(&self, seeker: &Seeker<'_>, at: u32) -> CandidateReason {
        let subnet = self.subnets.at(at);
        if subnet.deleting {
            CandidateReason::Deleting
        } else if !seeker.is_served_by(subnet) {
            CandidateReason::ServiceType
        } else if subnet.row.service.segment_id.is_some() {
            CandidateReason::Segment
        } else {
            CandidateReason::AutoAddress
        }
    }
}
