//! Lookups by address, owner and name. Reads only.

use super::Shard;
use super::network::family_index;
use super::refusal::{Refused, refuse, refuse_field};
use super::shard::Everywhere;
use super::subnets::no_subnet;
use crate::model::{Family, Prefix, ProjectId, Status, Text};
use addrd_protocol::message::allocation::{LOOKUPS_MAX, SubnetRef};
use addrd_protocol::message::{Lookup, Lookups, SubnetName};
use std::net::IpAddr;

impl Shard {
    /// Finds allocations and subnets by address, or allocations by owner; in one network, or in all
    /// that the project has or others share.
    ///
    /// Shape: by address one look for each prefix length that subnets have, and one for each
    /// subnet found and each shared network, at most [`crate::limits::LIST_OBJECTS_MAX`]; by owner one for each allocation found, and in one network one for each that
    /// the owner has, at most [`crate::limits::LIST_OBJECTS_MAX`].
    pub(super) fn lookup(
        &self,
        project: ProjectId,
        network: Option<u32>,
        request: &Lookup,
    ) -> Lookups {
        match request {
            Lookup::Address(address) => self.lookup_address(project, network, address),
            Lookup::Owner(owner) => {
                let mut found = Lookups::default();
                let salt = self.owner_salt(project);
                let Some(home) = self.ledger.find_owner(&self.subnets, project, salt, *owner)
                else {
                    return found;
                };
                for (looks, record) in self.ledger.ring(home).enumerate() {
                    let of = self.subnets.at(self.ledger.at(record).subnet).network;
                    let is_elsewhere = network.is_some_and(|network| network != of);
                    if is_elsewhere || self.is_over(self.ledger.at(record)) {
                        continue;
                    }
                    if found.allocations.len() == LOOKUPS_MAX
                        || looks >= crate::limits::LIST_OBJECTS_MAX
                    {
                        found.more = true;
                        break;
                    }
                    found.allocations.push(self.allocation_for(record, project));
                }
                found
            }
        }
    }

    fn lookup_address(
        &self,
        project: ProjectId,
        network: Option<u32>,
        address: &IpAddr,
    ) -> Lookups {
        let mut found = Lookups::default();
        if let Some(network) = network {
            if let Some(at) = self.find_subnet_with(network, address) {
                self.add_lookup(project, at, address, &mut found);
            }
            return found;
        }
        let family = Family::of(address);
        let lengths = &self.lengths[family_index(family)];
        for length in (0..=family.bits()).filter(|&length| lengths[usize::from(length)] > 0) {
            let Some(prefix) = Prefix::truncated(*address, length) else { continue };
            let place =
                |subnet| Everywhere { project, family, base: prefix.base(), length, subnet };
            for place in self.everywhere.range(place(0)..=place(u32::MAX)) {
                if found.subnets.len() == LOOKUPS_MAX {
                    found.more = true;
                    return found;
                }
                self.add_lookup(project, place.subnet, address, &mut found);
            }
        }
        self.lookup_lent(project, address, &mut found);
        found
    }

    /// Looks at the networks that other projects share.
    fn lookup_lent(&self, project: ProjectId, address: &IpAddr, found: &mut Lookups) {
        for (looks, ((_, of), &network)) in self.lent.iter().enumerate() {
            if looks >= crate::limits::LIST_OBJECTS_MAX || found.subnets.len() == LOOKUPS_MAX {
                found.more = true;
                return;
            }
            if *of == project {
                continue;
            }
            if let Some(at) = self.find_subnet_with(network, address) {
                self.add_lookup(project, at, address, found);
            }
        }
    }

    fn add_lookup(&self, viewer: ProjectId, at: u32, address: &IpAddr, found: &mut Lookups) {
        let subnet = self.subnets.at(at);
        let of = self.networks.at(subnet.network);
        found.subnets.push(SubnetRef {
            network_id: of.id,
            subnet_id: subnet.row.id,
            cidr: subnet.row.prefix,
            network_project: Some(of.project).filter(|home| *home != viewer),
        });
        let Some(offset) = subnet.row.prefix.offset_of(address) else { return };
        if let Some(record) = self.find_covering(at, offset)
            && self.sees_as(self.ledger.at(record), viewer)
            && !self.is_over(self.ledger.at(record))
            && (!self.ledger.at(record).rests() || self.still_rests(self.ledger.at(record)))
        {
            found.allocations.push(self.allocation_for(record, viewer));
        }
    }

    /// The subnet that a request names by id, name or prefix.
    pub(super) fn find_named_subnet(
        &self,
        network: u32,
        name: &SubnetName,
    ) -> Result<u32, Refused> {
        match name {
            SubnetName::Id(id) => self.find_subnet(network, *id).ok_or_else(|| no_subnet(*id)),
            SubnetName::Name(name) => self.find_subnet_name(network, name).ok_or_else(|| {
                let message = format_args!("the network has no subnet with the name {name}");
                refuse_field(Status::NOT_FOUND, "subnet", message)
            }),
            SubnetName::Cidr(prefix) => {
                let found = self.find_subnet_with(network, &prefix.first());
                let found = found.filter(|&at| self.subnets.at(at).row.prefix == *prefix);
                found.ok_or_else(|| {
                    let message = format_args!("the network has no subnet {prefix}");
                    refuse_field(Status::NOT_FOUND, "subnet", message)
                })
            }
        }
    }
}

/// No network with this name.
pub(super) fn no_network_named(name: &Text) -> Refused {
    refuse(Status::NOT_FOUND, format_args!("the project has no network with the name {name}"))
}
