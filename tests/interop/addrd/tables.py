"""The numbers of SPEC.md: operations, statuses, enumerations and limits."""

VERSION = 1
DEFAULT_PROJECT = "61646472-6400-5000-8000-64656661756c"
OWNER_NAMESPACE = "61646472-6400-5000-8000-6f776e657221"

REQUEST_HEADER_BYTES = 64
REPLY_HEADER_BYTES = 24
HELLO_BYTES_MAX = 1_024
REQUEST_BYTES_MAX = 65_536
BATCH_BYTES_MAX = 1_048_576
REPLY_BYTES_MAX = 1_048_576

OPCODES = {
    0x0001: "hello",
    0x0002: "ping",
    0x0003: "goaway",
    0x0005: "error",
    0x0010: "server_status",
    0x0011: "job_get",
    0x0012: "job_list",
    0x0013: "clock_accept",
    0x0014: "server_adopt",
    0x0015: "backup_read",
    0x0020: "watch",
    0x0021: "events",
    0x0022: "watch_end",
    0x0023: "unwatch",
    0x0024: "history",
    0x0101: "network_create",
    0x0102: "network_get",
    0x0103: "network_list",
    0x0104: "network_update",
    0x0105: "network_delete",
    0x0106: "network_find",
    0x0201: "subnet_create",
    0x0202: "subnet_get",
    0x0203: "subnet_list",
    0x0204: "subnet_update",
    0x0205: "subnet_delete",
    0x0206: "subnet_exclude",
    0x0207: "subnet_include",
    0x0208: "usage",
    0x0209: "free_ranges",
    0x020A: "subnet_onboard",
    0x0301: "allocate",
    0x0302: "release",
    0x0303: "allocation_update",
    0x0304: "batch",
    0x0305: "allocation_get",
    0x0306: "allocation_list",
    0x0307: "lookup",
    0x0308: "renew",
    0x0309: "renew_owner",
    0x030A: "transaction",
    0x030B: "hold_confirm",
    0x030C: "hold_cancel",
    0x030D: "hold_release",
    0x030E: "transfer",
    0x0330: "reconcile",
    0x0331: "suspect_list",
    0x0332: "manager_list",
    0x0333: "renew_host",
    0x0334: "end_host",
    0x0335: "host_lease_list",
    0x0401: "project_create",
    0x0402: "project_get",
    0x0403: "project_list",
    0x0404: "project_update",
    0x0405: "project_delete",
    0x0411: "scope_create",
    0x0412: "scope_get",
    0x0413: "scope_list",
    0x0414: "scope_update",
    0x0415: "scope_delete",
    0x0421: "pool_create",
    0x0422: "pool_get",
    0x0423: "pool_list",
    0x0424: "pool_update",
    0x0425: "pool_delete",
    0x0426: "pool_preview",
    0x0431: "principal_create",
    0x0432: "principal_get",
    0x0433: "principal_list",
    0x0434: "principal_update",
    0x0435: "principal_delete",
    0x0441: "token_create",
    0x0442: "token_revoke",
    0x0501: "segment_create",
    0x0502: "segment_get",
    0x0503: "segment_list",
    0x0504: "segment_update",
    0x0505: "segment_delete",
    0x0506: "segment_hosts",
    0x0507: "host_list",
    0x0511: "port_create",
    0x0512: "port_get",
    0x0513: "port_list",
    0x0514: "port_update",
    0x0515: "port_delete",
    0x0521: "pin_create",
    0x0522: "pin_delete",
    0x0523: "pin_list",
}

