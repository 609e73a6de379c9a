"""The change feed (SPEC.md section 9), in both directions."""

import ipaddress

from . import ports, replies
from .layout import Layout, Tag, read_item, write_item
from .parts import ALLOCATION, RESERVED, revision
from .tables import EVENT_KINDS, WATCH_END_REASONS
from .values import (
    Count, Enumeration, Fault, Flags, Id, Number, Reader, Reserved, Text, address_of, family_size,
)

EVENTS_MAX = 1_000
PUT, GONE = 1, 2


class Kinds:
    """A bit for each kind, in JSON their names."""

    size = 2

    def read(self, reader, field):
        mask = reader.number(2, field)
        if mask & ~sum(1 << number for number in EVENT_KINDS):
            raise Fault("UNSUPPORTED", field)
        return [name for number, name in EVENT_KINDS.items() if mask >> number & 1]

    def write(self, value):
        return value.to_bytes(2, "big")


def gather_watch(raw):
    position, incarnation = raw.pop("position"), raw.pop("incarnation")
    if raw.pop("from"):
        raw["from"] = {"incarnation": incarnation, "position": position}
    elif position != "0" or incarnation:
        raise Fault("MALFORMED", "position")
    for name in ("singles", "kinds"):
        if not raw[name]:
            del raw[name]
    return raw


def scatter_watch(value):
    begins = value.pop("from", None)
    at = begins or {"position": "0", "incarnation": 0}
    names = value.pop("kinds", [])
    mask = sum(1 << number for number, name in EVENT_KINDS.items() if name in names)
    return {"singles": False} | value | at | {"from": begins is not None, "kinds": mask}


WATCH = Layout(
    ("position", revision()), ("incarnation", Number(4)), (None, Flags(2, "from", "singles")), ("kinds", Kinds()),
    tail={
        0x8001: Tag("subnet", Id(zero=False)),
        0x8002: Tag("owner", Id(zero=False)),
        0x8003: Tag("label", Text()),
    },
    gather=gather_watch, scatter=scatter_watch,
)
WATCHING = Layout(("position", revision()), ("incarnation", Number(4)), ("heartbeat_ms", Number(4)))
UNWATCH = Layout(("watch", revision()))
WATCH_END = Layout(
    ("watch", revision()), ("position", revision()), ("incarnation", Number(4)),
    ("reason", Enumeration(WATCH_END_REASONS)), (RESERVED, Reserved(3)), ("oldest", revision()),
)


def within_network(layout):
    """An object behind the id of its network."""
    return Layout(
        ("network_id", Id()), *layout.fixed, items=layout.items, tail=layout.tail, gather=layout.gather,
        scatter=layout.scatter,
    )


def gather_gone(raw):
    number, family, length = int(raw.pop("number")), raw.pop("family"), raw["length"]
    if family == 0:
        if number or length:
            raise Fault("MALFORMED", "address")
        return raw
    size = family_size(family, "address")
    if length > 8 * size:
        raise Fault("OUT_OF_RANGE", "length")
    raw["address"] = str(address_of(number, family, "address"))
    return raw


def scatter_gone(value):
    address = value.pop("address", None)
    if address is None:
        return value | {"number": "0", "family": 0}
    address = ipaddress.ip_address(address)
    return value | {"number": str(int(address)), "family": address.version}


GONE_OBJECT = Layout(
    ("id", Id()), ("network_id", Id()), ("project_id", Id()), ("subnet_id", Id()), ("owner", Id()),
    ("number", Number(16, text=True)), ("slot", Number(2)), ("family", Number(1)), ("length", Number(1)),
    (RESERVED, Reserved(4)),
    tail={0x0001: Tag("host", Text()), 0x0002: Tag("network_project", Id())},
    gather=gather_gone, scatter=scatter_gone,
)


LEVEL = Layout(
    ("network_id", Id()), ("subnet_id", Id()), ("subnet_pool_id", Id()), ("project_id", Id()),
    ("used", Number(16, text=True)), ("size", Number(16, text=True)), ("level", Number(1, most=100)),
    ("before", Number(1, most=100)),
    (RESERVED, Reserved(6)),
)


class Events:
    """Events as items: a fixed part, then the object of the kind that it names, or what is left of it."""

    name = "items"
    head = Layout(
        ("position", revision()), ("revision", revision()), ("time_ms", Number(8)), ("kind", Enumeration(EVENT_KINDS)),
        ("change", Number(1)), (RESERVED, Reserved(6)),
    )

    def __init__(self):
        self.objects = {
            "project": replies.PROJECT, "scope": replies.SCOPE, "pool": replies.POOL, "network": replies.NETWORK,
            "segment": ports.SEGMENT, "host": within_network(ports.MAPPING), "subnet": replies.SUBNET,
            "port": ports.PORT, "pin": within_network(ports.PIN), "allocation": ALLOCATION, "job": replies.JOB,
            "level": LEVEL,
        }

    def read(self, reader, count):
        events = []
        for number in range(count):
            try:
                events.append(self._read_one(Reader(read_item(reader))))
            except Fault as fault:
                raise Fault(fault.status, fault.field, number) from None
        return events

    def _read_one(self, reader):
        event = self.head._read_fixed(reader)
        kind, change = event.pop("kind"), event.pop("change")
        if change not in (PUT, GONE):
            raise Fault("UNSUPPORTED", "change")
        if change == GONE:
            return event | {"gone": {"kind": kind} | GONE_OBJECT.read(reader)}
        return event | {kind: self.objects[kind].read(reader)}

    def write(self, events):
        return b"".join(write_item(self._write_one(dict(event))) for event in events)

    def _write_one(self, event):
        head = {name: event.pop(name) for name in ("position", "revision", "time_ms")}
        [(kind, value)] = event.items()
        change, layout = PUT, self.objects.get(kind)
        if kind == "gone":
            value = dict(value)
            kind, change, layout = value.pop("kind"), GONE, GONE_OBJECT
        fixed, _ = self.head.write(head | {"kind": kind, "change": change})
        return fixed + b"".join(layout.write(value))


EVENTS = Layout(
    ("watch", revision()), ("position", revision()), ("incarnation", Number(4)), (None, Flags(2, "up_to_date")),
    ("items", Count(2, most=EVENTS_MAX)),
    items=[Events()],
)
REPLIES = {
    "watch": ("watching", WATCHING),
    "events": ("events", EVENTS),
    "watch_end": ("watch_end", WATCH_END),
    "unwatch": ("empty", Layout()),
}
