"""Segments, hosts, ports and pins (SPEC.md section 9), in both directions."""

from .layout import Items, Layout, Tag
from .parts import RESERVED, gather_address, list_request, revision, scatter_address
from .tables import IP_ALLOCATIONS, IPV6_MODES
from .values import Address, Count, Enumeration, Fault, Flags, Id, ListOf, Mac, Number, Reserved, Setting, ShortText, Text

DEVICE_OWNER_BYTES_MAX = 64
PORT_ADDRESSES_MAX = 96
SEGMENT_HOSTS_MAX = 64
SERVICE_TYPES_MAX = 8
NIL_MAC = "00:00:00:00:00:00"


def device_owner():
    return Text(DEVICE_OWNER_BYTES_MAX)


def service_types():
    return ListOf(ShortText(DEVICE_OWNER_BYTES_MAX), SERVICE_TYPES_MAX)


def service(first):
    """The four entries in a row that say whom a subnet serves."""
    return {
        first: Tag("ipv6_ra_mode", Enumeration(IPV6_MODES)),
        first + 1: Tag("ipv6_address_mode", Enumeration(IPV6_MODES)),
        first + 2: Tag("service_types", service_types()),
        first + 3: Tag("segment_id", Id(zero=False)),
    }


class Wanted:
    """An address that is asked for: which of subnet, address and slot are given, then these."""

    def read(self, reader, field):
        given = reader.number(1, field)
        if given > 7:
            raise Fault("UNSUPPORTED", field)
        value = {}
        if given & 1:
            value["subnet_id"] = Id(zero=False).read(reader, "subnet_id")
        if given & 2:
            value["ip_address"] = Address().read(reader, "ip_address")
        if given & 4:
            value["slot"] = reader.number(2, "slot")
        return value

    def write(self, value):
        subnet, address, slot = value.get("subnet_id"), value.get("ip_address"), value.get("slot")
        parts = [bytes([(subnet is not None) | (address is not None) << 1 | (slot is not None) << 2])]
        parts += [Id().write(subnet)] if subnet else []
        parts += [Address().write(address)] if address else []
        parts += [slot.to_bytes(2, "big")] if slot is not None else []
        return b"".join(parts)


def gather_mac(raw):
    if raw["mac"] == NIL_MAC:
        del raw["mac"]
    return raw


def scatter_mac(value):
    return {"mac": NIL_MAC} | value


def gather_port(raw):
    if raw["ip_allocation"] is None:
        del raw["ip_allocation"]
    return gather_mac(raw)


def scatter_port(value):
    return {"ip_allocation": None} | scatter_mac(value)


FIXED_IPS = {0x8001: Tag("fixed_ips", Setting(ListOf(Wanted(), PORT_ADDRESSES_MAX)))}

PORT_CREATE = Layout(
    ("port_id", Id(zero=False)), (None, Flags(2, "allow_gateway")), ("mac", Mac()),
    ("ip_allocation", Enumeration({0: None} | IP_ALLOCATIONS)), (RESERVED, Reserved(7)),
    tail=FIXED_IPS | {
        0x8002: Tag("host", Text()),
        0x8003: Tag("device_owner", device_owner()),
        0x8004: Tag("description", Text()),
    },
    gather=gather_port, scatter=scatter_port,
)
PORT_UPDATE = Layout(
    ("port_id", Id(zero=False)), (None, Flags(2, "allow_gateway")), ("mac", Mac()), ("expected", revision()),
    tail=FIXED_IPS | {
        0x8002: Tag("host", Setting(Text())),
        0x8003: Tag("device_owner", Setting(device_owner())),
        0x8004: Tag("description", Setting(Text())),
    },
    gather=gather_mac, scatter=scatter_mac,
)
PORT_DELETE = Layout(("port_id", Id(zero=False)), ("expected", revision()), (RESERVED, Reserved(8)))


def segment(*fixed, tail=None):
    return Layout(("segment_id", Id(zero=False)), *fixed, tail=tail)


