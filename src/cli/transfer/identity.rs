//! What a line is about: the key under which it is unique, the addresses that it takes, and what
//! it names. Pure.

use super::line::{Held, Line};
use addrd_protocol::message::FixedIpWanted;
use addrd_protocol::{
    AddressScopeId, Mac, NetworkId, OwnerId, PoolId, PortId, ProjectId, Range, SegmentId, Setting,
    Slot, SubnetId, Text,
};
use std::fmt;
use std::net::IpAddr;

/// A network as a line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Net(pub(super) ProjectId, pub(super) NetworkId);

/// The key under which an object is unique.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    Project(ProjectId),
    Scope(ProjectId, AddressScopeId),
    Pool(ProjectId, PoolId),
    Prefix(PoolId, ProjectId, OwnerId, Slot),
    Network(Net),
    Segment(Net, SegmentId),
    Host(Net, Box<(SegmentId, Text)>),
    Subnet(Net, SubnetId),
    Port(Net, PortId),
    Mac(Net, Mac),
    Allocation(Net, OwnerId, Slot),
    /// On a network of another project; boxed, since most have their own.
    GuestPort(Box<(Net, ProjectId, PortId)>),
    GuestAllocation(Box<(Net, ProjectId, OwnerId, Slot)>),
    Pin(Net, IpAddr),
    Exclusion(Net, Box<(SubnetId, Range)>),
}

impl Identity {
    /// Of an object; `None` for the first and the last line.
    pub(super) fn of(line: &Line) -> Option<Self> {
        let net = net_of(line);
        Some(match line {
            Line::Export(_) | Line::End(_) => return None,
            Line::Project(line) => Self::Project(line.project_id),
            Line::Scope(line) => Self::Scope(line.project_id, line.address_scope_id),
            Line::Pool(line) => Self::Pool(line.project_id, line.subnet_pool_id),
            Line::Prefix(line) => {
                let Held { owner, slot, .. } = line.object;
                Self::Prefix(line.subnet_pool_id, line.project_id, owner, slot)
            }
            Line::Network(_) => Self::Network(net?),
            Line::Segment(line) => Self::Segment(net?, line.object.segment_id),
            Line::Host(line) => {
                let mapping = &line.object;
                Self::Host(net?, Box::new((mapping.segment_id, mapping.host.clone())))
            }
            Line::Subnet(line) => Self::Subnet(net?, line.object.subnet_id),
            Line::Port(line) => match line.is_guest() {
                true => Self::GuestPort(Box::new((net?, line.project_id, line.object.port_id))),
                false => Self::Port(net?, line.object.port_id),
            },
            Line::Allocation(line) => {
                let Held { owner, slot, .. } = line.object;
                match line.is_guest() {
                    true => Self::GuestAllocation(Box::new((net?, line.project_id, owner, slot))),
                    false => Self::Allocation(net?, owner, slot),
                }
            }
            Line::Pin(line) => Self::Pin(net?, line.object.address),
            Line::Exclusion(line) => {
                let object = &line.object;
                Self::Exclusion(net?, Box::new((object.subnet_id, object.exclusion.range)))
            }
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(id) => write!(f, "project {id}"),
            Self::Scope(_, id) => write!(f, "scope {id}"),
            Self::Pool(_, id) => write!(f, "pool {id}"),
            Self::Prefix(pool, _, owner, slot) => {
                write!(f, "prefix of owner {owner}, slot {}, in pool {pool}", slot.0)
            }
            Self::Network(Net(_, id)) => write!(f, "network {id}"),
            Self::Segment(_, id) => write!(f, "segment {id}"),
            Self::Host(_, at) => write!(f, "host {} on segment {}", at.1, at.0),
            Self::Subnet(_, id) => write!(f, "subnet {id}"),
            Self::Port(_, id) => write!(f, "port {id}"),
            Self::Mac(_, mac) => write!(f, "MAC {mac}"),
            Self::Allocation(Net(_, network), owner, slot) => {
                write!(f, "allocation of owner {owner}, slot {}, in network {network}", slot.0)
            }
            Self::GuestPort(at) => write!(f, "port {} of project {}", at.2, at.1),
            Self::GuestAllocation(at) => write!(
                f,
                "allocation of owner {}, slot {}, of project {} in network {}",
                at.2, at.3.0, at.1, at.0.1
            ),
            Self::Pin(_, address) => write!(f, "pin of {address}"),
            Self::Exclusion(_, at) => write!(f, "exclusion of {} to {}", at.1.first(), at.1.last()),
        }
    }
}

/// The network that a line is about or in.
pub(super) fn net_of(line: &Line) -> Option<Net> {
    Some(match line {
        Line::Network(line) => Net(line.project_id, line.network_id),
        Line::Segment(line) => Net(line.project_id, line.network_id),
        Line::Host(line) => Net(line.project_id, line.network_id),
        Line::Subnet(line) => Net(line.project_id, line.network_id),
        Line::Port(line) => Net(line.home(), line.network_id),
        Line::Allocation(line) => Net(line.home(), line.network_id),
        Line::Pin(line) => Net(line.project_id, line.network_id),
        Line::Exclusion(line) => Net(line.project_id, line.network_id),
        _ => return None,
    })
}

/// Whether a line takes something from a subnet pool, or is one.
pub(super) fn takes_prefix(line: &Line) -> bool {
    match line {
        Line::Pool(_) | Line::Prefix(_) => true,
        Line::Subnet(line) => line.object.from_pool.is_some(),
        _ => false,
    }
}

/// Addresses of the network that a line takes, each with the prefix length of a block.
pub(super) fn taken_by(line: &Line) -> Vec<(IpAddr, Option<u8>)> {
    match line {
        Line::Allocation(line) => vec![(line.object.address, line.object.length)],
        Line::Port(line) => {
            let addresses = wanted(&line.object.fixed_ips).iter().filter_map(|one| one.ip_address);
            addresses.map(|address| (address, None)).collect()
        }
        _ => Vec::new(),
    }
}

fn wanted(fixed_ips: &Setting<Vec<FixedIpWanted>>) -> &[FixedIpWanted] {
    match fixed_ips {
        Setting::Value(wanted) => wanted,
        Setting::Unset | Setting::Null => &[],
    }
}
