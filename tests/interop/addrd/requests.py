"""The bodies of requests, one layout an operation (SPEC.md sections 7 to 9)."""

import ipaddress

from . import access, history, managers, ports, watch
from .layout import KindItems, Layout, PlacedItems, Tag
from .parts import (
    CURSOR, FENCES, MANAGER_BYTES_MAX, RESERVED, SUBNET_NAMES, fenced, gather_fences, gather_prefix,
    gather_subnet_name, gather_target, limit, list_request, quota, revision, scatter_fences, scatter_prefix,
    scatter_subnet_name, scatter_target, target,
)
from .tables import (
    BATCH_MODES, EXCLUSION_MODES, FAMILIES, LOOKUP_KINDS, ONE_FAMILY, PREFIX_CHOICES, QUOTAS, STATES, STRATEGIES, SUBNET_KINDS,
)
from .values import (
    Address, Count, Cursor, Enumeration, Fault, Flags, Id, ListOf, Mac, Name, Number, Prefix, Present, Range, Reserved,
    Route, Setting, Text, address_of, boolean,
)

SINGLE = 255
PAIR_SLOT_MAX = 65_534
BATCH_ITEMS_MAX = 1_024
POOL_PREFIXES_MAX = 128
CHOICE_PREFIXES_MAX = 16
NIL = "00000000-0000-0000-0000-000000000000"
DURATION = {"least": 1_000, "most": 315_360_000_000}


def manager():
    return Text(MANAGER_BYTES_MAX)


def gather_hello(raw):
    if raw["version_max"] < raw["version_min"]:
        raise Fault("OUT_OF_RANGE", "version_min")
    return raw


HELLO = Layout(
    ("version_min", Number(1, least=1)), ("version_max", Number(1)), (RESERVED, Reserved(2)), ("features", Number(4)),
    ("epoch", revision()), ("session", Id()),
    tail={
        0x0002: Tag("client", Text()),
        0x8001: Tag("server_id", Id()),
        0x8003: Tag("manager", manager()),
        0x8004: Tag("host", Text()),
        0x8005: Tag("token", access.Token()),
    },
    gather=gather_hello,
)

NETWORK_CREATE = Layout(tail={
    0x8001: Tag("name", Name()),
    0x8002: Tag("description", Text()),
    0x8020: Tag("scope_v4", Id(zero=False)),
    0x8021: Tag("scope_v6", Id(zero=False)),
    0x8022: Tag("shared", boolean()),
})
NETWORK_FIND = Layout(tail={0x8001: Tag("name", Name(), needed=True)})
NETWORK_UPDATE = Layout(
    ("expected", revision()),
    tail={
        0x8001: Tag("name", Setting(Name())),
        0x8002: Tag("description", Setting(Text())),
        0x8003: Tag("shared", Setting(boolean())),
    },
)
DELETE = ((None, Flags(2, "force")), (RESERVED, Reserved(6)), ("expected", revision()))



class PoolAndChoice:
    """How the prefix of a subnet is chosen, and the pool that it comes from."""

    def read(self, reader, field):
        by = Enumeration(PREFIX_CHOICES).read(reader, "by")
        return {"by": by, "subnet_pool_id": Id().read(reader, "subnet_pool_id")}

    def write(self, value):
        return Enumeration(PREFIX_CHOICES).write(value["by"]) + Id().write(value["subnet_pool_id"])


def gather_subnet(raw):
    """The three tags about the pool are one member."""
    confined = {name: raw.pop(name) for name in ("allowed", "disallowed") if name in raw}
    if "from_pool" in raw:
        raw["from_pool"] |= confined
    elif confined:
        raise Fault("MALFORMED", "subnet_pool_id")
    return gather_prefix(raw)


def scatter_subnet(value):
    from_pool = value.get("from_pool", {})
    value.update({name: from_pool[name] for name in ("allowed", "disallowed") if name in from_pool})
    return scatter_prefix(value)