def addressed(*fixed, reserved, tail=None):
    """A request that begins with an address and names its family behind what follows."""
    return Layout(
        ("address", Number(16)), *fixed, ("family", Number(1)), (RESERVED, Reserved(reserved)), tail=tail,
        gather=gather_address, scatter=scatter_address,
    )


REQUESTS = {
    "segment_create": segment(tail={0x8001: Tag("description", Text())}),
    "segment_get": segment(),
    "segment_list": list_request(),
    "segment_update": segment(("expected", revision()), tail={0x8001: Tag("description", Setting(Text()))}),
    "segment_delete": segment(("expected", revision())),
    "segment_hosts": segment(tail={
        0x8001: Tag("add", ListOf(ShortText(), SEGMENT_HOSTS_MAX)),
        0x8002: Tag("remove", ListOf(ShortText(), SEGMENT_HOSTS_MAX)),
    }),
    "host_list": list_request({0x8002: Tag("segment_id", Id(zero=False)), 0x8003: Tag("host", Text())}),
    "port_create": PORT_CREATE,
    "port_get": Layout(("port_id", Id(zero=False))),
    "port_list": list_request({
        0x8002: Tag("host", Text()),
        0x8003: Tag("device_owner", device_owner()),
        0x8004: Tag("mac", Mac(zero=False)),
        0x8005: Tag("changed_since", revision()),
    }),
    "port_update": PORT_UPDATE,
    "port_delete": PORT_DELETE,
    "pin_create": addressed(
        ("owner", Id(zero=False)), ("slot", Number(2)), reserved=5, tail={0x8001: Tag("owner_name", Text())},
    ),
    "pin_delete": addressed(reserved=7),
    "pin_list": list_request({0x8002: Tag("subnet_id", Id(zero=False))}),
}

SEGMENT = Layout(
    ("segment_id", Id()), ("network_id", Id()), ("revision", revision()), ("subnets", Number(4)), ("hosts", Number(4)),
    (None, Flags(2, "repeated")), (RESERVED, Reserved(6)),
    tail={0x0001: Tag("description", Text())},
)
MAPPING = Layout(("segment_id", Id()), tail={0x0001: Tag("host", Text(), needed=True)})


def gather_fixed_ip(raw):
    raw["address"] = raw.pop("ip_address")
    raw = gather_address(raw)
    raw["ip_address"] = raw.pop("address")
    return raw


def scatter_fixed_ip(value):
    value["address"] = value.pop("ip_address")
    value = scatter_address(value)
    value["ip_address"] = value.pop("address")
    return value


FIXED_IP = Layout(
    ("ip_address", Number(16)), ("subnet_id", Id()), ("revision", revision()), ("slot", Number(2)),
    ("family", Number(1)), ("subnet_length", Number(1)), (None, Flags(1, "automatic")), (RESERVED, Reserved(3)),
    gather=gather_fixed_ip, scatter=scatter_fixed_ip,
)


def gather_port(raw):
    if not raw["more"]:
        del raw["more"]
    return raw


PORT = Layout(
    ("port_id", Id()), ("network_id", Id()), ("revision", revision()), ("mac", Mac()),
    ("ip_allocation", Enumeration(IP_ALLOCATIONS)), (None, Flags(1, "repeated", "more")),
    ("fixed_ips", Count(2, most=PORT_ADDRESSES_MAX)), (RESERVED, Reserved(6)),
    items=[Items("fixed_ips", FIXED_IP)],
    tail={
        0x0001: Tag("host", Text()),
        0x0002: Tag("device_owner", device_owner()),
        0x0003: Tag("description", Text()),
    },
    gather=gather_port,
)
PIN = Layout(
    ("address", Number(16)), ("subnet_id", Id()), ("owner", Id()), ("revision", revision()), ("slot", Number(2)),
    ("family", Number(1)), (RESERVED, Reserved(1)), (None, Flags(2, "held", "repeated")), (RESERVED, Reserved(2)),
    tail={0x0001: Tag("owner_name", Text())}, gather=gather_address, scatter=scatter_address,
)
