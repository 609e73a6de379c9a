//! The table of operations: numbers are appended, never reused (SPEC.md section 9).

use serde::{Deserialize, Serialize};

/// Operation code as it travels; unknown values survive a round trip.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u16);

/// What the network field of a request's header must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkRule {
    /// A network.
    Needed,
    /// A network, or all zero.
    Optional,
    /// All zero.
    None,
}

macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        impl Opcode {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Every operation of this version, in rising order.
            pub const ALL: &'static [Self] = &[$(Self($number)),*];

            /// Whether this version has the operation.
            #[must_use]
            pub const fn is_known(self) -> bool {
                matches!(self.0, $($number)|*)
            }

            /// Name as it stands in SPEC.md, metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 { $($number => $text,)* _ => "unknown" }
            }
        }
    };
}

opcodes! {
    /// First request of a connection.
    HELLO = 0x0001, "hello";
    /// Keeps a connection alive and measures it.
    PING = 0x0002, "ping";
    /// Server to client: no new requests here.
    GOAWAY = 0x0003, "goaway";
    /// Server to client: the frame could not be read; the connection closes.
    ERROR = 0x0005, "error";
    /// State of the server for people.
    SERVER_STATUS = 0x0010, "server_status";
    /// Progress of a job.
    JOB_GET = 0x0011, "job_get";
    /// Jobs that are not finished, and the last that are.
    JOB_LIST = 0x0012, "job_list";
    /// An operator believes the wall clock of the server.
    CLOCK_ACCEPT = 0x0013, "clock_accept";
    /// An operator begins or ends adoption mode.
    SERVER_ADOPT = 0x0014, "server_adopt";
    /// An operator fetches a backup, block by block.
    BACKUP_READ = 0x0015, "backup_read";
    /// Asks for changes as they become durable.
    WATCH = 0x0020, "watch";
    /// Server to client: changes that a watch asked for.
    EVENTS = 0x0021, "events";
    /// Server to client: a watch has ended.
    WATCH_END = 0x0022, "watch_end";
    /// Ends a watch.
    UNWATCH = 0x0023, "unwatch";
    /// Asks what became of an address, or of what an owner holds.
    HISTORY = 0x0024, "history";

    /// Creates a network.
    NETWORK_CREATE = 0x0101, "network_create";
    /// Reads a network by id.
    NETWORK_GET = 0x0102, "network_get";
    /// Lists networks of a project.
    NETWORK_LIST = 0x0103, "network_list";
    /// Changes a network.
    NETWORK_UPDATE = 0x0104, "network_update";
    /// Deletes a network.
    NETWORK_DELETE = 0x0105, "network_delete";
    /// Finds the id of a network by its name.
    NETWORK_FIND = 0x0106, "network_find";

    /// Creates a subnet.
    SUBNET_CREATE = 0x0201, "subnet_create";
    /// Reads a subnet by id, name or prefix.
    SUBNET_GET = 0x0202, "subnet_get";
    /// Lists subnets of a network.
    SUBNET_LIST = 0x0203, "subnet_list";
    /// Changes a subnet.
    SUBNET_UPDATE = 0x0204, "subnet_update";
    /// Deletes a subnet.
    SUBNET_DELETE = 0x0205, "subnet_delete";
    /// Keeps a range of a subnet from being handed out.
    SUBNET_EXCLUDE = 0x0206, "subnet_exclude";
    /// Ends an exclusion.
    SUBNET_INCLUDE = 0x0207, "subnet_include";
    /// Counts of a network and its subnets.
    USAGE = 0x0208, "usage";
    /// Free ranges of a subnet.
    FREE_RANGES = 0x0209, "free_ranges";
    /// Takes the subnets of a network into a subnet pool.
    SUBNET_ONBOARD = 0x020a, "subnet_onboard";

    /// Allocates one address, one of each family, or a block.
    ALLOCATE = 0x0301, "allocate";
    /// Releases an allocation.
    RELEASE = 0x0302, "release";
    /// Changes label, host, manager or owner name of an allocation.
    ALLOCATION_UPDATE = 0x0303, "allocation_update";
    /// Up to 1,024 items on one network: allocations, ports, leases, holds.
    BATCH = 0x0304, "batch";
    /// Reads allocations by key or address on one network.
    ALLOCATION_GET = 0x0305, "allocation_get";
    /// Lists allocations of a network.
    ALLOCATION_LIST = 0x0306, "allocation_list";
    /// Finds allocations by address or owner, on one network or all.
    LOOKUP = 0x0307, "lookup";
    /// Lets a lease go on.
    RENEW = 0x0308, "renew";
    /// Lets all leases go on that an owner has in a network, or in all.
    RENEW_OWNER = 0x0309, "renew_owner";
    /// Up to 1,024 items of a batch on several networks and pools, all or nothing.
    TRANSACTION = 0x030a, "transaction";
    /// Makes a hold an allocation.
    HOLD_CONFIRM = 0x030b, "hold_confirm";
    /// Ends a hold and frees its address at once.
    HOLD_CANCEL = 0x030c, "hold_cancel";
    /// Releases an allocation once that is confirmed.
    HOLD_RELEASE = 0x030d, "hold_release";
    /// Gives an allocation another owner, slot, instance or project.
    TRANSFER = 0x030e, "transfer";

    /// Says what lives on a host, so that what doesn't is released in the end.
    RECONCILE = 0x0330, "reconcile";
    /// Lists what the last reconciliations missed.
    SUSPECT_LIST = 0x0331, "suspect_list";
    /// Lists managers, or the hosts of one.
    MANAGER_LIST = 0x0332, "manager_list";
    /// Begins the lease of a host, or lets it go on.
    RENEW_HOST = 0x0333, "renew_host";
    /// Ends the lease of a host now.
    END_HOST = 0x0334, "end_host";
    /// Lists hosts of a manager that have a lease.
    HOST_LEASE_LIST = 0x0335, "host_lease_list";

    /// Creates a project.
    PROJECT_CREATE = 0x0401, "project_create";
    /// Reads a project by id or name.
    PROJECT_GET = 0x0402, "project_get";
    /// Lists projects.
    PROJECT_LIST = 0x0403, "project_list";
    /// Changes a project.
    PROJECT_UPDATE = 0x0404, "project_update";
    /// Deletes a project that nothing uses.
    PROJECT_DELETE = 0x0405, "project_delete";

    /// Creates an address scope.
    SCOPE_CREATE = 0x0411, "scope_create";
    /// Reads an address scope by id or name.
    SCOPE_GET = 0x0412, "scope_get";
    /// Lists address scopes.
    SCOPE_LIST = 0x0413, "scope_list";
    /// Changes an address scope.
    SCOPE_UPDATE = 0x0414, "scope_update";
    /// Deletes an address scope that nothing uses.
    SCOPE_DELETE = 0x0415, "scope_delete";

    /// Creates a subnet pool.
    POOL_CREATE = 0x0421, "pool_create";
    /// Reads a subnet pool by id or name.
    POOL_GET = 0x0422, "pool_get";
    /// Lists subnet pools.
    POOL_LIST = 0x0423, "pool_list";
    /// Changes a subnet pool.
    POOL_UPDATE = 0x0424, "pool_update";
    /// Deletes a subnet pool that nothing uses.
    POOL_DELETE = 0x0425, "pool_delete";
    /// Which prefix a request would get from a subnet pool.
    POOL_PREVIEW = 0x0426, "pool_preview";
    /// Creates a principal.
    PRINCIPAL_CREATE = 0x0431, "principal_create";
    /// Reads a principal by id or name.
    PRINCIPAL_GET = 0x0432, "principal_get";
    /// Lists principals.
    PRINCIPAL_LIST = 0x0433, "principal_list";
    /// Changes a principal.
    PRINCIPAL_UPDATE = 0x0434, "principal_update";
    /// Deletes a principal with its tokens.
    PRINCIPAL_DELETE = 0x0435, "principal_delete";
    /// Gives a principal a token.
    TOKEN_CREATE = 0x0441, "token_create";
    /// Ends a token.
    TOKEN_REVOKE = 0x0442, "token_revoke";
    /// Creates a segment.
    SEGMENT_CREATE = 0x0501, "segment_create";
    /// Reads a segment.
    SEGMENT_GET = 0x0502, "segment_get";
    /// Lists segments of a network.
    SEGMENT_LIST = 0x0503, "segment_list";
    /// Changes a segment.
    SEGMENT_UPDATE = 0x0504, "segment_update";
    /// Deletes a segment.
    SEGMENT_DELETE = 0x0505, "segment_delete";
    /// Maps hosts to a segment, or ends that.
    SEGMENT_HOSTS = 0x0506, "segment_hosts";
    /// Lists hosts and the segments that they are mapped to.
    HOST_LIST = 0x0507, "host_list";

    /// Creates a port with its addresses.
    PORT_CREATE = 0x0511, "port_create";
    /// Reads a port.
    PORT_GET = 0x0512, "port_get";
    /// Lists ports of a network.
    PORT_LIST = 0x0513, "port_list";
    /// Changes a port and its addresses.
    PORT_UPDATE = 0x0514, "port_update";
    /// Deletes a port and releases its addresses.
    PORT_DELETE = 0x0515, "port_delete";

    /// Keeps an address for an owner.
    PIN_CREATE = 0x0521, "pin_create";
    /// Ends a pin.
    PIN_DELETE = 0x0522, "pin_delete";
    /// Lists pins of a network.
    PIN_LIST = 0x0523, "pin_list";
}

