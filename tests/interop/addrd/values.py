"""The primitives of SPEC.md section 1: each kind reads and writes one value.

In Python a value is what canonical JSON (section 12) makes of it. A reader never looks beyond the bytes that it was
given, and a count or a length reserves nothing that these bytes can't fill.
"""

import ipaddress
import re
import uuid

MAPPED_ABOVE_32_BITS = 0xFFFF
NO_ID = str(uuid.UUID(int=0))


class Fault(Exception):
    """What is wrong with some bytes: a status by name, the field, and the item of a batch."""

    def __init__(self, status, field=None, item=None):
        super().__init__(f"{status}, field {field}, item {item}")
        self.status, self.field, self.item = status, field, item


class Reader:
    """Bytes and how far they have been read."""

    def __init__(self, data):
        self._data, self._at = bytes(data), 0

    @property
    def left(self):
        return len(self._data) - self._at

    def take(self, size, field):
        if self.left < size:
            raise Fault("MALFORMED", field)
        self._at += size
        return self._data[self._at - size:self._at]

    def number(self, size, field):
        return int.from_bytes(self.take(size, field), "big")

    def rest(self):
        return self.take(self.left, None)

    def end(self, field):
        if self.left:
            raise Fault("MALFORMED", field)


def decode_all(kind, data, field, leftover):
    """Reads one value that fills `data`; bytes behind it are a fault of the field `leftover`."""
    reader = Reader(data)
    value = kind.read(reader, field)
    reader.end(leftover)
    return value


class Number:
    """An unsigned integer of `size` bytes; `text` if JSON writes it as a decimal string."""

    def __init__(self, size, text=False, least=0, most=None):
        self.size, self.text = size, text
        self.least, self.most = least, (1 << 8 * size) - 1 if most is None else most

    def read(self, reader, field):
        number = reader.number(self.size, field)
        if not self.least <= number <= self.most:
            raise Fault("OUT_OF_RANGE", field)
        return str(number) if self.text else number

    def write(self, value):
        return int(value).to_bytes(self.size, "big")


class Count(Number):
    """How many items follow: beyond `most` it is a limit; where JSON has a list, its length."""

    def read(self, reader, field):
        number = reader.number(self.size, field)
        if number > self.most:
            raise Fault("LIMIT", field)
        if number < self.least:
            raise Fault("OUT_OF_RANGE", field)
        return number


class Reserved:
    """Zero bytes without a meaning."""

    def __init__(self, size):
        self.size = size

    def read(self, reader, field):
        if reader.number(self.size, field):
            raise Fault("MALFORMED", field)

    def write(self, _value):
        return bytes(self.size)


class Enumeration:
    """A number of a table, in JSON its name."""

    def __init__(self, names, size=1):
        self.names, self.size = names, size
        self.numbers = {name: number for number, name in names.items()}

    def read(self, reader, field):
        return self.named(reader.number(self.size, field), field)

    def named(self, number, field):
        if number not in self.names:
            raise Fault("UNSUPPORTED", field)
        return self.names[number]

    def write(self, value):
        return self.numbers[value].to_bytes(self.size, "big")


def boolean():
    return Enumeration({0: False, 1: True})


class Flags:
    """Named bits from bit 0 upwards, None where a bit has no meaning; in JSON each is a boolean."""

    def __init__(self, size, *names):
        self.size, self.names = size, names

    def read(self, reader, field):
        bits = reader.number(self.size, field)
        named = sum(1 << bit for bit, name in enumerate(self.names) if name)
        if bits & ~named:
            raise Fault("UNSUPPORTED", field)
        return {name: bool(bits >> bit & 1) for bit, name in enumerate(self.names) if name}

    def write(self, value):
        bits = sum(1 << bit for bit, name in enumerate(self.names) if name and value.get(name))
        return bits.to_bytes(self.size, "big")


class Present:
    """What is true if it is there at all."""

    def read(self, reader, field):
        return True

    def write(self, value):
        return b""


class Id:
    """16 bytes, in JSON the text of a UUID."""

    size = 16

    def __init__(self, zero=True):
        self.zero = zero

    def read(self, reader, field):
        return self.read_number(reader.number(16, field), field)

    def read_number(self, number, field):
        if not number and not self.zero:
            raise Fault("MALFORMED", field)
        return str(uuid.UUID(int=number))

    def write(self, value):
        return uuid.UUID(value or NO_ID).bytes

    def number(self, value):
        return uuid.UUID(value).int


class Text:
    """UTF-8 without control characters, to the end of its field."""

    def __init__(self, most=255):
        self.most = most

    def read(self, reader, field):
        data = reader.rest()
        if len(data) > self.most:
            raise Fault("LIMIT", field)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Fault("MALFORMED", field) from None
        if re.search("[\x00-\x1f\x7f-\x9f]", text):
            raise Fault("MALFORMED", field)
        return text

    def write(self, value):
        return value.encode("utf-8")