SUBNET_CREATE = Layout(
    ("subnet_id", Id(zero=False)), ("cidr", Number(16)), ("family", Number(1)), ("length", Number(1)),
    ("kind", Enumeration(SUBNET_KINDS)), ("strategy", Enumeration(STRATEGIES)), (None, Flags(2, "enable_dhcp")),
    (RESERVED, Reserved(2)),
    tail={
        0x8001: Tag("gateway", Setting(Address())),
        0x8002: Tag("pools", Setting(ListOf(Range(), 64))),
        0x8003: Tag("dns_servers", ListOf(Address(), 5)),
        0x8004: Tag("routes", ListOf(Route(), 20)),
        0x8005: Tag("name", Name()),
        0x8006: Tag("description", Text()),
        0x8020: Tag("from_pool", PoolAndChoice()),
        0x8021: Tag("allowed", ListOf(Prefix(), CHOICE_PREFIXES_MAX)),
        0x8022: Tag("disallowed", ListOf(Prefix(), CHOICE_PREFIXES_MAX)),
    } | ports.service(0x8007) | {0x800B: Tag("quarantine_ms", Number(8))},
    gather=gather_subnet, scatter=scatter_subnet,
)
SUBNET_GET = Layout(tail=SUBNET_NAMES, gather=gather_subnet_name, scatter=scatter_subnet_name)
SUBNET_UPDATE = Layout(
    ("subnet_id", Id(zero=False)), ("expected", revision()),
    tail={
        0x8001: Tag("gateway", Setting(Address())),
        0x8002: Tag("pools", Setting(ListOf(Range(), 64))),
        0x8003: Tag("dns_servers", Setting(ListOf(Address(), 5))),
        0x8004: Tag("routes", Setting(ListOf(Route(), 20))),
        0x8005: Tag("name", Setting(Name())),
        0x8006: Tag("description", Setting(Text())),
        0x8007: Tag("strategy", Setting(Enumeration(STRATEGIES))),
        0x8008: Tag("enable_dhcp", Setting(boolean())),
        0x8009: Tag("service_types", Setting(ports.service_types())),
        0x800A: Tag("segment_id", Setting(Id(zero=False))),
        0x800B: Tag("quarantine_ms", Setting(Number(8))),
    },
)


def gather_ends(raw):
    family = raw.pop("family")
    ends = {end: address_of(raw[end], family, end) for end in ("first", "last")}
    if ends["first"] > ends["last"]:
        raise Fault("OUT_OF_RANGE", "last")
    return raw | {end: str(address) for end, address in ends.items()}


def scatter_ends(value):
    ends = {end: ipaddress.ip_address(value[end]) for end in ("first", "last")}
    return value | {end: int(address) for end, address in ends.items()} | {"family": ends["first"].version}


def excluded_range(mode, tail):
    return Layout(
        ("subnet_id", Id(zero=False)), ("first", Number(16)), ("last", Number(16)), ("family", Number(1)), mode,
        (RESERVED, Reserved(6)),
        tail=tail, gather=gather_ends, scatter=scatter_ends,
    )


SUBNET_EXCLUDE = excluded_range(("mode", Enumeration(EXCLUSION_MODES)), {0x8001: Tag("reason", Text())})
SUBNET_INCLUDE = excluded_range((RESERVED, Reserved(1)), {})

USAGE = Layout(
    tail=SUBNET_NAMES | {
        0x8004: Tag("cursor", Cursor()), 0x8005: Tag("changed_since", revision()),
        0x8006: Tag("family", Enumeration(ONE_FAMILY)), 0x8007: Tag("totals_only", Enumeration({1: True})),
    },
    gather=lambda raw: gather_subnet_name(raw, needed=False), scatter=scatter_subnet_name,
)
FREE_RANGES = Layout(
    ("limit", limit()), (RESERVED, Reserved(4)),
    tail=SUBNET_NAMES | {0x8004: Tag("from", Address())},
    gather=gather_subnet_name, scatter=scatter_subnet_name,
)


