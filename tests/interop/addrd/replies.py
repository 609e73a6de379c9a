"""The bodies of replies: which layout answers which operation (SPEC.md sections 4, 7 to 10)."""

from . import access, history, managers, ports
from .layout import Items, KindItems, Layout, Plain, Tag
from .parts import (
    ALLOCATION, NEXT, OTHER, PAGE_OBJECTS_MAX, PLACE, RESERVED, gather_address, gather_prefix, page, quota, revision,
    scatter_address, scatter_prefix,
)
from .tables import (
    CANDIDATE_REASONS, EXCLUSION_MODES, GOAWAY_REASONS, JOB_KINDS, JOB_STATES, ONE_FAMILY, QUOTA_RESOURCES, QUOTAS, STATES,
    STRATEGIES, SUBNET_KINDS, status_class, status_number, STATUSES,
)
from .values import (
    Address, Count, Enumeration, Fault, Flags, Id, ListOf, Name, Number, Prefix, Range, Reader, Reserved, Route,
    Text, boolean,
)

NO_ITEM = 0xFFFF
LOOKUPS_MAX = 256
DETAILS_MAX = 32
USAGE_GONE_MAX = 1_000


def count():
    """A number of addresses, which may pass 2^64."""
    return Number(16, text=True)


HELLO = Layout(
    ("version", Number(1)), ("role", Number(1)), ("adopting", boolean()), (RESERVED, Reserved(1)), ("features", Number(4)), ("server_id", Id()),
    ("position", revision()), ("incarnation", Number(4)), ("frame_bytes_max", Number(4)),
    ("batch_bytes_max", Number(4)), ("batch_items_max", Number(4)), ("credit", Number(4)), ("idle_ms", Number(4)),
    tail={0x0001: Tag("server", Text())},
)
SERVER_STATUS = Layout(
    ("server_id", Id()), ("incarnation", Number(4)), ("workers", Number(4)), ("connections", Number(4)),
    ("adopting", boolean()), (RESERVED, Reserved(3)), ("position", revision()), ("folded", revision()), ("journal_records", Number(8)),
    ("journal_records_max", Number(8)), ("uptime_ms", Number(8)), ("networks", Number(8)), ("allocations", Number(8)),
    tail={0x0001: Tag("state", Text(), needed=True), 0x0002: Tag("version", Text(), needed=True)},
)
ADOPTION = Layout(
    ("adopting", boolean()), ("repeated", boolean()), (RESERVED, Reserved(6)), ("lasted_ms", Number(8)),
)
class Octets:
    """As many bytes as the fixed part says; in JSON hex digits."""

    name = "bytes"

    def read(self, reader, count):
        return reader.take(count, self.name)

    def write(self, value):
        return bytes(value)


