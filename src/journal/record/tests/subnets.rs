//! Golden records of subnets that have more than a plain one.

use super::*;

pub(super) fn golden_service() -> SubnetRow {
    let service = Service {
        ipv6_ra_mode: Some(Ipv6Mode::Slaac),
        ipv6_address_mode: Some(Ipv6Mode::Stateless),
        service_types: vec![Text::new("network:dhcp").unwrap()],
        segment_id: Some(SegmentId::from_u128(5)),
    };
    let prefix = "fd00::/64".parse().unwrap();
    let (gateway, pools, dns_servers, routes) = Default::default();
    SubnetRow { prefix, gateway, pools, dns_servers, routes, service, ..golden_subnet() }
}