def gather_allocate(raw):
    if raw["length"] == SINGLE:
        del raw["length"]
    elif raw["length"] > 128:
        raise Fault("OUT_OF_RANGE", "length")
    if raw["family"] in ("each", "both") and raw["slot"] > PAIR_SLOT_MAX:
        raise Fault("OUT_OF_RANGE", "slot")
    return raw


ALLOCATE = Layout(
    ("flags", Flags(2, "takeover", "allow_gateway", "allow_resting", "want_subnet")),
    ("family", Enumeration(FAMILIES)), ("strategy", Enumeration(STRATEGIES)), ("slot", Number(2)),
    ("length", Number(1)), (RESERVED, Reserved(1)), ("owner", Id(zero=False)), ("instance", revision()),
    tail={
        0x0001: Tag("trace", Id()),
        0x8001: Tag("subnets", ListOf(Id(zero=False), 16)),
        0x8002: Tag("exact", Address()),
        0x8003: Tag("preferred", Address()),
        0x8004: Tag("limit", Range()),
        0x8005: Tag("lease_ms", Number(8, **DURATION)),
        0x8006: Tag("hold_token", Id(zero=False)),
        0x8007: Tag("hold_ms", Number(8, **DURATION)),
        0x8008: Tag("manager", manager()),
        0x8009: Tag("host", Text()),
        0x800A: Tag("label", Text()),
        0x800B: Tag("owner_name", Text()),
        0x800C: Tag("mac", Mac(zero=False)),
        0x800D: Tag("follow_host", Present()),
        0x8010: Tag("hold_item", Number(2)),
    },
    gather=gather_allocate, scatter=lambda value: {"length": SINGLE} | value,
)


def gather_item(raw):
    """An allocate of a batch can't ask for the settings of its subnet."""
    if raw["flags"]["want_subnet"]:
        raise Fault("CONFLICTING_FIELDS", "want_subnet")
    return gather_allocate(raw)


BATCH_ALLOCATE = Layout(*ALLOCATE.fixed, tail=ALLOCATE.tail, gather=gather_item, scatter=ALLOCATE.scatter)

RELEASE = Layout(
    *fenced("any", "by_revision", "by_instance"), tail=FENCES, gather=gather_fences, scatter=scatter_fences,
)
ALLOCATION_UPDATE = Layout(
    *fenced(None, "by_revision", "by_instance"),
    tail=FENCES | {
        0x8003: Tag("label", Setting(Text())),
        0x8004: Tag("host", Setting(Text())),
        0x8005: Tag("manager_name", Setting(manager())),
        0x8006: Tag("owner_name", Setting(Text())),
        0x8007: Tag("lease_ms", Setting(Number(8, **DURATION))),
        0x8008: Tag("follow_host", boolean()),
    },
    gather=gather_fences, scatter=scatter_fences,
)
RENEW = Layout(
    *fenced(None, "by_revision", "by_instance"), ("lease_ms", Number(8, **DURATION)), tail=FENCES, gather=gather_fences,
    scatter=scatter_fences,
)


def gather_instance(raw):
    if not raw.pop("by_instance"):
        if raw["instance"] != "0":
            raise Fault("MALFORMED", "instance")
        del raw["instance"]
    return raw


RENEW_OWNER = Layout(
    (None, Flags(2, "by_instance")), (RESERVED, Reserved(6)), ("owner", Id(zero=False)), ("instance", revision()),
    ("lease_ms", Number(8, **DURATION)), gather=gather_instance,
    scatter=lambda value: {"instance": "0"} | value | {"by_instance": "instance" in value},
)
def gather_hold(raw):
    if not raw["release"]:
        del raw["release"]
    return gather_target(raw)


def gather_hold_release(raw):
    if not raw["hold_ms"]:
        del raw["hold_ms"]
    elif not DURATION["least"] <= raw["hold_ms"] <= DURATION["most"]:
        raise Fault("OUT_OF_RANGE", "hold_ms")
    return gather_fences(raw)