BACKUP_BLOCK = Layout(
    ("block", Number(4)), ("last", boolean()), (RESERVED, Reserved(3)), ("wait_ms", Number(4)),
    ("bytes", Count(4, most=262_144)),
    items=[Octets()],
    gather=lambda raw: raw | {"bytes": raw["bytes"].hex()},
    scatter=lambda value: value | {"bytes": list(bytes.fromhex(value["bytes"]))},
)
JOB = Layout(
    ("job_id", revision()), ("kind", Enumeration(JOB_KINDS)), ("state", Enumeration(JOB_STATES)),
    (RESERVED, Reserved(6)), ("network_id", Id()), ("subnet_id", Id()), ("done", Number(8)), ("total", Number(8)),
)
NETWORK = Layout(
    ("network_id", Id()), ("project_id", Id()), ("revision", revision()), ("allocations", Number(8)),
    ("subnets", Number(4)), (None, Flags(2, "deleting", "repeated", "shared")), (RESERVED, Reserved(2)),
    tail={
        0x0001: Tag("name", Name()),
        0x0002: Tag("description", Text()),
        0x0020: Tag("scope_v4", Id()),
        0x0021: Tag("scope_v6", Id()),
    },
)
PROJECT = Layout(
    ("project_id", Id()), ("revision", revision()), ("networks", Number(4)), ("subnet_pools", Number(4)),
    ("address_scopes", Number(4)), (None, Flags(2, "repeated")), (RESERVED, Reserved(2)),
    tail={
        0x0001: Tag("name", Name()),
        0x0002: Tag("description", Text()),
        **{0x0010 + place: Tag("quota_" + name, quota()) for place, name in enumerate(QUOTAS)},
        **{0x0020 + place: Tag("used_" + name, quota()) for place, name in enumerate(QUOTAS) if name != "networks"},
    },
)
SCOPE = Layout(
    ("address_scope_id", Id()), ("project_id", Id()), ("revision", revision()), ("subnet_pools", Number(4)),
    ("networks", Number(4)), ("family", Enumeration(ONE_FAMILY)), (RESERVED, Reserved(1)),
    (None, Flags(2, "shared", "repeated")), (RESERVED, Reserved(4)),
    tail={0x0001: Tag("name", Name()), 0x0002: Tag("description", Text())},
)
POOL = Layout(
    ("subnet_pool_id", Id()), ("project_id", Id()), ("revision", revision()), ("taken", Number(8)), ("size", count()),
    ("used", count()), ("used_by_project", count()), ("family", Enumeration(ONE_FAMILY)),
    ("min_length", Number(1, most=128)), ("max_length", Number(1, most=128)), ("default_length", Number(1, most=128)),
    (None, Flags(2, "is_default", "shared", "repeated")), (RESERVED, Reserved(2)),
    tail={
        0x0001: Tag("prefixes", ListOf(Prefix(), 128), default=[]),
        0x0002: Tag("default_quota", Number(8)),
        0x0003: Tag("address_scope_id", Id()),
        0x0004: Tag("parent_id", Id()),
        0x0005: Tag("name", Name()),
        0x0006: Tag("description", Text()),
    },
)
PREVIEWED = Layout(
    ("cidr", Number(16)), ("family", Number(1)), ("length", Number(1)), (RESERVED, Reserved(6)),
    gather=gather_prefix, scatter=scatter_prefix,
)


class Exclusion:
    """A range that is kept back, how, and perhaps why."""

    def read(self, reader, field):
        value = Range().read(reader, field)
        value["mode"] = Enumeration(EXCLUSION_MODES).read(reader, field)
        given = boolean().read(reader, field)
        reason = reader.take(reader.number(1, field), field)
        if given:
            value["reason"] = Text().read(Reader(reason), field)
        elif reason:
            raise Fault("MALFORMED", field)
        return value

    def write(self, value):
        reason = value.get("reason", "").encode("utf-8")
        mode = Enumeration(EXCLUSION_MODES).write(value["mode"])
        return Range().write(value) + mode + bytes(["reason" in value, len(reason)]) + reason


SUBNET = Layout(
    ("subnet_id", Id()), ("network_id", Id()), ("cidr", Number(16)), ("revision", revision()),
    ("allocations", Number(8)), ("family", Number(1)), ("length", Number(1)), ("kind", Enumeration(SUBNET_KINDS)),
    ("strategy", Enumeration(STRATEGIES)), (None, Flags(2, "enable_dhcp", "deleting", "repeated")),
    (RESERVED, Reserved(2)),
    tail={
        0x0001: Tag("gateway", Address()),
        0x0002: Tag("pools", ListOf(Range(), 64), default=[]),
        0x0003: Tag("dns_servers", ListOf(Address(), 5), default=[]),
        0x0004: Tag("routes", ListOf(Route(), 20), default=[]),
        0x0005: Tag("name", Name()),
        0x0006: Tag("description", Text()),
        0x0007: Tag("exclusions", ListOf(Exclusion(), 64), default=[]),
        0x0008: Tag("live_inside", ListOf(Address(), 64)),
        0x0009: Tag("overlaps", ListOf(Id(), 16)),
        0x0020: Tag("subnet_pool_id", Id()),
    } | ports.service(0x000A) | {0x000E: Tag("filling", revision()), 0x000F: Tag("quarantine_ms", Number(8), default=0)},
    gather=gather_prefix, scatter=scatter_prefix,
)


def gather_deletion(raw):
    """The job that a deletion became, or nothing."""
    return raw["became_job"][0] if raw["became_job"] else {}


DELETION = Layout(
    ("became_job", Enumeration({0: 0, 1: 1})), (RESERVED, Reserved(7)), items=[Items("became_job", JOB)],
    gather=gather_deletion, scatter=lambda value: {"became_job": [value] if value else []},
)

