"""Layouts of history (SPEC.md section 9)."""

import ipaddress

from .layout import Items, Layout, Tag
from .parts import NEXT, PAGE_OBJECTS_MAX, RESERVED, gather_address, limit, revision, scatter_address
from .values import Count, Cursor, Enumeration, Fault, Flags, Id, Number, Reserved, Text, address_of

MANAGER_BYTES_MAX = 64
KINDS = {
    1: "held", 2: "allocated", 3: "changed", 4: "resting", 5: "released", 6: "rest_ended", 7: "release_held",
    8: "transferred",
}


def gather_history(raw):
    by_owner, by_slot, slot = raw.pop("by_owner"), raw.pop("by_slot"), raw.pop("slot")
    family, subject = raw.pop("family"), raw.pop("subject")
    if by_owner:
        raw["subject"] = {"owner": Id(zero=False).read_number(subject, "owner")}
        if family:
            raise Fault("MALFORMED", "family")
    else:
        raw["subject"] = {"address": str(address_of(subject, family, "address"))}
    if by_slot and not by_owner or slot and not by_slot:
        raise Fault("MALFORMED", "slot")
    if by_slot:
        raw["slot"] = slot
    if raw["to_ms"] and raw["to_ms"] < raw["from_ms"]:
        raise Fault("OUT_OF_RANGE", "to_ms")
    return raw


def scatter_history(value):
    [(kind, subject)] = value["subject"].items()
    by_owner, by_slot = kind == "owner", "slot" in value
    address = None if by_owner else ipaddress.ip_address(subject)
    return {"oldest_first": False, "from_ms": 0, "to_ms": 0, "limit": 0, "slot": 0} | value | {
        "by_owner": by_owner, "by_slot": by_slot, "family": 0 if by_owner else address.version,
        "subject": Id().number(subject) if by_owner else int(address),
    }


ENTRY = Layout(
    ("time_ms", Number(8)), ("position", revision()), ("revision", revision()), ("fence", revision()),
    ("instance", revision()), ("ends_ms", Number(8)), ("address", Number(16)), ("network_id", Id()), ("subnet_id", Id()),
    ("project_id", Id()), ("owner", Id()), ("slot", Number(2)), ("family", Number(1)), ("length", Number(1)),
    ("kind", Enumeration(KINDS)), (RESERVED, Reserved(3)), ("incarnation", Number(4)), (RESERVED, Reserved(4)),
    tail={
        0x0001: Tag("owner_name", Text()),
        0x0002: Tag("label", Text()),
        0x0003: Tag("host", Text()),
        0x0004: Tag("manager", Text(MANAGER_BYTES_MAX)),
        0x0005: Tag("network_project", Id()),
        0x0006: Tag("trace", Id()),
        0x0007: Tag("token", Id()),
    },
    gather=gather_address, scatter=scatter_address,
)


def gather_page(raw):
    if not raw["incomplete"]:
        del raw["incomplete"]
    return raw


REQUESTS = {
    "history": Layout(
        (None, Flags(2, "by_owner", "by_slot", "oldest_first")), ("slot", Number(2)), ("family", Number(1)),
        (RESERVED, Reserved(3)), ("subject", Number(16)), ("from_ms", Number(8)), ("to_ms", Number(8)), ("limit", limit()),
        (RESERVED, Reserved(4)),
        tail={0x8001: Tag("cursor", Cursor())},
        gather=gather_history, scatter=scatter_history,
    ),
}
REPLIES = {
    "history": ("history", Layout(
        ("position", revision()), ("reach_ms", Number(8)), ("items", Count(4, most=PAGE_OBJECTS_MAX)),
        (None, Flags(2, "incomplete")), (RESERVED, Reserved(2)),
        items=[Items("items", ENTRY)], tail=NEXT,
        gather=gather_page, scatter=lambda value: value,
    )),
}