HOLD_END = Layout(
    *target("release"), ("revision", revision()), ("token", Id(zero=False)), gather=gather_hold,
    scatter=lambda value: scatter_target({"release": False} | value),
)
HOLD_RELEASE = Layout(
    *fenced(None, "by_revision", "by_instance"), ("token", Id(zero=False)), ("hold_ms", Number(8)), tail=FENCES,
    gather=gather_hold_release, scatter=lambda value: scatter_fences({"hold_ms": 0} | value),
)
def gather_transfer(raw):
    for name, zero in (("to_owner", NIL), ("to_slot", 0), ("to_instance", "0")):
        given = raw.pop(f"has_{name}")
        if given and name == "to_owner" and raw[name] == zero:
            raise Fault("MALFORMED", name)
        if not given:
            if raw[name] != zero:
                raise Fault("MALFORMED", name)
            del raw[name]
    raw = gather_fences(raw)
    target = raw.pop("target")
    if "address" not in target:
        raise Fault("MALFORMED", "address")
    if not any(name in raw for name in ("to_owner", "to_slot", "to_instance", "to_project")):
        raise Fault("MALFORMED", "to_owner")
    if "owner_name" in raw and "to_owner" not in raw:
        raise Fault("CONFLICTING_FIELDS", "owner_name")
    return {"address": target["address"]} | raw


def scatter_transfer(value):
    value = dict(value)
    given = {f"has_{name}": name in value for name in ("to_owner", "to_slot", "to_instance")}
    target = {"address": value.pop("address")}
    return scatter_fences({"to_owner": NIL, "to_slot": 0, "to_instance": "0", "target": target} | value | given)


TRANSFER = Layout(
    *fenced(None, "by_revision", "by_instance", "has_to_owner", "has_to_slot", "has_to_instance"),
    ("to_owner", Id()), ("to_instance", revision()), ("to_slot", Number(2)), (RESERVED, Reserved(6)),
    tail=FENCES | {0x8003: Tag("owner_name", Text()), 0x8004: Tag("to_project", Id())},
    gather=gather_transfer, scatter=scatter_transfer,
)
BATCH_ITEMS = {
    1: ("allocate", BATCH_ALLOCATE), 2: ("release", RELEASE), 3: ("update", ALLOCATION_UPDATE),
    4: ("port_create", ports.PORT_CREATE), 5: ("port_update", ports.PORT_UPDATE),
    6: ("port_delete", ports.PORT_DELETE), 7: ("renew", RENEW), 8: ("hold_confirm", HOLD_END), 9: ("hold_cancel", HOLD_END),
    10: ("hold_release", HOLD_RELEASE), 11: ("transfer", TRANSFER),
}
BATCH = Layout(
    ("mode", Enumeration(BATCH_MODES)), (RESERVED, Reserved(1)), ("items", Count(2, least=1, most=BATCH_ITEMS_MAX)),
    (RESERVED, Reserved(4)),
    items=[KindItems("items", BATCH_ITEMS)],
)
TRANSACTION = Layout(
    ("items", Count(2, least=1, most=BATCH_ITEMS_MAX)), (RESERVED, Reserved(6)), items=[PlacedItems("items", BATCH_ITEMS)],
)


def gather_filters(raw):
    for name, zero in (("state", 0), ("changed_since", "0")):
        if not raw.pop(f"has_{name}"):
            if raw[name] != zero:
                raise Fault("MALFORMED", name)
            del raw[name]
    if "state" in raw:
        raw["state"] = Enumeration(STATES).named(raw["state"], "state")
    if raw["family"] is None:
        del raw["family"]
    return raw


def scatter_filters(value):
    for name in ("state", "changed_since"):
        value[f"has_{name}"] = name in value
    if "state" in value:
        value["state"] = Enumeration(STATES).numbers[value["state"]]
    return {"family": None} | value


ALLOCATION_LIST = Layout(
    ("limit", limit()), (None, Flags(2, "has_state", "has_changed_since")), ("state", Number(1)),
    ("family", Enumeration({0: None, 4: "v4", 6: "v6"})), ("changed_since", revision()),
    tail=CURSOR | {
        0x8002: Tag("subnet", Id()),
        0x8003: Tag("owner", Id()),
        0x8004: Tag("manager", manager()),
        0x8005: Tag("host", Text()),
        0x8006: Tag("label", Text()),
    },
    gather=gather_filters, scatter=scatter_filters,
)


