//! Status codes: stable numbers in classes that tell a client what to do (SPEC.md section 10).

use serde::{Deserialize, Serialize};

/// Outcome as it travels; unknown values survive a round trip. The high byte is the class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u16);

/// What a client may do, told by the class alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// 0x00: done, as asked or already so.
    Done,
    /// 0x01: a lawful no; the same request would be refused again until something changes.
    Refused,
    /// 0x02: the request is wrong in itself.
    Invalid,
    /// 0x03: not allowed.
    Denied,
    /// 0x04: nothing happened; try again after the time in the reply.
    Later,
    /// 0x05 and whatever is not known: the outcome is unknown; repeat the same request.
    Unknown,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $http:literal, $neutron:literal;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Every status of this version, in rising order.
            pub const ALL: &'static [Self] = &[$(Self($number)),*];

            /// Name as it stands in SPEC.md, JSON, metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 { $($number => stringify!($name),)* _ => "UNKNOWN_STATUS" }
            }

            /// The HTTP status that says the same, for gateways: Neutron's where it has one.
            #[must_use]
            pub const fn http(self) -> u16 {
                match self.0 { $($number => $http,)* _ => 500 }
            }

            /// What Neutron calls it; empty if Neutron has no such error.
            #[must_use]
            pub const fn neutron(self) -> &'static str {
                match self.0 { $($number => $neutron,)* _ => "" }
            }
        }
    };
}

