//! Rows of Neutron's tables as the query gives them: one JSON object a line. Judges nothing but
//! their form.

use addrd_protocol::message::Ipv6Mode;
use addrd_protocol::{Mac, Prefix};
use serde::{Deserialize, Deserializer};
use std::net::IpAddr;
use uuid::Uuid;

/// Version of the query.
pub(super) const VERSION: u32 = 1;

/// A row, by its table.
#[derive(Debug, Deserialize)]
#[serde(tag = "table", rename_all = "snake_case")]
pub(super) enum Row {
    /// The first row.
    Neutron {
        version: u32,
    },
    AddressScopes(Scope),
    Addressscoperbacs(Shared),
    Subnetpools(Box<Pool>),
    Subnetpoolrbacs(Shared),
    Subnetpoolprefixes(PoolPrefix),
    Networks(Network),
    Networkrbacs(Shared),
    Networksegments(Segment),
    Segmenthostmappings(HostMapping),
    Subnets(Box<Subnet>),
    Ipallocationpools(AllocationPool),
    Dnsnameservers(DnsServer),
    Subnetroutes(HostRoute),
    SubnetServiceTypes(ServiceType),
    Ports(Box<Port>),
    Ml2PortBindings(Binding),
    Ipallocations(Allocation),
    /// The last row: how many there were of the largest tables.
    End {
        ports: u64,
        ipallocations: u64,
    },
}

#[derive(Debug, Deserialize)]
pub(super) struct Scope {
    pub(super) id: Uuid,
    pub(super) project_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) ip_version: u8,
}

/// With whom an object is shared.
#[derive(Debug, Deserialize)]
pub(super) struct Shared {
    pub(super) object_id: Uuid,
    pub(super) target: String,
    pub(super) action: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pool {
    pub(super) id: Uuid,
    pub(super) project_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) ip_version: u8,
    pub(super) default_prefixlen: u8,
    pub(super) min_prefixlen: u8,
    pub(super) max_prefixlen: u8,
    #[serde(deserialize_with = "flag")]
    pub(super) is_default: bool,
    pub(super) default_quota: Option<u64>,
    pub(super) address_scope_id: Option<Uuid>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PoolPrefix {
    pub(super) subnetpool_id: Uuid,
    pub(super) cidr: Prefix,
}

#[derive(Debug, Deserialize)]
pub(super) struct Network {
    pub(super) id: Uuid,
    pub(super) project_id: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Segment {
    pub(super) id: Uuid,
    pub(super) network_id: Uuid,
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct HostMapping {
    pub(super) segment_id: Uuid,
    pub(super) host: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Subnet {
    pub(super) id: Uuid,
    pub(super) network_id: Uuid,
    pub(super) name: Option<String>,
    pub(super) segment_id: Option<Uuid>,
    /// An id, or a word.
    pub(super) subnetpool_id: Option<String>,
    pub(super) cidr: Prefix,
    pub(super) gateway_ip: Option<IpAddr>,
    #[serde(deserialize_with = "flag")]
    pub(super) enable_dhcp: bool,
    pub(super) ipv6_ra_mode: Option<Ipv6Mode>,
    pub(super) ipv6_address_mode: Option<Ipv6Mode>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AllocationPool {
    pub(super) subnet_id: Uuid,
    pub(super) first_ip: IpAddr,
    pub(super) last_ip: IpAddr,
}

#[derive(Debug, Deserialize)]
pub(super) struct DnsServer {
    pub(super) subnet_id: Uuid,
    pub(super) address: IpAddr,
}

#[derive(Debug, Deserialize)]
pub(super) struct HostRoute {
    pub(super) subnet_id: Uuid,
    pub(super) destination: Prefix,
    pub(super) nexthop: IpAddr,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServiceType {
    pub(super) subnet_id: Uuid,
    pub(super) service_type: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Port {
    pub(super) id: Uuid,
    pub(super) project_id: Option<String>,
    pub(super) network_id: Uuid,
    pub(super) name: Option<String>,
    pub(super) mac_address: Mac,
    pub(super) device_owner: Option<String>,
    pub(super) ip_allocation: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Binding {
    pub(super) port_id: Uuid,
    pub(super) host: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Allocation {
    pub(super) port_id: Option<Uuid>,
    pub(super) network_id: Uuid,
    pub(super) subnet_id: Uuid,
    pub(super) ip_address: IpAddr,
}

/// Databases have 0 and 1, or null, where JSON has booleans.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Word(bool),
        Number(u8),
        Null(()),
    }
    Ok(match Flag::deserialize(deserializer)? {
        Flag::Word(word) => word,
        Flag::Number(number) => number != 0,
        Flag::Null(()) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_numbers_words_or_nothing() {
        let pool = |flag: &str| {
            let text = format!(
                r#"{{"table":"subnetpools","id":"{}","ip_version":4,"default_prefixlen":8,
                    "min_prefixlen":8,"max_prefixlen":8,"is_default":{flag}}}"#,
                Uuid::nil()
            );
            match serde_json::from_str(&text) {
                Ok(Row::Subnetpools(pool)) => Some(pool.is_default),
                _ => None,
            }
        };
        let flags = ["0", "1", "true", "false", "null", "\"x\""];
        let read = [Some(false), Some(true), Some(true), Some(false), Some(false), None];
        assert_eq!(flags.map(pool), read);
    }
}