def gather_lookup(raw):
    kind, family, subject = raw["kind"], raw["family"], raw["subject"]
    if kind == "address":
        return {kind: str(address_of(subject, family, "address"))}
    if family:
        raise Fault("MALFORMED", "family")
    return {kind: Id(zero=False).read_number(subject, "owner")}


def scatter_lookup(value):
    [(kind, subject)] = value.items()
    if kind == "owner":
        return {"kind": kind, "subject": Id().number(subject)}
    address = ipaddress.ip_address(subject)
    return {"kind": kind, "family": address.version, "subject": int(address)}


LOOKUP = Layout(
    ("kind", Enumeration(LOOKUP_KINDS)), ("family", Number(1)), (RESERVED, Reserved(6)), ("subject", Number(16)),
    gather=gather_lookup, scatter=scatter_lookup,
)



def quotas(kind=lambda number: number):
    """How much a project may have."""
    return {0x8010 + place: Tag("quota_" + name, kind(quota())) for place, name in enumerate(QUOTAS)}


NAMED = {0x8001: Tag("name", Name()), 0x8002: Tag("description", Text())}
NAMED_SETTINGS = {0x8001: Tag("name", Setting(Name())), 0x8002: Tag("description", Setting(Text()))}
BY_NAME = Layout(tail={0x8001: Tag("name", Name())})
NAMED_LIST = list_request({0x8002: Tag("name_prefix", Text(63))})
EXPECTED = Layout(("expected", revision()))


def lengths(*names):
    """Prefix lengths of which each may be left out."""
    return tuple((name, Number(1)) for name in names)


def gather_lengths(*names):
    def gather(raw):
        for name in names:
            if raw[name] == SINGLE:
                del raw[name]
            elif raw[name] > 128:
                raise Fault("OUT_OF_RANGE", name)
        return raw
    return gather


def scatter_lengths(*names):
    return lambda value: {name: SINGLE for name in names} | value


POOL_LENGTHS = ("min_length", "max_length", "default_length", "parent_length")
POOL_CREATE = Layout(
    ("family", Enumeration(ONE_FAMILY)), *lengths(*POOL_LENGTHS), (RESERVED, Reserved(1)),
    (None, Flags(2, "is_default", "shared")),
    tail={
        0x8001: Tag("prefixes", ListOf(Prefix(), POOL_PREFIXES_MAX)),
        0x8002: Tag("default_quota", Number(8)),
        0x8003: Tag("address_scope_id", Id(zero=False)),
        0x8004: Tag("parent_id", Id(zero=False)),
        0x8005: Tag("name", Name()),
        0x8006: Tag("description", Text()),
    },
    gather=gather_lengths(*POOL_LENGTHS), scatter=scatter_lengths(*POOL_LENGTHS),
)
POOL_UPDATE = Layout(
    ("expected", revision()),
    tail={
        0x8001: Tag("prefixes", ListOf(Prefix(), POOL_PREFIXES_MAX)),
        0x8002: Tag("default_quota", Setting(Number(8))),
        0x8003: Tag("address_scope_id", Setting(Id(zero=False))),
        0x8005: Tag("name", Setting(Name())),
        0x8006: Tag("description", Setting(Text())),
        0x8007: Tag("add_prefixes", ListOf(Prefix(), POOL_PREFIXES_MAX)),
        0x8008: Tag("remove_prefixes", ListOf(Prefix(), POOL_PREFIXES_MAX)),
        0x8009: Tag("min_length", Setting(Number(1, most=128))),
        0x800A: Tag("max_length", Setting(Number(1, most=128))),
        0x800B: Tag("default_length", Setting(Number(1, most=128))),
        0x800C: Tag("is_default", Setting(boolean())),
        0x800D: Tag("shared", Setting(boolean())),
    },
)
POOL_PREVIEW = Layout(
    *lengths("length"), (RESERVED, Reserved(7)),
    tail={
        0x8001: Tag("exact", Prefix()),
        0x8002: Tag("allowed", ListOf(Prefix(), CHOICE_PREFIXES_MAX)),
        0x8003: Tag("disallowed", ListOf(Prefix(), CHOICE_PREFIXES_MAX)),
    },
    gather=gather_lengths("length"), scatter=scatter_lengths("length"),
)
SCOPE_CREATE = Layout(
    ("family", Enumeration(ONE_FAMILY)), (RESERVED, Reserved(1)), (None, Flags(2, "shared")), (RESERVED, Reserved(4)),
    tail=NAMED,
)
SCOPE_UPDATE = Layout(("expected", revision()), tail=NAMED_SETTINGS | {0x8003: Tag("shared", Setting(boolean()))})