class GrowthOf:
    """Net growth in two's complement, and when nothing is free any more; the largest number stands for never."""

    never = (1 << 64) - 1

    def read(self, reader, field):
        net, left = reader.number(16, field), reader.number(8, field)
        net = net - (1 << 128) if net >> 127 else net
        return {"net": str(net)} | ({} if left == self.never else {"exhausted_in_ms": left})

    def write(self, value):
        net = int(value["net"]).to_bytes(16, "big", signed=True)
        return net + value.get("exhausted_in_ms", self.never).to_bytes(8, "big")


USAGE_OF_SUBNET = Layout(
    ("subnet_id", Id()), ("cidr", Number(16)), ("family", Number(1)), ("length", Number(1)), (RESERVED, Reserved(6)),
    ("size", count()), ("pool_size", count()), ("free", count()), ("held", count()), ("allocated", count()),
    ("quarantined", count()), ("excluded", count()), ("pinned", count()), ("used_outside", count()),
    tail={
        0x0001: Tag("growth_1h", GrowthOf()), 0x0002: Tag("growth_24h", GrowthOf()), 0x0003: Tag("watched_ms", Number(8)),
    },
    gather=gather_prefix, scatter=scatter_prefix,
)
USAGE_OF_FAMILY = Layout(
    ("family", Enumeration(ONE_FAMILY)), (RESERVED, Reserved(3)), ("subnets", Number(4)),
    ("size", count()), ("pool_size", count()), ("free", count()), ("held", count()), ("allocated", count()),
    ("quarantined", count()), ("excluded", count()), ("pinned", count()), ("used_outside", count()),
)
USAGE = Layout(
    ("network_id", Id()), ("subnets", Count(4, most=PAGE_OBJECTS_MAX)), (None, Flags(2, "whole")),
    ("totals", Count(2, most=2)),
    items=[Items("totals", USAGE_OF_FAMILY), Items("subnets", USAGE_OF_SUBNET)],
    tail=NEXT | {0x0002: Tag("revision", revision()), 0x0003: Tag("gone", ListOf(Id(), USAGE_GONE_MAX), default=[])},
)
FREE_RANGES = Layout(
    ("subnet_id", Id()), ("ranges", Count(4)), (RESERVED, Reserved(4)),
    items=[Items("ranges", Plain(Range()))], tail={0x0001: Tag("next", Address())},
)

ADDRESS = Layout(
    ("address", Number(16)), ("subnet_id", Id()), ("revision", revision()), ("time_left_ms", Number(8)),
    ("slot", Number(2)), ("family", Number(1)), ("length", Number(1)), ("subnet_length", Number(1)),
    ("state", Enumeration(STATES)), (None, Flags(1, "repeated", "was_preferred", "from_quarantine", "taken_over")),
    ("more", boolean()),
    gather=gather_address, scatter=scatter_address,
)


class SubnetSettings:
    """What an interface needs to know of its subnet."""

    def read(self, reader, field):
        gateway = Address().read(reader, field) if boolean().read(reader, field) else None
        count = Count(1, most=5).read(reader, field)
        value = {"dns_servers": [Address().read(reader, field) for _ in range(count)]}
        value["routes"] = ListOf(Route(), 20).read(reader, field)
        return value if gateway is None else value | {"gateway": gateway}

    def write(self, value):
        gateway = b"\x01" + Address().write(value["gateway"]) if "gateway" in value else b"\x00"
        servers = ListOf(Address(), 5).write(value["dns_servers"])
        return gateway + bytes([len(value["dns_servers"])]) + servers + ListOf(Route(), 20).write(value["routes"])


class Allocated:
    """One or two addresses, and with want_subnet the settings of their subnets."""

    size = ADDRESS.size
    tail = Layout(tail={0x0001: Tag("of_first", SubnetSettings()), 0x0002: Tag("of_second", SubnetSettings())})

    def read(self, reader, tail=None):
        value = {"first": ADDRESS.read(Reader(reader.take(self.size, "body")))}
        if value["first"].pop("more"):
            value["second"] = ADDRESS.read(Reader(reader.take(self.size, "body")))
            if value["second"].pop("more"):
                raise Fault("MALFORMED", "more")
        found = self.tail.read(reader, tail)
        return value | ({"settings": list(found.values())} if found else {})

    def write(self, value):
        second = value.get("second")
        body = ADDRESS.write(value["first"] | {"more": second is not None})[0]
        if second:
            body += ADDRESS.write(second | {"more": False})[0]
        settings = dict(zip(("of_first", "of_second"), value.get("settings", [])))
        return body, self.tail.write(settings)[1]