class ShortText(Text):
    """A text behind its length of one byte; never empty."""

    def read(self, reader, field):
        data = reader.take(reader.number(1, field), field)
        if not data:
            raise Fault("MALFORMED", field)
        return super().read(Reader(data), field)

    def write(self, value):
        data = super().write(value)
        return bytes([len(data)]) + data


class Mac:
    """Six bytes, in JSON pairs of hex digits between colons."""

    size = 6

    def __init__(self, zero=True):
        self.zero = zero

    def read(self, reader, field):
        data = reader.take(6, field)
        if not any(data) and not self.zero:
            raise Fault("MALFORMED", field)
        return data.hex(":")

    def write(self, value):
        return bytes.fromhex(value.replace(":", "")) if value else bytes(6)


class Name(Text):
    """A name of a network or a subnet: it never reads as an id, an address or a prefix."""

    def __init__(self):
        super().__init__(63)

    def read(self, reader, field):
        text = super().read(reader, field)
        if not re.fullmatch("[A-Za-z0-9._-]+", text) or reads_otherwise(text):
            raise Fault("INVALID_NAME", field)
        return text


def reads_otherwise(text):
    if re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return True
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


class Cursor:
    """Opaque bytes to the end of the field, in JSON hex digits."""

    def read(self, reader, field):
        data = reader.rest()
        if len(data) > 64:
            raise Fault("LIMIT", field)
        return data.hex()

    def write(self, value):
        return bytes.fromhex(value)


def family_size(family, field):
    sizes = {4: 4, 6: 16}
    if family not in sizes:
        raise Fault("UNSUPPORTED", field)
    return sizes[family]


def address_of(number, family, field):
    """The address that a number and a family are; an IPv4-mapped one is the IPv4 one."""
    size = family_size(family, field)
    if number >> 8 * size:
        raise Fault("MALFORMED", field)
    if size == 16 and number >> 32 == MAPPED_ABOVE_32_BITS:
        number, size = number & 0xFFFFFFFF, 4
    return ipaddress.IPv4Address(number) if size == 4 else ipaddress.IPv6Address(number)


def prefix_of(number, family, length, field):
    """The text of a prefix; host bits and a length that the family doesn't have are refused."""
    bits = 8 * family_size(family, field)
    if number >> bits:
        raise Fault("MALFORMED", field)
    if length > bits or number & (1 << bits - length) - 1:
        raise Fault("INVALID_PREFIX", field)
    address = address_of(number, family, field)
    mapped = address.version != family
    return f"{address}/{length - 96 if mapped else length}"


def prefix_parts(text):
    network = ipaddress.ip_network(text)
    return int(network.network_address), network.version, network.prefixlen


class Address:
    """Family and 4 or 16 bytes."""

    def read(self, reader, field):
        family = reader.number(1, field)
        size = family_size(family, field)
        return str(address_of(reader.number(size, field), family, field))

    def write(self, value):
        address = ipaddress.ip_address(value)
        return bytes([address.version]) + address.packed


class Prefix:
    """Family, length in bits, first address."""

    def read(self, reader, field):
        family = reader.number(1, field)
        size = family_size(family, field)
        length = reader.number(1, field)
        return prefix_of(reader.number(size, field), family, length, field)

    def write(self, value):
        number, family, length = prefix_parts(value)
        return bytes([family, length]) + number.to_bytes(family_size(family, None), "big")


class Range:
    """Family, first and last address, both inside."""

    def read(self, reader, field):
        family = reader.number(1, field)
        size = family_size(family, field)
        ends = [reader.number(size, field) for _ in range(2)]
        if ends[0] > ends[1]:
            raise Fault("OUT_OF_RANGE", field)
        first, last = (address_of(end, family, field) for end in ends)
        return {"first": str(first), "last": str(last)}

    def write(self, value):
        first, last = (ipaddress.ip_address(value[end]) for end in ("first", "last"))
        return bytes([first.version]) + first.packed + last.packed


class Route:
    """A destination and a next hop of the same family."""

    def read(self, reader, field):
        destination = Prefix().read(reader, field)
        next_hop = Address().read(reader, field)
        if (":" in destination) != (":" in next_hop):
            raise Fault("CONFLICTING_FIELDS", "next_hop")
        return {"destination": destination, "next_hop": next_hop}

    def write(self, value):
        return Prefix().write(value["destination"]) + Address().write(value["next_hop"])


class ListOf:
    """Values one after the other to the end of the field."""

    def __init__(self, kind, most):
        self.kind, self.most = kind, most

    def read(self, reader, field):
        values = []
        while reader.left:
            if len(values) == self.most:
                raise Fault("LIMIT", field)
            values.append(self.kind.read(reader, field))
        return values

    def write(self, value):
        return b"".join(self.kind.write(each) for each in value)


class Setting:
    """Null (`00`), or `01` and a value; unset is that the field isn't there at all."""

    def __init__(self, kind):
        self.kind = kind

    def read(self, reader, field):
        given = reader.number(1, field)
        if given > 1:
            raise Fault("UNSUPPORTED", field)
        return self.kind.read(reader, field) if given else None

    def write(self, value):
        return b"\x00" if value is None else b"\x01" + self.kind.write(value)
