//! SPEC.md's table of Neutron's errors: complete, and the same fact as the table of statuses seen from
//! the other side.

use addrd_protocol::Status;
use std::collections::{BTreeMap, BTreeSet};

const SPEC: &str = include_str!("../SPEC.md");

/// Errors of Neutron's IPAM, subnet pools, ports and segments, by the HTTP status that it gives them.
/// Source: neutron/ipam/exceptions.py, neutron/exceptions, neutron_lib/exceptions, as of 2026.
const ERRORS: [(u16, &str); 5] = [
    (
        400,
        "InvalidSubnetRequestType InvalidSubnetRequest InvalidIpForSubnet \
         AllocationOnAutoAddressSubnet IPAddressChangeNotAllowed InvalidIpForNetwork InvalidInput \
         InvalidAllocationPool OutOfBoundsAllocationPool MinPrefixSubnetAllocationError \
         MaxPrefixSubnetAllocationError IllegalSubnetPoolPrefixBounds \
         IllegalSubnetPoolPrefixUpdate PrefixVersionMismatch EmptySubnetPoolPrefixList \
         NetworkSubnetPoolAffinityError NetworkAddressScopeAffinityError SubnetPoolDeleteError \
         FixedIpsSubnetsNotOnSameSegment SubnetsNotAllAssociatedWithSegments \
         SubnetSegmentAssociationChangeNotAllowed",
    ),
    (404, "SubnetNotFound SubnetPoolNotFound NetworkNotFound PortNotFound SegmentNotFound"),
    (
        409,
        "IpAddressAlreadyAllocated IpAddressGenerationFailure IpAddressGenerationFailureAllSubnets \
         IpAddressGenerationFailureNoMatchingSubnet IpamValueInvalid OverlappingAllocationPools \
         GatewayConflictWithAllocationPools GatewayIpInUse SubnetInUse SubnetPoolInUse \
         MacAddressInUse OverQuota SubnetPoolQuotaExceeded AddressScopePrefixConflict \
         HostNotConnectedToAnySegment HostNotCompatibleWithFixedIps",
    ),
    (412, "RevisionNumberConstraintFailed"),
    (500, "AddressCalculationFailure InvalidAddressType SubnetAllocationError"),
];

/// No error that leaves Neutron: a signal inside of it.
const SIGNAL: &str = "DeferIpam";

/// A row: name, HTTP status, statuses here, remark.
type Row = (String, Option<u16>, Vec<String>, String);

fn rows() -> Vec<Row> {
    let (_, table) = SPEC.split_once("| error of Neutron |").unwrap();
    let (_, table) = table.split_once("---|\n").unwrap();
    let lines = table.lines().take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let statuses = cells[2].split(", ").filter(|name| !name.is_empty());
        let statuses = statuses.map(str::to_owned).collect();
        (cells[0].to_owned(), cells[1].parse().ok(), statuses, cells[3].to_owned())
    };
    lines.map(row).collect()
}

#[test]
fn every_error_of_neutron_has_a_row_with_its_http_status() {
    let stated: BTreeMap<String, Option<u16>> =
        rows().into_iter().map(|(name, http, ..)| (name, http)).collect();
    let named = |(http, names): &(u16, &str)| -> Vec<(String, Option<u16>)> {
        names.split_whitespace().map(|name| (name.to_owned(), Some(*http))).collect()
    };
    let mut errors: BTreeMap<String, Option<u16>> = ERRORS.iter().flat_map(named).collect();
    errors.insert(SIGNAL.to_owned(), None);
    assert_eq!(stated, errors);
    assert_eq!(rows().len(), stated.len(), "each once");
}

#[test]
fn both_tables_say_the_same() {
    let mut there = BTreeSet::new();
    for (name, http, statuses, remark) in rows() {
        assert!(!statuses.is_empty() || !remark.is_empty(), "{name} has no status: say why");
        for status in statuses {
            let known = Status::ALL.iter().find(|known| known.name() == status);
            let known = known.unwrap_or_else(|| panic!("{name}: there is no status {status}"));
            let agrees = http == Some(known.http());
            assert!(agrees || !remark.is_empty(), "{name} is {http:?}, {status} is not: say why");
            there.insert((status, name.clone()));
        }
    }
    let of = |status: &Status| {
        let names: Vec<&str> = status.neutron().split(", ").filter(|n| !n.is_empty()).collect();
        names
            .into_iter()
            .map(|name| (status.name().to_owned(), name.to_owned()))
            .collect::<Vec<_>>()
    };
    let here: BTreeSet<(String, String)> = Status::ALL.iter().flat_map(of).collect();
    assert_eq!(here, there);
}
