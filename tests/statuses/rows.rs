//! The rows: how each status is brought forth. One for each, in the order of their numbers.

use crate::Outcome;
use crate::connections;
use crate::house::House;
use addrd_client::protocol::Status;
use addrd_client::protocol::message::subnet::EXCLUSIONS_MAX;
use std::pin::Pin;

/// A status and what brings it forth.
pub(crate) struct Row {
    pub(crate) status: Status,
    pub(crate) by: By,
}

/// What brings a status forth.
pub(crate) enum By {
    /// The last of these requests, in a project of their own.
    Requests(&'static str),
    /// The same, of lines that are written by a loop.
    Made(fn() -> String),
    /// Whole connections, or bytes that no encoder writes.
    Connections(for<'a> fn(&'a House) -> Provoked<'a>),
    /// A fault of disk or a full memory: file and name of the test that has it.
    Test(&'static str, &'static str),
    /// No request gets it in this version.
    Unsent,
    /// Only a fault of ours: there is no way to bring it forth.
    BrokenInvariant,
}

/// What a [`By::Connections`] gives.
pub(crate) type Provoked<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

const fn requests(status: Status, text: &'static str) -> Row {
    Row { status, by: By::Requests(text) }
}

const fn connections(status: Status, by: for<'a> fn(&'a House) -> Provoked<'a>) -> Row {
    Row { status, by: By::Connections(by) }
}

const fn test(status: Status, file: &'static str, name: &'static str) -> Row {
    Row { status, by: By::Test(file, name) }
}