impl Opcode {
    /// What the network field of the header must be. Of operations that this version doesn't have
    /// nothing is known, and the answer is that they are unsupported.
    #[must_use]
    pub const fn network_rule(self) -> NetworkRule {
        match self {
            Self::HELLO | Self::PING | Self::SERVER_STATUS | Self::JOB_GET | Self::JOB_LIST => {
                NetworkRule::None
            }
            Self::CLOCK_ACCEPT | Self::SERVER_ADOPT | Self::BACKUP_READ => NetworkRule::None,
            Self::UNWATCH => NetworkRule::None,
            Self::NETWORK_LIST | Self::NETWORK_FIND | Self::TRANSACTION => NetworkRule::None,
            Self::MANAGER_LIST => NetworkRule::None,
            Self::RENEW_HOST | Self::END_HOST | Self::HOST_LEASE_LIST => NetworkRule::None,
            Self::RECONCILE | Self::SUSPECT_LIST | Self::RENEW_OWNER => NetworkRule::Optional,
            Self::LOOKUP | Self::SCOPE_GET | Self::POOL_GET => NetworkRule::Optional,
            Self::SCOPE_LIST | Self::POOL_LIST => NetworkRule::None,
            Self(0x0400..=0x040f | 0x0430..=0x044f) if self.is_known() => NetworkRule::None,
            Self(0x0100..=0x05ff) if self.is_known() => NetworkRule::Needed,
            _ => NetworkRule::Optional,
        }
    }

