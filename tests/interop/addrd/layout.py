"""How a body is put together (SPEC.md section 3): a fixed part, items, a tail.

A layout only says where values lie. `gather` and `scatter` turn what lies in several places (an address and its family)
into one value of canonical JSON and back.
"""

from .tables import DEFAULT_PROJECT
from .values import NO_ID, Fault, Flags, Id, ListOf, Reader, Reserved, decode_all

CRITICAL = 0x8000
TAIL_ENTRIES_MAX = 16


class Tag:
    """An entry of a tail.

    `needed`: refused if absent; `default`: what absence means to a reader; `always`: written even when empty.
    An empty list is the same as none.
    """

    def __init__(self, name, kind, needed=False, default=None, always=False):
        self.name, self.kind = name, kind
        self.needed, self.default, self.always = needed, default, always

    def given(self, value):
        is_empty = value == [] and isinstance(self.kind, ListOf)
        return not is_empty and (self.default is None or value != self.default)


class Layout:
    """A body, or the content of an item.

    `fixed` are pairs of a name and a kind in the order of the bytes; the name None stands for reserved bytes and for
    flags that are members of their own. A fixed part that is cut is a fault of `body`.
    """

    def __init__(self, *fixed, items=(), tail=None, gather=None, scatter=None):
        self.fixed, self.items, self.tail = fixed, items, tail or {}
        self.gather, self.scatter = gather, scatter
        self.size = sum(kind.size for _, kind in fixed)

    def read(self, reader, tail=None):
        """`tail`: whether the header announces one; None in an item, where it is what is left."""
        raw = self._read_fixed(reader)
        for items in self.items:
            raw[items.name] = items.read(reader, raw[items.name])
        if tail or (tail is None and reader.left):
            raw.update(read_tail(reader, self.tail))
        else:
            reader.end("body")
            raw.update(absent(self.tail, set()))
        return self.gather(raw) if self.gather else raw

    def _read_fixed(self, reader):
        reader = Reader(reader.take(self.size, "body"))
        raw = {}
        for name, kind in self.fixed:
            value = kind.read(reader, name or ("flags" if isinstance(kind, Flags) else "reserved"))
            if name:
                raw[name] = value
            elif isinstance(kind, Flags):
                raw.update(value)
        return raw

    def write(self, value):
        """The bytes before the tail, and those of the tail."""
        raw = self.scatter(dict(value)) if self.scatter else dict(value)
        parts = []
        for name, kind in self.fixed:
            field = raw if name is None else raw.get(name, 0)
            parts.append(kind.write(len(field) if isinstance(field, list) else field))
        for items in self.items:
            parts.append(items.write(raw.get(items.name, [])))
        return b"".join(parts), write_tail(self.tail, raw)


def read_tail(reader, tags):
    if not reader.left:
        raise Fault("MALFORMED", "tail")
    values, given, entries, last = {}, set(), 0, -1
    while reader.left:
        tag = reader.number(2, "tag")
        data = read_item(reader)
        if tag <= last or entries == TAIL_ENTRIES_MAX:
            raise Fault("MALFORMED", "tail")
        last, entries = tag, entries + 1
        if tag in tags:
            entry = tags[tag]
            value = decode_all(entry.kind, data, entry.name, "tail")
            if entry.given(value):
                values[entry.name] = value
                given.add(tag)
        elif tag & CRITICAL:
            raise Fault("UNSUPPORTED_FIELD", f"0x{tag:04x}")
    return values | absent(tags, given)


def absent(tags, given):
    """What the tags that aren't there mean."""
    missing = [entry for tag, entry in tags.items() if tag not in given]
    for entry in missing:
        if entry.needed:
            raise Fault("MALFORMED", entry.name)
    return {entry.name: entry.default for entry in missing if entry.default is not None}


def write_tail(tags, raw):
    parts = []
    for tag, entry in sorted(tags.items()):
        if entry.always or (entry.name in raw and entry.given(raw[entry.name])):
            parts.append(tag.to_bytes(2, "big") + write_item(entry.kind.write(raw.get(entry.name, ""))))
    return b"".join(parts)


def read_item(reader):
    return reader.take(reader.number(2, "item"), "item")


def write_item(data):
    return len(data).to_bytes(2, "big") + data


class Items:
    """Items of one layout, as many as the field of the same name in the fixed part says."""

    def __init__(self, name, layout):
        self.name, self.layout = name, layout

    def read(self, reader, count):
        return [self.layout.read(Reader(read_item(reader))) for _ in range(count)]

    def write(self, values):
        return b"".join(write_item(b"".join(self.layout.write(value))) for value in values)


class Plain:
    """The content of an item that is one value."""

    def __init__(self, kind):
        self.kind = kind

    def read(self, reader):
        value = self.kind.read(reader, "item")
        reader.end("item")
        return value

    def write(self, value):
        return self.kind.write(value), b""


class KindItems:
    """Items that begin with their kind and a reserved byte; in JSON an object with one member, the kind.

    `layouts` are pairs of a name and a layout by number; a layout that is None has no bytes and is its name alone. With
    `skip` a kind that isn't known is passed over, else it is refused with the number of its item.
    """

    def __init__(self, name, layouts, skip=False):
        self.name, self.layouts, self.skip = name, layouts, skip
        self.numbers = {kind: number for number, (kind, _) in layouts.items()}

    def read(self, reader, count):
        values = []
        for number in range(count):
            try:
                value = self._read_one(Reader(read_item(reader)))
            except Fault as fault:
                raise Fault(fault.status, fault.field, number) from None
            if value is not None:
                values.append(value)
        return values

    def _read_one(self, reader):
        kind = reader.number(1, "kind")
        Reserved(1).read(reader, "reserved")
        if kind not in self.layouts:
            if self.skip:
                return None
            raise Fault("UNSUPPORTED", "kind")
        name, layout = self.layouts[kind]
        if layout is None:
            reader.end("body")
            return name
        return {name: layout.read(reader)}

    def write(self, values):
        return b"".join(write_item(self._write_one(value)) for value in values)

    def _write_one(self, value):
        if isinstance(value, str):
            return bytes([self.numbers[value], 0])
        [(name, content)] = value.items()
        number = self.numbers[name]
        return bytes([number, 0]) + b"".join(self.layouts[number][1].write(content))


class PlacedItems(KindItems):
    """Items of a batch that say where they are: kind, flags, and the ids that these announce."""

    POOL, NETWORK_PROJECT = 1, 2

    def _read_one(self, reader):
        kind, flags = reader.number(1, "kind"), reader.number(1, "flags")
        if flags not in (0, self.POOL, self.NETWORK_PROJECT):
            raise Fault("UNSUPPORTED", "flags")
        value = {"network": Id(zero=False).read(reader, "network")}
        if flags == self.POOL:
            value["pool"] = True
        if flags == self.NETWORK_PROJECT:
            project = Id().read(reader, "network_project")
            value["network_project"] = DEFAULT_PROJECT if project == NO_ID else project
        if kind not in self.layouts:
            raise Fault("UNSUPPORTED", "kind")
        name, layout = self.layouts[kind]
        return value | {"operation": {name: layout.read(reader)}}

    def _write_one(self, value):
        [(name, content)] = value["operation"].items()
        number = self.numbers[name]
        flags = self.POOL if value.get("pool") else self.NETWORK_PROJECT if "network_project" in value else 0
        ids = b"".join(Id().write(value[name]) for name in ("network", "network_project") if name in value)
        return bytes([number, flags]) + ids + b"".join(self.layouts[number][1].write(content))
