//! Changes and exclusions of a subnet. Live allocations stay whatever changes.

use super::{rules, service};
use crate::allocator::Shard;
use crate::allocator::refusal::{Refused, limit, out_of_range, refuse, refuse_field, with};
use crate::allocator::release::write;
use crate::limits::LIST_OBJECTS_MAX;
use crate::model::{Effect, EffectSink, ExclusionRow, Range, Setting, Status, SubnetId, SubnetRow};
use addrd_protocol::message::subnet::{EXCLUSIONS_MAX, LIVE_INSIDE_MAX, QUARANTINE_MS_DEFAULT};
use addrd_protocol::message::{Detail, Subnet, SubnetExclude, SubnetInclude, SubnetUpdate};
use std::net::IpAddr;

impl Shard {
    /// Changes attributes of a subnet; an update that finds everything so already is repeated.
    pub(in crate::allocator) fn subnet_update(
        &mut self,
        network: u32,
        request: &SubnetUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<Subnet, Refused> {
        let at = self.usable_subnet(network, request.subnet_id)?;
        let before = &self.subnets.at(at).row;
        let mut row = SubnetRow::clone(before);
        change(&mut row, request)?;
        self.change_service(network, &mut row, request)?;
        service::check_service(&row.prefix, row.enable_dhcp, &row.service)?;
        if row.service != before.service {
            self.check_place(network, Some(at), &row.service)?;
        }
        self.check_old_gateway(at, row.gateway)?;
        if let (Some(name), Setting::Value(_)) = (&row.name, &request.name) {
            rules::check_name(name)?;
            if let Some(other) = self.find_subnet_name(network, name).filter(|&other| other != at) {
                return Err(rules::name_in_use(name, self.other(other)));
            }
        }
        if row == **before {
            return Ok(Subnet { repeated: true, ..self.subnet(at) });
        }
        if request.expected.0 != 0 && request.expected != before.revision {
            return Err(rules::stale(before.revision, request.expected));
        }
        row.revision = self.networks.at(network).next_revision();
        self.commit(&Effect::SubnetPut(Box::new(row)), sink);
        Ok(self.subnet(at))
    }

    /// Keeps a range back; live allocations in it stay and are named.
    pub(in crate::allocator) fn subnet_exclude(
        &mut self,
        network: u32,
        request: &SubnetExclude,
        sink: &mut impl EffectSink,
    ) -> Result<Subnet, Refused> {
        let at = self.usable_subnet(network, request.subnet_id)?;
        let subnet = self.subnets.at(at);
        let range = request.exclusion.range;
        let prefix = subnet.row.prefix;
        let inside = prefix.contains(&range.first()) && prefix.contains(&range.last());
        let Some((first, last)) = subnet.span_of(&range).filter(|_| inside) else {
            let message = format_args!("the range {range} lies outside of {prefix}");
            return Err(refuse_field(Status::OUT_OF_RANGE, "range", message));
        };
        if !subnet.exclusions.contains(&request.exclusion) {
            let other = subnet.excluded(first, last).find(|other| other.range != range);
            if let Some(other) = other {
                let message =
                    format_args!("the range {range} overlaps the excluded range {}", other.range);
                return Err(refuse_field(Status::POOL_OVERLAP, "range", message));
            }
            let replaces = subnet.exclusions.iter().any(|old| old.range == range);
            let count = subnet.exclusions.len();
            if !replaces && count >= EXCLUSIONS_MAX {
                return Err(limit("EXCLUSIONS_MAX", count as u128 + 1, EXCLUSIONS_MAX as u128));
            }
            let row = ExclusionRow {
                network: subnet.network_handle,
                subnet: subnet.handle,
                revision: self.networks.at(network).next_revision(),
                exclusion: request.exclusion.clone(),
            };
            self.commit(&Effect::ExclusionPut(Box::new(row)), sink);
        }
        Ok(Subnet { live_inside: self.live_inside(at, first, last), ..self.subnet(at) })
    }

    /// Ends an exclusion.
    pub(in crate::allocator) fn subnet_include(
        &mut self,
        network: u32,
        request: &SubnetInclude,
        sink: &mut impl EffectSink,
    ) -> Result<Subnet, Refused> {
        let at = self.usable_subnet(network, request.subnet_id)?;
        let subnet = self.subnets.at(at);
        let found = subnet.exclusions.iter().any(|other| other.range == request.range);
        let Some((first, _)) = subnet.span_of(&request.range).filter(|_| found) else {
            let message = format_args!("no exclusion has exactly the range {}", request.range);
            return Err(refuse_field(Status::NOT_FOUND, "range", message));
        };
        let effect = Effect::ExclusionGone {
            network: subnet.network_handle,
            subnet: subnet.handle,
            revision: self.networks.at(network).next_revision(),
            first,
        };
        self.commit(&effect, sink);
        Ok(self.subnet(at))
    }

    /// A subnet that exists and is not being deleted.
    fn usable_subnet(&self, network: u32, id: SubnetId) -> Result<u32, Refused> {
        let at = self.find_subnet(network, id).ok_or_else(|| no_subnet(id))?;
        if self.subnets.at(at).deleting || self.networks.at(network).deleting {
            return Err(rules::deleting("subnet"));
        }
        Ok(at)
    }

    /// Live allocations that share an address with a range, the first [`LIVE_INSIDE_MAX`].
    fn live_inside(&self, at: u32, first: u128, last: u128) -> Vec<IpAddr> {
        let subnet = self.subnets.at(at);
        let mut found = Vec::new();
        let mut from = first;
        for _ in 0..LIST_OBJECTS_MAX {
            if found.len() == LIVE_INSIDE_MAX {
                break;
            }
            let Some(taken) = subnet.map.next_taken(&self.maps, from).filter(|&at| at <= last)
            else {
                break;
            };
            let Some(record) = self.find_covering(at, taken) else { break };
            let record = self.ledger.at(record);
            let begins = self.ledger.offset(record);
            found.extend((!record.rests()).then(|| subnet.address(begins)));
            let end = crate::allocator::subnet::last_of(begins, record.block_bits);
            let Some(next) = end.checked_add(1) else { break };
            from = next;
        }
        found
    }
}

/// Writes an update's settings into a row, and checks the result.
fn change(row: &mut SubnetRow, request: &SubnetUpdate) -> Result<(), Refused> {
    match request.strategy {
        Setting::Unset => {}
        Setting::Null => row.strategy = rules::check_strategy(Default::default())?,
        Setting::Value(strategy) => row.strategy = rules::check_strategy(strategy)?,
    }
    match request.enable_dhcp {
        Setting::Unset => {}
        Setting::Null => row.enable_dhcp = false,
        Setting::Value(enable) => row.enable_dhcp = enable,
    }
    rules::check_prefix(&row.prefix, row.enable_dhcp)?;
    change_gateway_and_pools(row, request)?;
    match &request.dns_servers {
        Setting::Unset => {}
        Setting::Null => row.dns_servers.clear(),
        Setting::Value(servers) => row.dns_servers.clone_from(servers),
    }
    match &request.routes {
        Setting::Unset => {}
        Setting::Null => row.routes.clear(),
        Setting::Value(routes) => row.routes.clone_from(routes),
    }
    match request.quarantine_ms {
        Setting::Unset => {}
        Setting::Null => row.quarantine_ms = QUARANTINE_MS_DEFAULT,
        Setting::Value(quarantine_ms) => row.quarantine_ms = quarantine_ms,
    }
    rules::check_quarantine(row.quarantine_ms)?;
    rules::check_dns_servers(&row.dns_servers)?;
    rules::check_routes(&row.routes)?;
    write(&mut row.name, &request.name);
    write(&mut row.description, &request.description);
    Ok(())
}

fn change_gateway_and_pools(row: &mut SubnetRow, request: &SubnetUpdate) -> Result<(), Refused> {
    match request.gateway {
        Setting::Unset => {}
        Setting::Null => row.gateway = None,
        Setting::Value(gateway) => {
            rules::check_gateway(&row.prefix, row.kind, &gateway)?;
            row.gateway = Some(gateway);
        }
    }
    match &request.pools {
        Setting::Unset => {
            let in_pool = |pool: &&Range| row.gateway.is_some_and(|at| pool.contains(&at));
            match row.pools.iter().find(in_pool) {
                Some(pool) => Err(rules::gateway_in_pool(pool)),
                None => Ok(()),
            }
        }
        Setting::Null => {
            row.pools = rules::default_pools(&row.prefix, row.kind, row.gateway);
            Ok(())
        }
        Setting::Value(pools) => {
            rules::check_pools(&row.prefix, row.kind, row.gateway, pools)?;
            row.pools.clone_from(pools);
            Ok(())
        }
    }
}

/// Live allocations where none may be.
pub(in crate::allocator) fn in_use(what: &str, live: u64) -> Refused {
    let message = format_args!("the {what} has {live} live allocations; force would release them");
    with(refuse(Status::IN_USE, message), Detail::Count { count: live.into() })
}

/// No such subnet.
pub(in crate::allocator) fn no_subnet(id: SubnetId) -> Refused {
    refuse_field(Status::NOT_FOUND, "subnet_id", format_args!("the network has no subnet {id}"))
}

/// An expectation that `limit` of a page lies within its bounds.
pub(in crate::allocator) fn check_page_limit(limit: u32, most: u32) -> Result<u32, Refused> {
    match limit {
        0 => Ok(most),
        limit if limit <= most => Ok(limit),
        limit => Err(out_of_range("limit", limit.into(), 0, most.into())),
    }
}