ALLOCATED = Allocated()
RELEASED = Layout(
    ("address", Number(16)), ("subnet_id", Id()), ("revision", revision()), ("family", Number(1)),
    ("length", Number(1)), ("state", Enumeration(STATES)), (RESERVED, Reserved(5)),
    gather=gather_address, scatter=scatter_address,
)
RENEWED = Layout(
    ("address", Number(16)), ("revision", revision()), ("time_left_ms", Number(8)), ("family", Number(1)),
    ("length", Number(1)), (RESERVED, Reserved(6)),
    gather=gather_address, scatter=scatter_address,
)
HOLD_ENDED = Layout(
    ("address", Number(16)), ("revision", revision()), ("family", Number(1)), ("length", Number(1)),
    ("state", Enumeration(STATES)), (None, Flags(1, "repeated", "late")), (RESERVED, Reserved(4)),
    gather=gather_address, scatter=scatter_address,
)
RENEWED_OWNER = Layout(
    ("renewed", Number(4)), ("endless", Number(4)), ("expired", Number(4)), ("stale", Number(4)),
)
LOOKUPS = Layout(
    ("allocations", Count(2, most=LOOKUPS_MAX)), ("subnets", Count(2, most=LOOKUPS_MAX)), (None, Flags(2, "more")),
    (RESERVED, Reserved(2)),
    items=[Items("allocations", ALLOCATION), Items("subnets", PLACE)],
)

DETAILS = {
    1: ("bounds", Layout(("value", count()), ("least", count()), ("most", count()))),
    2: ("held", ALLOCATION),
    3: ("current", Layout(("revision", revision()), ("instance", revision()))),
    4: ("other", OTHER),
    5: ("count", Layout(("count", count()))),
    6: ("candidate", Layout(
        ("subnet_id", Id()), ("reason", Enumeration(CANDIDATE_REASONS)), (RESERVED, Reserved(7)),
        ("next_free_in_ms", Number(8)), ("pool_size", count()), ("allocated", count()), ("held", count()),
        ("quarantined", count()), ("excluded", count()),
    )),
    7: ("bound", Layout(tail={0x0001: Tag("name", Text(), needed=True)})),
    32: ("quota", Layout(
        ("resource", Enumeration(QUOTA_RESOURCES)), (RESERVED, Reserved(7)),
        ("limit", count()), ("used", count()), ("asked", count()),
    )),
}


def gather_failure(raw):
    if raw["item"] == NO_ITEM:
        del raw["item"]
    if not raw["details"]:
        del raw["details"]
    return raw


FAILURE = Layout(
    ("item", Number(2)), ("details", Count(2, most=DETAILS_MAX)), (RESERVED, Reserved(4)),
    items=[KindItems("details", DETAILS, skip=True)],
    tail={0x0001: Tag("message", Text(), default="", always=True), 0x0002: Tag("field", Text())},
    gather=gather_failure, scatter=lambda value: {"item": NO_ITEM} | value,
)


class Status:
    """A status by its name, or by its decimal number if it has none here."""

    size = 2

    def read(self, reader, field):
        number = reader.number(2, field)
        return STATUSES.get(number, str(number))

    def write(self, value):
        return status_number(value).to_bytes(2, "big")


FAILED = Layout(
    ("status", Status()), (RESERVED, Reserved(2)), ("retry_after_ms", Number(4)), *FAILURE.fixed,
    items=FAILURE.items, tail=FAILURE.tail, gather=FAILURE.gather, scatter=FAILURE.scatter,
)
BATCH = Layout(
    ("results", Count(2)), (RESERVED, Reserved(6)),
    items=[KindItems("results", {
        1: ("allocated", ALLOCATED), 2: ("released", RELEASED), 3: ("updated", ALLOCATION), 4: ("not_held", None),
        5: ("failed", FAILED), 6: ("port", ports.PORT), 7: ("port_deleted", None), 8: ("renewed", RENEWED),
        9: ("hold_ended", HOLD_ENDED),
    })],
)
GOAWAY = Layout(
    ("reason", Enumeration(GOAWAY_REASONS)), (RESERVED, Reserved(7)), ("last_request_id", revision()),
)
EMPTY = Layout()