    /// Whether it may have a subnet pool where the network stands in the header.
    #[must_use]
    pub const fn may_name_pool(self) -> bool {
        matches!(
            self,
            Self::ALLOCATE
                | Self::RELEASE
                | Self::ALLOCATION_UPDATE
                | Self::BATCH
                | Self::ALLOCATION_GET
                | Self::ALLOCATION_LIST
                | Self::LOOKUP
                | Self::USAGE
                | Self::TRANSFER
                | Self::RENEW
                | Self::RENEW_OWNER
                | Self::WATCH
                | Self::HISTORY
        )
    }

    /// Whether it has items, and its frame may be so much longer.
    #[must_use]
    pub const fn has_items(self) -> bool {
        matches!(self, Self::BATCH | Self::TRANSACTION)
    }

    /// Whether it may make again what was there before.
    #[must_use]
    pub const fn may_restore(self) -> bool {
        matches!(
            self,
            Self::NETWORK_CREATE
                | Self::SUBNET_CREATE
                | Self::ALLOCATE
                | Self::BATCH
                | Self::POOL_CREATE
                | Self::PORT_CREATE
        )
    }

    /// Whether it may be about a network that another project shares: it uses or reads one, and
    /// never changes the network or what it is made of.
    #[must_use]
    pub const fn may_be_shared(self) -> bool {
        matches!(
            self,
            Self::NETWORK_GET
                | Self::SUBNET_GET
                | Self::SUBNET_LIST
                | Self::USAGE
                | Self::FREE_RANGES
                | Self::ALLOCATE
                | Self::RELEASE
                | Self::ALLOCATION_UPDATE
                | Self::BATCH
                | Self::ALLOCATION_GET
                | Self::ALLOCATION_LIST
                | Self::LOOKUP
                | Self::RENEW
                | Self::RENEW_OWNER
                | Self::HOLD_CONFIRM
                | Self::HOLD_CANCEL
                | Self::HOLD_RELEASE
                | Self::TRANSFER
                | Self::RECONCILE
                | Self::SUSPECT_LIST
                | Self::PORT_CREATE
                | Self::PORT_GET
                | Self::PORT_LIST
                | Self::PORT_UPDATE
                | Self::PORT_DELETE
                | Self::WATCH
                | Self::HISTORY
        )
    }
}

impl std::fmt::Debug for Opcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({:#06x})", self.name(), self.0)
    }
}

impl Serialize for Opcode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if Self::ALL.contains(self) {
            serializer.serialize_str(self.name())
        } else {
            serializer.collect_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Opcode {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        let named = Self::ALL.iter().find(|opcode| opcode.name() == text).copied();
        named
            .or_else(|| text.parse().ok().map(Self))
            .ok_or_else(|| serde::de::Error::custom("no such operation"))
    }
}
