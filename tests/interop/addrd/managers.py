"""Layouts of managers and of reconciliation (SPEC.md section 9)."""

from .layout import Items, Layout, Tag
from .parts import CURSOR, NEXT, RESERVED, limit, revision
from .values import Count, Enumeration, Fault, Flags, Id, ListOf, Number, Reserved, Text

MANAGER_BYTES_MAX = 64
LIVE_MAX = 2_048
PARTS_MAX = 1_024
SUSPECTS_MAX = 256
PAGE_MAX = 1_000


class NeededText(Text):
    """A text that is not empty."""

    def read(self, reader, field):
        text = super().read(reader, field)
        if not text:
            raise Fault("MALFORMED", field)
        return text


class Live:
    """Something that lives on a host."""

    def read(self, reader, field):
        return {
            "owner": Id(zero=False).read(reader, "owner"), "slot": Number(2).read(reader, "slot"),
            "instance": revision().read(reader, "instance"),
        }

    def write(self, value):
        slot, instance = value.get("slot", 0), value.get("instance", "0")
        return Id(zero=False).write(value["owner"]) + Number(2).write(slot) + revision().write(instance)


def gather_part(raw):
    if raw["part"] >= raw["parts"]:
        raise Fault("OUT_OF_RANGE", "part")
    return raw


RECONCILE = Layout(
    (None, Flags(2, "dry_run")), ("part", Number(2)), ("parts", Number(2, least=1, most=PARTS_MAX)), (RESERVED, Reserved(2)),
    ("call", Number(8, text=True, least=1)), ("grace_ms", Number(4, least=1_000, most=86_400_000)), (RESERVED, Reserved(4)),
    tail={
        0x8001: Tag("manager", NeededText(MANAGER_BYTES_MAX), needed=True),
        0x8002: Tag("host", NeededText(), needed=True),
        0x8003: Tag("live", ListOf(Live(), LIVE_MAX)),
    },
    gather=gather_part,
)
ON_END = {0: "report", 1: "release"}
HOST_LEASE_STATES = {0: "absent", 1: "running", 2: "overdue", 3: "ended"}
HOST = {
    0x8001: Tag("manager", NeededText(MANAGER_BYTES_MAX), needed=True),
    0x8002: Tag("host", NeededText(), needed=True),
}
REQUESTS = {
    "renew_host": Layout(
        ("lease_ms", Number(8, least=1_000, most=315_360_000_000)), ("begin", Number(8, text=True)),
        ("life", Number(8, text=True)),
        ("on_end", Enumeration(ON_END)), (RESERVED, Reserved(7)), tail=HOST,
    ),
    "end_host": Layout(("life", Number(8, text=True)), ("on_end", Enumeration(ON_END)), (RESERVED, Reserved(7)), tail=HOST),
    "host_lease_list": Layout(
        ("limit", limit()), (RESERVED, Reserved(4)),
        tail={0x8001: Tag("manager", NeededText(MANAGER_BYTES_MAX), needed=True), 0x8002: Tag("after", Text())},
    ),
    "reconcile": RECONCILE,
    "suspect_list": Layout(tail={
        0x8001: Tag("manager", Text(MANAGER_BYTES_MAX)), 0x8002: Tag("host", Text()), 0x8003: CURSOR[0x8001],
    }),
    "manager_list": Layout(
        ("limit", limit()), (RESERVED, Reserved(4)),
        tail={0x8001: Tag("manager", Text(MANAGER_BYTES_MAX)), 0x8002: Tag("after", Text())},
    ),
}

RECONCILED = Layout(
    ("call", revision()), (None, Flags(2, "complete", "too_early", "releasing", "more")), ("parts_missing", Number(2)),
    (RESERVED, Reserved(4)), ("listed", Number(8)), ("elsewhere", Number(8)), ("other_instance", Number(8)),
    ("suspects", Number(8)), ("released", Number(8)),
)
MANAGER_USE = Layout(("hosts", Number(8)), ("allocations", Number(8)), tail={0x0001: Tag("name", Text())})
MANAGERS = Layout(
    ("items", Count(4, most=PAGE_MAX)), (None, Flags(2, "more")), (RESERVED, Reserved(2)),
    items=[Items("items", MANAGER_USE)],
)


RENEWED_HOST = Layout(
    ("time_left_ms", Number(8)), ("following", Number(8)), ("life", revision()), ("was", Enumeration(HOST_LEASE_STATES)),
    (RESERVED, Reserved(7)),
)
ENDED_HOST = Layout(
    ("following", Number(8)), (None, Flags(2, "more")), ("was", Enumeration(HOST_LEASE_STATES)), (RESERVED, Reserved(5)),
)
HOST_LEASE = Layout(
    ("time_left_ms", Number(8)), ("following", Number(8)), ("life", revision()),
    ("state", Enumeration(HOST_LEASE_STATES)), ("on_end", Enumeration(ON_END)), (RESERVED, Reserved(6)),
    tail={0x0001: Tag("host", NeededText(), needed=True)},
)
HOST_LEASES = Layout(
    ("items", Count(4, most=PAGE_MAX)), (None, Flags(2, "more")), (RESERVED, Reserved(2)),
    items=[Items("items", HOST_LEASE)],
)


def replies(allocation):
    """Replies of this room; a suspect is shown as an allocation."""
    suspects = Layout(
        ("allocations", Count(2, most=SUSPECTS_MAX)), (None, Flags(2, "more")), (RESERVED, Reserved(4)),
        items=[Items("allocations", allocation)], tail=NEXT,
    )
    return {
        "reconcile": ("reconciled", RECONCILED), "suspect_list": ("suspects", suspects),
        "manager_list": ("managers", MANAGERS),
        "renew_host": ("renewed_host", RENEWED_HOST), "end_host": ("ended_host", ENDED_HOST),
        "host_lease_list": ("host_leases", HOST_LEASES),
    }
