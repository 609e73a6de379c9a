"""What several messages share: prefixes and addresses in fixed parts, targets, names of subnets, pages, allocations."""

import ipaddress

from .layout import Items, Layout, Tag
from .tables import QUOTA_MAX, STATES
from .values import (
    Count, Cursor, Enumeration, Fault, Flags, Id, Name, Number, Prefix, Present, Reserved, Text,
    address_of, prefix_of, prefix_parts,
)

MANAGER_BYTES_MAX = 64
PAGE_OBJECTS_MAX = 1_000
RESERVED = None


def quota():
    """How much of something a project may have, or has."""
    return Number(8, most=QUOTA_MAX)


def revision():
    return Number(8, text=True)


def limit():
    """The most objects that a list shall answer with."""
    return Number(4, most=PAGE_OBJECTS_MAX)


def gather_prefix(raw):
    """One prefix from a fixed address, a family and a length."""
    raw["cidr"] = prefix_of(raw["cidr"], raw.pop("family"), raw.pop("length"), "cidr")
    return raw


def scatter_prefix(value):
    value["cidr"], value["family"], value["length"] = prefix_parts(value["cidr"])
    return value


def gather_address(raw):
    """One address from a fixed address and a family, which the lengths beside it must suit."""
    address = address_of(raw["address"], raw.pop("family"), "address")
    for name in ("length", "subnet_length"):
        if raw.get(name, 0) > address.max_prefixlen:
            raise Fault("OUT_OF_RANGE", name)
    return raw | {"address": str(address)}


def scatter_address(value):
    address = ipaddress.ip_address(value["address"])
    value["address"], value["family"] = int(address), address.version
    return value


def target(*flags):
    """The 24 bytes that name an allocation; `flags` are the bits above bit 0."""
    return (
        (None, Flags(2, "by_address", *flags)), ("slot", Number(2)), ("family", Number(1)), (RESERVED, Reserved(3)),
        ("subject", Number(16)),
    )


def gather_target(raw):
    by_address, slot = raw.pop("by_address"), raw.pop("slot")
    family, subject = raw.pop("family"), raw.pop("subject")
    if by_address:
        if slot:
            raise Fault("MALFORMED", "slot")
        raw["target"] = {"address": str(address_of(subject, family, "address"))}
    else:
        if family:
            raise Fault("MALFORMED", "family")
        owner = Id(zero=False).read_number(subject, "owner")
        raw["target"] = {"key": {"owner": owner, "slot": slot}}
    return raw


def scatter_target(value):
    [(kind, named)] = value.pop("target").items()
    if kind == "address":
        address = ipaddress.ip_address(named)
        value.update(by_address=True, family=address.version, subject=int(address))
    else:
        value.update(slot=named["slot"], subject=Id().number(named["owner"]))
    return value


def fenced(*flags):
    """A target and the revision and instance that it must have."""
    return (*target(*flags), ("revision", Number(8)), ("instance", Number(8)))


FENCES = {0x8001: Tag("owner", Id(zero=False)), 0x8002: Tag("manager", Text(MANAGER_BYTES_MAX))}


def gather_fences(raw):
    for name in ("revision", "instance"):
        number = raw.pop(name)
        if raw.pop(f"by_{name}"):
            raw[name] = str(number)
        elif number:
            raise Fault("MALFORMED", name)
    raw = gather_target(raw)
    open_to_all = raw.get("any") or any(name in raw for name in ("revision", "instance", "owner", "manager"))
    if "address" in raw["target"] and not open_to_all:
        raise Fault("MALFORMED", "revision")
    return raw


def scatter_fences(value):
    for name in ("revision", "instance"):
        value[f"by_{name}"] = name in value
    return scatter_target(value)


SUBNET_NAMES = {0x8001: Tag("id", Id(zero=False)), 0x8002: Tag("name", Name()), 0x8003: Tag("cidr", Prefix())}


def gather_subnet_name(raw, needed=True):
    """The one way, of three, by which a subnet is named."""
    given = {name: raw.pop(name) for name in ("id", "name", "cidr") if name in raw}
    if len(given) > 1:
        raise Fault("CONFLICTING_FIELDS", "subnet")
    if needed and not given:
        raise Fault("MALFORMED", "subnet")
    return raw | ({"subnet": given} if given else {})


def scatter_subnet_name(value):
    value.update(value.pop("subnet", {}))
    return value


CURSOR = {0x8001: Tag("cursor", Cursor())}
NEXT = {0x0001: Tag("next", Cursor())}


def list_request(tags=None):
    return Layout(("limit", limit()), (RESERVED, Reserved(4)), tail=CURSOR | (tags or {}))


def page(layout, position=True):
    """A page of objects; a list of jobs is read at no position."""

    def without_position(raw):
        if int(raw.pop("position")):
            raise Fault("MALFORMED", "position")
        return raw

    return Layout(
        ("position", revision()), ("items", Count(4, most=PAGE_OBJECTS_MAX)), (RESERVED, Reserved(4)),
        items=[Items("items", layout)], tail=NEXT, gather=None if position else without_position,
    )


ALLOCATION = Layout(
    ("address", Number(16)), ("family", Number(1)), ("length", Number(1)), ("subnet_length", Number(1)),
    ("state", Enumeration(STATES)), ("slot", Number(2)), (None, Flags(2, "repeated")), ("network_id", Id()),
    ("subnet_id", Id()), ("project_id", Id()), ("owner", Id()), ("instance", revision()), ("revision", revision()),
    ("time_left_ms", Number(8)),
    tail={
        0x0001: Tag("owner_name", Text()),
        0x0002: Tag("label", Text()),
        0x0003: Tag("host", Text()),
        0x0004: Tag("manager", Text(MANAGER_BYTES_MAX)),
        0x0005: Tag("network_project", Id()),
        0x0006: Tag("follows_host", Present()),
    },
    gather=gather_address, scatter=scatter_address,
)

PLACE = Layout(
    ("network_id", Id()), ("subnet_id", Id()), ("cidr", Number(16)), ("family", Number(1)), ("length", Number(1)),
    (RESERVED, Reserved(6)),
    tail={0x0001: Tag("network_project", Id())},
    gather=gather_prefix, scatter=scatter_prefix,
)


def gather_other(raw):
    """An object in the way; a network has no prefix, which family 0 says."""
    if raw["family"]:
        return gather_prefix(raw)
    return {"network_id": raw["network_id"], "subnet_id": raw["subnet_id"]}


def scatter_other(value):
    return scatter_prefix(value) if "cidr" in value else value


OTHER = Layout(*PLACE.fixed, gather=gather_other, scatter=scatter_other)