NETWORK_NONE = (
    "hello", "ping", "server_status", "job_get", "job_list", "clock_accept", "server_adopt", "backup_read", "network_list",
    "network_find", "transaction", "unwatch", "manager_list", "renew_host", "end_host", "host_lease_list",
    "project_create", "project_get", "project_list", "project_update", "project_delete", "scope_list", "pool_list",
    "principal_create", "principal_get", "principal_list", "principal_update", "principal_delete", "token_create", "token_revoke",
)
NETWORK_OPTIONAL = (
    "lookup", "reconcile", "renew_owner", "suspect_list", "scope_get", "pool_get", "watch", "history",
)
MAY_NAME_POOL = (
    "allocate", "release", "allocation_update", "batch", "allocation_get", "allocation_list", "lookup", "usage",
    "renew", "renew_owner", "transfer", "watch", "history",
)
HAVE_ITEMS = ("batch", "transaction")
MAY_RESTORE = ("network_create", "subnet_create", "allocate", "batch", "pool_create", "port_create")
MAY_BE_SHARED = (
    "network_get", "subnet_get", "subnet_list", "usage", "free_ranges", "allocate", "release", "allocation_update",
    "batch", "allocation_get", "allocation_list", "lookup", "renew", "renew_owner", "hold_confirm",
    "hold_cancel", "hold_release", "transfer", "reconcile", "suspect_list", "port_create", "port_get", "port_list", "port_update",
    "port_delete", "watch", "history",
)

STATUSES = {
    0x0000: "OK",
    0x0001: "NOT_HELD",
    0x0101: "EXHAUSTED",
    0x0102: "ADDRESS_TAKEN",
    0x0103: "KEY_IN_USE",
    0x0104: "HELD_BY_OTHER_INSTANCE",
    0x0105: "STALE",
    0x0106: "NOT_HOLDER",
    0x0107: "NOT_FOUND",
    0x0108: "ID_IN_USE",
    0x0109: "NAME_IN_USE",
    0x010A: "PREFIX_OVERLAP",
    0x010B: "NO_MATCHING_SUBNET",
    0x010C: "INVALID_ADDRESS",
    0x010D: "IS_GATEWAY",
    0x010E: "EXCLUDED",
    0x010F: "IN_USE",
    0x0110: "LIMIT",
    0x0111: "DELETING",
    0x0112: "POOL_OVERLAP",
    0x0113: "GATEWAY_IN_POOL",
    0x0114: "NOT_DONE",
    0x0120: "QUOTA",
    0x0121: "PREFIX_TAKEN",
    0x0122: "POOL_EXHAUSTED",
    0x0123: "POOL_AFFINITY",
    0x0124: "SCOPE_AFFINITY",
    0x0125: "SCOPE_OVERLAP",
    0x0126: "POOL_IN_USE",
    0x0127: "DEFAULT_POOL_EXISTS",
    0x0128: "OUTSIDE_POOL",
    0x0129: "POOL_PREFIX_UPDATE",
    0x012A: "HELD_BY_OBJECT",
    0x0140: "MAC_IN_USE",
    0x0141: "HOST_NOT_CONNECTED",
    0x0142: "HOST_NOT_COMPATIBLE",
    0x0143: "GATEWAY_IN_USE",
    0x0144: "ADDRESS_OUTSIDE",
    0x0145: "AUTO_ADDRESS_ONLY",
    0x0146: "SEGMENTS_DIFFER",
    0x0147: "SEGMENT_MIX",
    0x0148: "SEGMENT_FIXED",
    0x0149: "PINNED",
    0x0160: "EXPIRED",
    0x0161: "ADDRESS_RESTING",
    0x0162: "RESTING_LIMIT",
    0x0163: "HOLD_OVER",
    0x0164: "OTHER_TOKEN",
    0x0165: "HOLD_CONFIRMED",
    0x0166: "HOLD_LIMIT",
    0x0167: "RECONCILE_STALE",
    0x0168: "RECONCILE_DIFFERS",
    0x0169: "NO_HOST_LEASE",
    0x016A: "HOST_LEASE_OVER",
    0x016B: "HOST_LIFE_STALE",
    0x0170: "RELIST",
    0x0190: "BACKUP_OVER",
    0x0191: "HISTORY_OFF",
    0x0201: "MALFORMED",
    0x0202: "OUT_OF_RANGE",
    0x0203: "UNSUPPORTED",
    0x0204: "UNSUPPORTED_FIELD",
    0x0205: "UNSUPPORTED_VERSION",
    0x0206: "FRAME_TOO_LONG",
    0x0207: "REQUEST_ID_IN_USE",
    0x0208: "HELLO_EXPECTED",
    0x0209: "CONFLICTING_FIELDS",
    0x020A: "POOL_OUTSIDE",
    0x020B: "INVALID_NAME",
    0x020C: "INVALID_GATEWAY",
    0x020D: "INVALID_PREFIX",
    0x0220: "LENGTH_BELOW_MIN",
    0x0221: "LENGTH_ABOVE_MAX",
    0x0222: "POOL_BOUNDS",
    0x0223: "FAMILY_MISMATCH",
    0x0224: "NO_PREFIXES",
    0x0240: "INVALID_IPV6_MODE",
    0x0241: "INVALID_MAC",
    0x0242: "FIXED_IP_EMPTY",
    0x0301: "WRONG_SERVER",
    0x0302: "SESSION_REPLACED",
    0x0303: "SESSION_STALE",
    0x0304: "UNAUTHENTICATED",
    0x0305: "NOT_ALLOWED",
    0x0401: "BUSY",
    0x0402: "TIMED_OUT",
    0x0403: "STORAGE_FULL",
    0x0404: "MEMORY_FULL",
    0x0405: "NOT_READY",
    0x0406: "RATE_LIMITED",
    0x0407: "ADOPTING",
    0x0408: "BACKUP_RUNNING",
    0x0501: "OUTCOME_UNKNOWN",
}