REPLIES = {
    "hello": ("hello", HELLO),
    "ping": ("empty", EMPTY),
    "goaway": ("goaway", GOAWAY),
    "error": ("failure", FAILURE),
    "server_status": ("server_status", SERVER_STATUS),
    "job_get": ("job", JOB),
    "job_list": ("jobs", page(JOB, position=False)),
    "network_create": ("network", NETWORK),
    "network_get": ("network", NETWORK),
    "network_list": ("networks", page(NETWORK)),
    "network_update": ("network", NETWORK),
    "network_delete": ("job", DELETION),
    "network_find": ("network", NETWORK),
    "subnet_create": ("subnet", SUBNET),
    "subnet_get": ("subnet", SUBNET),
    "subnet_list": ("subnets", page(SUBNET)),
    "subnet_update": ("subnet", SUBNET),
    "subnet_delete": ("job", DELETION),
    "subnet_exclude": ("subnet", SUBNET),
    "subnet_include": ("subnet", SUBNET),
    "usage": ("usage", USAGE),
    "free_ranges": ("free_ranges", FREE_RANGES),
    "subnet_onboard": ("pool", POOL),
    "allocate": ("allocated", ALLOCATED),
    "release": ("released", RELEASED),
    "allocation_update": ("allocation", ALLOCATION),
    "batch": ("batch", BATCH),
    "transaction": ("batch", BATCH),
    "allocation_get": ("allocation", ALLOCATION),
    "allocation_list": ("allocations", page(ALLOCATION)),
    "lookup": ("lookups", LOOKUPS),
    "backup_read": ("backup_block", BACKUP_BLOCK),
    "server_adopt": ("adoption", ADOPTION),
    "clock_accept": ("clock_accepted", Layout(("moved_ms", Number(8)))),
    "renew": ("renewed", RENEWED),
    "renew_owner": ("renewed_owner", RENEWED_OWNER),
    "hold_confirm": ("hold_ended", HOLD_ENDED),
    "hold_cancel": ("hold_ended", HOLD_ENDED),
    "hold_release": ("hold_ended", HOLD_ENDED),
    "transfer": ("allocation", ALLOCATION),
    "project_create": ("project", PROJECT),
    "project_get": ("project", PROJECT),
    "project_list": ("projects", page(PROJECT)),
    "project_update": ("project", PROJECT),
    "project_delete": ("empty", EMPTY),
    "scope_create": ("scope", SCOPE),
    "scope_get": ("scope", SCOPE),
    "scope_list": ("scopes", page(SCOPE)),
    "scope_update": ("scope", SCOPE),
    "scope_delete": ("empty", EMPTY),
    "pool_create": ("pool", POOL),
    "pool_get": ("pool", POOL),
    "pool_list": ("pools", page(POOL)),
    "pool_update": ("pool", POOL),
    "pool_delete": ("empty", EMPTY),
    "pool_preview": ("previewed", PREVIEWED),
    "segment_create": ("segment", ports.SEGMENT),
    "segment_get": ("segment", ports.SEGMENT),
    "segment_list": ("segments", page(ports.SEGMENT)),
    "segment_update": ("segment", ports.SEGMENT),
    "segment_delete": ("empty", EMPTY),
    "segment_hosts": ("segment", ports.SEGMENT),
    "host_list": ("hosts", page(ports.MAPPING)),
    "port_create": ("port", ports.PORT),
    "port_get": ("port", ports.PORT),
    "port_list": ("ports", page(ports.PORT)),
    "port_update": ("port", ports.PORT),
    "port_delete": ("empty", EMPTY),
    "pin_create": ("pin", ports.PIN),
    "pin_delete": ("empty", EMPTY),
    "pin_list": ("pins", page(ports.PIN)),
} | managers.replies(ALLOCATION) | history.REPLIES | access.REPLIES


def reply_form(opcode, status):
    """The name and the layout of the body that a reply of this status has (section 9)."""
    if status == "OK":
        # The feed shows objects of all kinds, so that its layouts need those of this module.
        from .watch import REPLIES as FEED

        if opcode in FEED:
            return FEED[opcode]
        if opcode not in REPLIES:
            raise Fault("UNSUPPORTED", "opcode")
        return REPLIES[opcode]
    if status_class(status) == "done":
        return "empty", EMPTY
    return "failure", FAILURE