pub(crate) const ROWS: &[Row] = &[
    requests(Status::OK, "n network_create"),
    requests(
        Status::NOT_HELD,
        r#"n network_create
           n release {"target": {"key": {"owner": "a", "slot": 0}}}"#,
    ),
    requests(
        Status::EXHAUSTED,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/30"}
           n allocate {"owner": "a"}
           n allocate {"owner": "b"}"#,
    ),
    requests(
        Status::ADDRESS_TAKEN,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a", "exact": "10.0.0.9"}
           n allocate {"owner": "b", "exact": "10.0.0.9"}"#,
    ),
    requests(
        Status::KEY_IN_USE,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a", "exact": "10.0.0.9"}
           n allocate {"owner": "a", "exact": "10.0.0.10"}"#,
    ),
    requests(
        Status::HELD_BY_OTHER_INSTANCE,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a", "instance": "1"}
           n allocate {"owner": "a", "instance": "2"}"#,
    ),
    requests(
        Status::STALE,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a"}
           n release {"target": {"key": {"owner": "a", "slot": 0}}, "revision": "1"}"#,
    ),
    requests(
        Status::NOT_HOLDER,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a", "exact": "10.0.0.9"}
           n release {"target": {"address": "10.0.0.9"}, "owner": "b"}"#,
    ),
    requests(Status::NOT_FOUND, "n network_get"),
    requests(
        Status::ID_IN_USE,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n subnet_create {"cidr": "10.1.0.0/24"}"#,
    ),
    requests(
        Status::NAME_IN_USE,
        r#"n network_create {"name": "blue"}
           m network_create {"name": "blue"}"#,
    ),
    requests(
        Status::PREFIX_OVERLAP,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n subnet_create {"subnet_id": "t", "cidr": "10.0.0.0/25"}"#,
    ),
    requests(
        Status::NO_MATCHING_SUBNET,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a", "family": "v6", "subnets": ["s"]}"#,
    ),
    requests(
        Status::INVALID_ADDRESS,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a", "exact": "10.0.0.255"}"#,
    ),
    requests(
        Status::IS_GATEWAY,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a", "exact": "10.0.0.1"}"#,
    ),
    requests(
        Status::EXCLUDED,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n subnet_exclude {"first": "10.0.0.9", "last": "10.0.0.9"}
           n allocate {"owner": "a", "exact": "10.0.0.9"}"#,
    ),
    requests(
        Status::IN_USE,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a"}
           n subnet_delete"#,
    ),
    Row { status: Status::LIMIT, by: By::Made(one_exclusion_too_many) },
    connections(Status::DELETING, connections::deleting),
    requests(
        Status::POOL_OVERLAP,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24", "pools": [{"first": "10.0.0.9", "last": "10.0.0.20"}, {"first": "10.0.0.20", "last": "10.0.0.30"}]}"#,
    ),
    requests(
        Status::GATEWAY_IN_POOL,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24", "gateway": "10.0.0.9", "pools": [{"first": "10.0.0.9", "last": "10.0.0.20"}]}"#,
    ),
    Row { status: Status::NOT_DONE, by: By::Unsent },
    requests(
        Status::QUOTA,
        r#"p pool_create {"default_quota": 256}
           pool:p allocate {"owner": "a", "length": 24}
           pool:p allocate {"owner": "b", "length": 32}"#,
    ),
    requests(
        Status::PREFIX_TAKEN,
        r#"p pool_create
           pool:p allocate {"owner": "a", "length": 24, "exact": "10.0.7.0"}
           pool:p allocate {"owner": "b", "length": 25, "exact": "10.0.7.128"}"#,
    ),
    requests(
        Status::POOL_EXHAUSTED,
        r#"p pool_create
           pool:p allocate {"owner": "a", "length": 16}
           pool:p allocate {"owner": "b", "length": 32}"#,
    ),
    requests(
        Status::POOL_AFFINITY,
        r#"p pool_create
           q pool_create {"prefixes": ["10.1.0.0/16"]}
           n network_create
           n subnet_create {"cidr": "10.0.0.0/24", "from_pool": {"by": "exact", "subnet_pool_id": "p"}}
           n subnet_create {"subnet_id": "t", "cidr": "10.1.0.0/24", "from_pool": {"by": "exact", "subnet_pool_id": "q"}}"#,
    ),
    requests(
        Status::SCOPE_AFFINITY,
        r#"x scope_create
           p pool_create
           n network_create {"scope_v4": "x"}
           n subnet_create {"cidr": "10.0.0.0/24", "from_pool": {"by": "exact", "subnet_pool_id": "p"}}"#,
    ),
    requests(
        Status::SCOPE_OVERLAP,
        r#"x scope_create
           p pool_create {"address_scope_id": "x"}
           q pool_create {"address_scope_id": "x", "prefixes": ["10.0.7.0/24"]}"#,
    ),
    requests(
        Status::POOL_IN_USE,
        r#"p pool_create
           pool:p allocate {"owner": "a", "length": 24}
           p pool_delete"#,
    ),
    requests(
        Status::DEFAULT_POOL_EXISTS,
        r#"p pool_create {"is_default": true}
           q pool_create {"is_default": true, "prefixes": ["10.1.0.0/16"]}"#,
    ),
    requests(
        Status::OUTSIDE_POOL,
        r#"p pool_create
           pool:p allocate {"owner": "a", "length": 24, "exact": "10.1.0.0"}"#,
    ),
    requests(
        Status::POOL_PREFIX_UPDATE,
        r#"p pool_create
           p pool_update {"prefixes": ["10.1.0.0/16"]}"#,
    ),
    requests(
        Status::HELD_BY_OBJECT,
        r#"p pool_create
           n network_create
           n subnet_create {"cidr": "10.0.7.0/24", "from_pool": {"by": "exact", "subnet_pool_id": "p"}}
           pool:p release {"target": {"address": "10.0.7.0"}, "any": true}"#,
    ),
    requests(
        Status::MAC_IN_USE,
        r#"n network_create
           n port_create {"mac": "02:00:00:00:00:01"}
           n port_create {"port_id": "q", "mac": "02:00:00:00:00:01"}"#,
    ),
    requests(
        Status::HOST_NOT_CONNECTED,
        r#"n network_create
           n segment_create {"segment_id": "left"}
           n subnet_create {"cidr": "10.0.0.0/24", "segment_id": "left"}
           n port_create {"host": "node-7"}"#,
    ),
    requests(
        Status::HOST_NOT_COMPATIBLE,
        r#"n network_create
           n segment_create {"segment_id": "left"}
           n segment_create {"segment_id": "right"}
           n segment_hosts {"segment_id": "left", "add": ["node-1"]}
           n segment_hosts {"segment_id": "right", "add": ["node-2"]}
           n subnet_create {"cidr": "10.0.0.0/24", "segment_id": "left"}
           n subnet_create {"subnet_id": "t", "cidr": "10.0.1.0/24", "segment_id": "right"}
           n port_create {"host": "node-1"}
           n port_update {"host": "node-2"}"#,
    ),
    requests(
        Status::GATEWAY_IN_USE,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n port_create {"device_owner": "network:router_interface", "allow_gateway": true, "fixed_ips": [{"ip_address": "10.0.0.1"}]}
           n subnet_update {"gateway": null}"#,
    ),
    requests(
        Status::ADDRESS_OUTSIDE,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n port_create {"fixed_ips": [{"ip_address": "10.1.0.9"}]}"#,
    ),
    requests(
        Status::AUTO_ADDRESS_ONLY,
        r#"n network_create
           n subnet_create {"cidr": "fd00::/64", "enable_dhcp": true, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
           n port_create {"fixed_ips": [{"subnet_id": "s", "ip_address": "fd00::9"}]}"#,
    ),
    requests(
        Status::SEGMENTS_DIFFER,
        r#"n network_create
           n segment_create {"segment_id": "left"}
           n segment_create {"segment_id": "right"}
           n subnet_create {"cidr": "10.0.0.0/24", "segment_id": "left"}
           n subnet_create {"subnet_id": "t", "cidr": "10.0.1.0/24", "segment_id": "right"}
           n port_create {"fixed_ips": [{"subnet_id": "s"}, {"subnet_id": "t"}]}"#,
    ),
    requests(
        Status::SEGMENT_MIX,
        r#"n network_create
           n segment_create {"segment_id": "left"}
           n subnet_create {"cidr": "10.0.0.0/24", "segment_id": "left"}
           n subnet_create {"subnet_id": "t", "cidr": "10.0.1.0/24"}"#,
    ),
    requests(
        Status::SEGMENT_FIXED,
        r#"n network_create
           n segment_create {"segment_id": "left"}
           n segment_create {"segment_id": "right"}
           n subnet_create {"cidr": "10.0.0.0/24", "segment_id": "left"}
           n subnet_update {"segment_id": "right"}"#,
    ),
    requests(
        Status::PINNED,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n pin_create {"address": "10.0.0.9", "owner": "a"}
           n allocate {"owner": "b", "exact": "10.0.0.9"}"#,
    ),
    requests(
        Status::EXPIRED,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n renew {"target": {"key": {"owner": "a", "slot": 0}}, "lease_ms": 60000}"#,
    ),
    requests(
        Status::ADDRESS_RESTING,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a", "exact": "10.0.0.9"}
           n release {"target": {"key": {"owner": "a", "slot": 0}}}
           n allocate {"owner": "b", "exact": "10.0.0.9"}"#,
    ),
    requests(
        Status::RESTING_LIMIT,
        r#"- project_update {"quota_resting": 0}
           n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a"}
           n release {"target": {"key": {"owner": "a", "slot": 0}}}
           n allocate {"owner": "b"}"#,
    ),
    requests(
        Status::HOLD_OVER,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n hold_confirm {"target": {"key": {"owner": "a", "slot": 0}}, "revision": "7", "token": "00000000-0000-0000-0000-000000000001"}"#,
    ),
    requests(
        Status::OTHER_TOKEN,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a", "hold_token": "00000000-0000-0000-0000-000000000001"}
           n allocate {"owner": "a", "hold_token": "00000000-0000-0000-0000-000000000002"}"#,
    ),
    requests(
        Status::HOLD_CONFIRMED,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a"}
           n hold_cancel {"target": {"key": {"owner": "a", "slot": 0}}, "revision": "$", "token": "00000000-0000-0000-0000-000000000001"}"#,
    ),
    test(
        Status::HOLD_LIMIT,
        "src/allocator/tests/holds.rs",
        "a_project_has_so_many_open_holds_and_no_more",
    ),
    requests(
        Status::RECONCILE_STALE,
        r#"- reconcile {"manager": "cni", "host": "n1", "call": "8", "parts": 2}
           - reconcile {"manager": "cni", "host": "n1", "call": "7"}"#,
    ),
    requests(
        Status::RECONCILE_DIFFERS,
        r#"- reconcile {"manager": "cni", "host": "n1", "call": "8", "parts": 2}
           - reconcile {"manager": "cni", "host": "n1", "call": "8", "parts": 3}"#,
    ),
    requests(
        Status::NO_HOST_LEASE,
        r#"- renew_host {"manager": "cni", "host": "n1", "lease_ms": 60000}"#,
    ),
    test(
        Status::HOST_LEASE_OVER,
        "src/allocator/tests/host_leases.rs",
        "what_follows_ends_with_the_lease_of_its_host",
    ),
    requests(
        Status::HOST_LIFE_STALE,
        r#"- renew_host {"manager": "cni", "host": "n1", "lease_ms": 60000, "begin": "7"}
           - renew_host {"manager": "cni", "host": "n1", "lease_ms": 60000, "begin": "6"}"#,
    ),
    requests(Status::RELIST, r#"- watch {"from": {"incarnation": 77, "position": "1"}}"#),
    requests(Status::BACKUP_OVER, r#"- backup_read {"backup_id": "b0", "block": 5}"#),
    requests(Status::HISTORY_OFF, r#"- history {"subject": {"address": "10.0.0.2"}}"#),
    connections(Status::MALFORMED, connections::malformed),
    requests(
        Status::OUT_OF_RANGE,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n allocate {"owner": "a", "family": "v4", "length": 40}"#,
    ),
    requests(
        Status::UNSUPPORTED,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           p pool_create
           pool:p allocate {"owner": "a", "hold_token": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"}"#,
    ),
    connections(Status::UNSUPPORTED_FIELD, connections::unsupported_field),
    connections(Status::UNSUPPORTED_VERSION, connections::unsupported_version),
    connections(Status::FRAME_TOO_LONG, connections::frame_too_long),
    connections(Status::REQUEST_ID_IN_USE, connections::request_id_in_use),
    connections(Status::HELLO_EXPECTED, connections::hello_expected),
    requests(Status::CONFLICTING_FIELDS, r#"p pool_create {"parent_length": 24}"#),
    requests(
        Status::POOL_OUTSIDE,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24", "pools": [{"first": "10.0.1.0", "last": "10.0.1.9"}]}"#,
    ),
    requests(Status::INVALID_NAME, r#"n network_create {"name": "10.0.0.1"}"#),
    requests(
        Status::INVALID_GATEWAY,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24", "gateway": "fd00::1"}"#,
    ),
    requests(
        Status::INVALID_PREFIX,
        r#"n network_create
           n subnet_create {"cidr": "0.0.0.0/0"}"#,
    ),
    requests(
        Status::LENGTH_BELOW_MIN,
        r#"p pool_create {"min_length": 20}
           pool:p allocate {"owner": "a", "length": 18}"#,
    ),
    requests(
        Status::LENGTH_ABOVE_MAX,
        r#"p pool_create {"max_length": 26}
           pool:p allocate {"owner": "a", "length": 28}"#,
    ),
    requests(Status::POOL_BOUNDS, r#"p pool_create {"min_length": 26, "max_length": 24}"#),
    requests(
        Status::FAMILY_MISMATCH,
        r#"p pool_create {"prefixes": ["10.0.0.0/16", "fd00::/48"]}"#,
    ),
    requests(Status::NO_PREFIXES, r#"p pool_create {"prefixes": []}"#),
    requests(
        Status::INVALID_IPV6_MODE,
        r#"n network_create
           n subnet_create {"cidr": "fd00::/64", "enable_dhcp": true, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"}"#,
    ),
    requests(
        Status::INVALID_MAC,
        r#"n network_create
           n port_create {"mac": "ff:ff:ff:ff:ff:ff"}"#,
    ),
    requests(
        Status::FIXED_IP_EMPTY,
        r#"n network_create
           n subnet_create {"cidr": "10.0.0.0/24"}
           n port_create {"fixed_ips": [{}]}"#,
    ),
    connections(Status::WRONG_SERVER, connections::wrong_server),
    Row { status: Status::SESSION_REPLACED, by: By::Unsent },
    connections(Status::SESSION_STALE, connections::session_stale),
    connections(Status::UNAUTHENTICATED, connections::unauthenticated),
    connections(Status::NOT_ALLOWED, connections::not_allowed),
    connections(Status::BUSY, connections::busy),
    connections(Status::TIMED_OUT, connections::timed_out),
    test(
        Status::STORAGE_FULL,
        "src/engine/tests/pressure.rs",
        "on_a_full_disk_reads_and_releases_are_served_and_nothing_else_is_begun",
    ),
    connections(Status::MEMORY_FULL, connections::memory_full),
    Row { status: Status::NOT_READY, by: By::Unsent },
    connections(Status::RATE_LIMITED, connections::rate_limited),
    connections(Status::ADOPTING, connections::adopting),
    requests(
        Status::BACKUP_RUNNING,
        r#"- backup_read {"backup_id": "b1", "block": 0}
           - backup_read {"backup_id": "b2", "block": 0}"#,
    ),
    Row { status: Status::OUTCOME_UNKNOWN, by: By::BrokenInvariant },
];

fn one_exclusion_too_many() -> String {
    let mut text = r#"n network_create
        n subnet_create {"cidr": "10.0.0.0/24"}
        "#
    .to_owned();
    for number in 0..=EXCLUSIONS_MAX {
        let address = format!("10.0.0.{}", 2 + 2 * number);
        text +=
            &format!("n subnet_exclude {{\"first\": \"{address}\", \"last\": \"{address}\"}}\n");
    }
    text
}