statuses! {
    /// Done.
    OK = 0x0000, 200, "";
    /// Released before, or never held: there is nothing to release.
    NOT_HELD = 0x0001, 200, "";

    /// No address was free in any candidate subnet.
    EXHAUSTED = 0x0101, 409, "IpAddressGenerationFailure, IpAddressGenerationFailureAllSubnets";
    /// The exact address is held by another.
    ADDRESS_TAKEN = 0x0102, 409, "IpAddressAlreadyAllocated";
    /// The key holds something that does not satisfy the request.
    KEY_IN_USE = 0x0103, 409, "";
    /// The key is held by another instance and takeover was not asked for.
    HELD_BY_OTHER_INSTANCE = 0x0104, 409, "";
    /// The expected revision or instance is not the one held now.
    STALE = 0x0105, 412, "RevisionNumberConstraintFailed";
    /// The allocation belongs to another owner, manager or project.
    NOT_HOLDER = 0x0106, 409, "";
    /// No such object, or not visible.
    NOT_FOUND = 0x0107, 404, "NetworkNotFound, SubnetNotFound, SubnetPoolNotFound, PortNotFound, SegmentNotFound";
    /// The id exists with other unchangeable fields.
    ID_IN_USE = 0x0108, 409, "";
    /// The name belongs to another object.
    NAME_IN_USE = 0x0109, 409, "";
    /// The prefix overlaps another of the same network or scope.
    PREFIX_OVERLAP = 0x010a, 400, "InvalidInput";
    /// No candidate subnet fits the request.
    NO_MATCHING_SUBNET = 0x010b, 409, "IpAddressGenerationFailureNoMatchingSubnet";
    /// The address is not usable in the subnet.
    INVALID_ADDRESS = 0x010c, 400, "InvalidIpForSubnet";
    /// The address is the gateway and the request does not allow it.
    IS_GATEWAY = 0x010d, 409, "";
    /// The address lies in a range excluded for everyone.
    EXCLUDED = 0x010e, 409, "";
    /// Live allocations exist and the deletion is not forced.
    IN_USE = 0x010f, 409, "SubnetInUse";
    /// A bound on how many may exist is reached.
    LIMIT = 0x0110, 409, "OverQuota";
    /// The object is being deleted by a job.
    DELETING = 0x0111, 409, "SubnetInUse";
    /// The pools overlap each other.
    POOL_OVERLAP = 0x0112, 409, "OverlappingAllocationPools";
    /// The gateway lies inside a pool.
    GATEWAY_IN_POOL = 0x0113, 409, "GatewayConflictWithAllocationPools";
    /// An item of an all-or-nothing batch was refused, so this one was not done either.
    NOT_DONE = 0x0114, 409, "";
    /// The project would use more of the pool than its quota.
    QUOTA = 0x0120, 409, "OverQuota, SubnetPoolQuotaExceeded";
    /// The exact prefix is in use, whole or in part.
    PREFIX_TAKEN = 0x0121, 409, "SubnetAllocationError";
    /// No free block of the pool holds a prefix of this length.
    POOL_EXHAUSTED = 0x0122, 409, "SubnetAllocationError";
    /// Subnets of one family in a network come from one pool, or from one address scope.
    POOL_AFFINITY = 0x0123, 400, "NetworkSubnetPoolAffinityError";
    /// The pool belongs to another address scope than the network.
    SCOPE_AFFINITY = 0x0124, 400, "NetworkAddressScopeAffinityError";
    /// The prefixes overlap others of the address scope.
    SCOPE_OVERLAP = 0x0125, 409, "AddressScopePrefixConflict";
    /// Prefixes of the pool are in use.
    POOL_IN_USE = 0x0126, 400, "SubnetPoolDeleteError, SubnetPoolInUse";
    /// The project has a default pool of this family already.
    DEFAULT_POOL_EXISTS = 0x0127, 400, "InvalidInput";
    /// The exact prefix lies in none of the pool's prefixes.
    OUTSIDE_POOL = 0x0128, 409, "SubnetAllocationError";
    /// A prefix of the pool would vanish, or one that is to be removed is in use.
    POOL_PREFIX_UPDATE = 0x0129, 400, "IllegalSubnetPoolPrefixUpdate";
    /// The prefix belongs to a subnet or a pool, which gives it back itself.
    HELD_BY_OBJECT = 0x012a, 409, "";
    /// Another port of the network has the MAC.
    MAC_IN_USE = 0x0140, 409, "MacAddressInUse";
    /// The host is mapped to no segment of the network.
    HOST_NOT_CONNECTED = 0x0141, 409, "HostNotConnectedToAnySegment";
    /// The addresses of the port lie on segments that the host is not mapped to.
    HOST_NOT_COMPATIBLE = 0x0142, 409, "HostNotCompatibleWithFixedIps";
    /// The old gateway is held by a port of a router.
    GATEWAY_IN_USE = 0x0143, 409, "GatewayIpInUse";
    /// The address is usable in none of the port's candidate subnets.
    ADDRESS_OUTSIDE = 0x0144, 400, "InvalidIpForNetwork";
    /// The subnet gives only the address that follows from the MAC.
    AUTO_ADDRESS_ONLY = 0x0145, 400, "AllocationOnAutoAddressSubnet";
    /// The addresses asked for lie on different segments.
    SEGMENTS_DIFFER = 0x0146, 400, "FixedIpsSubnetsNotOnSameSegment";
    /// All subnets of a network are on segments, or none is.
    SEGMENT_MIX = 0x0147, 400, "SubnetsNotAllAssociatedWithSegments";
    /// The segment of a subnet cannot be changed so.
    SEGMENT_FIXED = 0x0148, 400, "SubnetSegmentAssociationChangeNotAllowed";
    /// The address is kept for another owner.
    PINNED = 0x0149, 409, "";
    /// Nothing is held any more: the lease ended, or it was released.
    EXPIRED = 0x0160, 410, "";
    /// The exact address was released by another and still rests.
    ADDRESS_RESTING = 0x0161, 409, "IpAddressAlreadyAllocated";
    /// Too many addresses that the project released rest still.
    RESTING_LIMIT = 0x0162, 409, "OverQuota";
    /// The hold has ended or was never there, and nothing keeps its address for it.
    HOLD_OVER = 0x0163, 410, "";
    /// It is held under another token.
    OTHER_TOKEN = 0x0164, 409, "";
    /// What is to be cancelled is no hold any more: a release frees it.
    HOLD_CONFIRMED = 0x0165, 409, "";
    /// The project has as many open holds as it may.
    HOLD_LIMIT = 0x0166, 409, "OverQuota";
    /// A later call of the host has begun.
    RECONCILE_STALE = 0x0167, 409, "";
    /// The part does not fit those of its call that came before.
    RECONCILE_DIFFERS = 0x0168, 409, "";
    /// The host has no lease.
    NO_HOST_LEASE = 0x0169, 404, "";
    /// The lease of the host is over.
    HOST_LEASE_OVER = 0x016a, 409, "";
    /// A later life of the host has begun.
    HOST_LIFE_STALE = 0x016b, 409, "";
    /// What follows a position is not kept any more, or is of another life of the data: list anew.
    RELIST = 0x0170, 410, "";
    /// The backup is not being fetched any more, or never was.
    BACKUP_OVER = 0x0190, 410, "";
    /// This server keeps no history.
    HISTORY_OFF = 0x0191, 404, "";

    /// The frame or body could not be read.
    MALFORMED = 0x0201, 400, "";
    /// A field is outside its range.
    OUT_OF_RANGE = 0x0202, 400, "InvalidInput, InvalidAllocationPool, IpamValueInvalid";
    /// The operation, or a value of a field, is not built in this version.
    UNSUPPORTED = 0x0203, 501, "InvalidAddressType";
    /// A critical field is unknown.
    UNSUPPORTED_FIELD = 0x0204, 501, "";
    /// The protocol version is not spoken here.
    UNSUPPORTED_VERSION = 0x0205, 505, "";
    /// The frame is longer than allowed.
    FRAME_TOO_LONG = 0x0206, 413, "";
    /// The request id is in use on this connection.
    REQUEST_ID_IN_USE = 0x0207, 400, "";
    /// HELLO must come first, and once.
    HELLO_EXPECTED = 0x0208, 400, "";
    /// The fields contradict each other.
    CONFLICTING_FIELDS = 0x0209, 400, "InvalidInput, InvalidSubnetRequest, InvalidSubnetRequestType";
    /// A pool lies outside the usable part of its subnet.
    POOL_OUTSIDE = 0x020a, 400, "OutOfBoundsAllocationPool";
    /// The name has a wrong form.
    INVALID_NAME = 0x020b, 400, "InvalidInput";
    /// The gateway cannot be used in the subnet.
    INVALID_GATEWAY = 0x020c, 400, "InvalidInput";
    /// The prefix cannot be a subnet.
    INVALID_PREFIX = 0x020d, 400, "InvalidInput";
    /// The prefix is larger than the pool hands out.
    LENGTH_BELOW_MIN = 0x0220, 400, "MinPrefixSubnetAllocationError";
    /// The prefix is smaller than the pool hands out.
    LENGTH_ABOVE_MAX = 0x0221, 400, "MaxPrefixSubnetAllocationError";
    /// Shortest, default and longest length of a pool are not in order.
    POOL_BOUNDS = 0x0222, 400, "IllegalSubnetPoolPrefixBounds";
    /// The prefixes, the pool or the scope are of two families.
    FAMILY_MISMATCH = 0x0223, 400, "PrefixVersionMismatch";
    /// A pool needs a prefix.
    NO_PREFIXES = 0x0224, 400, "EmptySubnetPoolPrefixList";
    /// The IPv6 modes do not fit each other or the subnet.
    INVALID_IPV6_MODE = 0x0240, 400, "InvalidInput";
    /// The MAC is not one of a single interface.
    INVALID_MAC = 0x0241, 400, "InvalidInput, AddressCalculationFailure";
    /// An address asked for names neither a subnet nor an address.
    FIXED_IP_EMPTY = 0x0242, 400, "InvalidInput";

    /// Another server than the one that the client pinned.
    WRONG_SERVER = 0x0301, 421, "";
    /// A newer connection took over the session.
    SESSION_REPLACED = 0x0302, 403, "";
    /// The epoch is not higher than the session's last one.
    SESSION_STALE = 0x0303, 403, "";
    /// Nobody that the server knows, or nobody any more.
    UNAUTHENTICATED = 0x0304, 401, "";
    /// The principal's grants don't allow it.
    NOT_ALLOWED = 0x0305, 403, "";

    /// Overload: a named bound is reached.
    BUSY = 0x0401, 503, "";
    /// The time-out passed before the request was applied.
    TIMED_OUT = 0x0402, 504, "";
    /// The disk is nearly full: only reads, releases and deletions are served.
    STORAGE_FULL = 0x0403, 507, "";
    /// The memory bound is nearly reached: only reads, releases and deletions are served.
    MEMORY_FULL = 0x0404, 507, "";
    /// The server is starting or stopping.
    NOT_READY = 0x0405, 503, "";
    /// Too many protocol errors, connections or requests from this peer.
    RATE_LIMITED = 0x0406, 429, "";
    /// Adoption mode: nothing is chosen by the server, since it may not know all who hold something.
    ADOPTING = 0x0407, 503, "";
    /// Another backup is being fetched.
    BACKUP_RUNNING = 0x0408, 503, "";

    /// The server failed while doing it.
    OUTCOME_UNKNOWN = 0x0501, 500, "";
}

impl Status {
    /// What the client may do, read from the high byte.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self.0 >> 8 {
            0x00 => Retry::Done,
            0x01 => Retry::Refused,
            0x02 => Retry::Invalid,
            0x03 => Retry::Denied,
            0x04 => Retry::Later,
            _ => Retry::Unknown,
        }
    }

    /// Whether the request was done.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self.retry(), Retry::Done)
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({:#06x})", self.name(), self.0)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if Self::ALL.contains(self) {
            serializer.serialize_str(self.name())
        } else {
            serializer.collect_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        let named = Self::ALL.iter().find(|status| status.name() == text).copied();
        named
            .or_else(|| text.parse().ok().map(Self))
            .ok_or_else(|| serde::de::Error::custom("no such status"))
    }
}