CLASSES = {0: "done", 1: "refused", 2: "invalid", 3: "denied", 4: "later", 5: "unknown"}

FAMILIES = {1: "one", 2: "each", 3: "both", 4: "v4", 6: "v6"}
STRATEGIES = {
    0: "default", 1: "lowest", 2: "next", 3: "random", 4: "hashed", 5: "exact", 6: "eui64",
}
SUBNET_KINDS = {1: "broadcast", 2: "routed"}
STATES = {0: "free", 1: "held", 2: "allocated", 3: "quarantined"}
EXCLUSION_MODES = {1: "automatic", 2: "everyone"}
BATCH_MODES = {1: "independent", 2: "all_or_nothing"}
PREFIX_CHOICES = {1: "exact", 2: "length", 3: "default_length"}
ONE_FAMILY = {4: "v4", 6: "v6"}
JOB_KINDS = {1: "network_delete", 2: "subnet_delete", 3: "subnet_fill"}
IPV6_MODES = {1: "slaac", 2: "dhcpv6-stateful", 3: "dhcpv6-stateless"}
IP_ALLOCATIONS = {1: "immediate", 2: "deferred", 3: "none"}
JOB_STATES = {1: "running", 2: "done"}
EVENT_KINDS = {
    1: "project", 2: "scope", 3: "pool", 4: "network", 5: "segment", 6: "host", 7: "subnet", 8: "port", 9: "pin",
    10: "allocation", 11: "job", 12: "level",
}
WATCH_END_REASONS = {1: "slow", 2: "relist"}
GOAWAY_REASONS = {1: "shutdown", 2: "session_replaced", 3: "idle", 4: "slow_reader", 5: "access_ended"}
LOOKUP_KINDS = {1: "address", 2: "owner"}
QUOTAS = ("addresses", "prefixes", "networks", "subnets", "ports", "resting")
QUOTA_MAX = (1 << 53) - 1
QUOTA_RESOURCES = {1: "pool", 2: "addresses", 3: "prefixes", 4: "networks", 5: "subnets", 6: "ports", 7: "resting"}
CANDIDATE_REASONS = {
    1: "exhausted", 2: "family", 3: "limit", 4: "deleting", 5: "no_pools", 6: "length",
    7: "not_found", 8: "fragmented", 9: "auto_address", 10: "service_type", 11: "segment",
}

OPCODE_NUMBERS = {name: number for number, name in OPCODES.items()}
STATUS_NUMBERS = {name: number for number, name in STATUSES.items()}


def status_number(name):
    """A status by its name, or by the decimal text that stands for one without a name."""
    return STATUS_NUMBERS[name] if name in STATUS_NUMBERS else int(name)


def status_class(name):
    """What a client does (section 10); a class that isn't known is `unknown`."""
    return CLASSES.get(status_number(name) >> 8, "unknown")