class BackupRate(Number):
    """Bytes a second; 0 leaves it to the server."""

    def __init__(self):
        super().__init__(8, most=1 << 40)

    def read(self, reader, field):
        number = super().read(reader, field)
        if 0 < number < 65_536:
            raise Fault("OUT_OF_RANGE", field)
        return number


REQUESTS = {
    "project_create": Layout(tail=NAMED | quotas()),
    "project_get": BY_NAME,
    "project_list": NAMED_LIST,
    "project_update": Layout(("expected", revision()), tail=NAMED_SETTINGS | quotas(Setting)),
    "project_delete": EXPECTED,
    "scope_create": SCOPE_CREATE,
    "scope_get": BY_NAME,
    "scope_list": NAMED_LIST,
    "scope_update": SCOPE_UPDATE,
    "scope_delete": EXPECTED,
    "pool_create": POOL_CREATE,
    "pool_get": BY_NAME,
    "pool_list": NAMED_LIST,
    "pool_update": POOL_UPDATE,
    "pool_delete": EXPECTED,
    "pool_preview": POOL_PREVIEW,
    "hello": HELLO,
    "ping": Layout(),
    "server_status": Layout(),
    "job_get": Layout(("job_id", revision())),
    "job_list": list_request(),
    "network_create": NETWORK_CREATE,
    "network_get": Layout(),
    "network_list": list_request({0x8002: Tag("name_prefix", Text(63))}),
    "network_update": NETWORK_UPDATE,
    "network_delete": Layout(*DELETE),
    "network_find": NETWORK_FIND,
    "subnet_create": SUBNET_CREATE,
    "subnet_get": SUBNET_GET,
    "subnet_list": list_request(),
    "subnet_update": SUBNET_UPDATE,
    "subnet_delete": Layout(*DELETE, ("subnet_id", Id(zero=False))),
    "subnet_exclude": SUBNET_EXCLUDE,
    "subnet_include": SUBNET_INCLUDE,
    "usage": USAGE,
    "free_ranges": FREE_RANGES,
    "subnet_onboard": Layout(("subnet_pool_id", Id(zero=False)), ("expected", revision())),
    "allocate": ALLOCATE,
    "release": RELEASE,
    "allocation_update": ALLOCATION_UPDATE,
    "batch": BATCH,
    "transaction": TRANSACTION,
    "allocation_get": Layout(*target(), gather=gather_target, scatter=scatter_target),
    "allocation_list": ALLOCATION_LIST,
    "lookup": LOOKUP,
    "clock_accept": Layout(),
    "backup_read": Layout(
        ("backup_id", Id()), ("block", Number(4)), (RESERVED, Reserved(4)), ("row_bytes_a_second", BackupRate()),
    ),
    "watch": watch.WATCH,
    "unwatch": watch.UNWATCH,
    "server_adopt": Layout(("action", Enumeration({1: "begin", 2: "end"})), (RESERVED, Reserved(7))),
    "renew": RENEW,
    "renew_owner": RENEW_OWNER,
    "hold_confirm": HOLD_END,
    "hold_cancel": HOLD_END,
    "hold_release": HOLD_RELEASE,
    "transfer": TRANSFER,
} | ports.REQUESTS | managers.REQUESTS | history.REQUESTS | access.REQUESTS
