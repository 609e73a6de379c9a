"""Frames: where one ends, its header, and which body it carries (SPEC.md section 2)."""

import re

from . import tables
from .layout import Layout
from .parts import RESERVED
from .replies import Status, reply_form
from .requests import REQUESTS
from .values import NO_ID, Fault, Id, Number, Reader, Reserved

TAIL_FLAG = 1
POOL_FLAG = 2
NETWORK_PROJECT_FLAG = 4
RESTORING_FLAG = 8
PROJECT_BYTES = 16
LENGTH_BYTES = 4
LENGTH_TO_OPCODE_BYTES = 8
OTHER_PROTOCOLS = re.compile(rb"[A-Z]{3}[A-Z ]|\x16\x03")


class FrameFault(Fault):
    """A fault that leaves no way to find the next frame: the connection ends."""


def request_length(begin, opened=True):
    """The length of the request that begins with these bytes; None if they are too few to tell."""
    if len(begin) < LENGTH_BYTES:
        return None
    if OTHER_PROTOCOLS.match(begin):
        raise FrameFault("MALFORMED")
    length = int.from_bytes(begin[:4], "big")
    most = tables.BATCH_BYTES_MAX if opened else tables.HELLO_BYTES_MAX
    if opened and tables.REQUEST_BYTES_MAX < length <= most:
        if len(begin) < LENGTH_TO_OPCODE_BYTES:
            return None
        if tables.OPCODES.get(int.from_bytes(begin[6:8], "big")) not in tables.HAVE_ITEMS:
            most = tables.REQUEST_BYTES_MAX
    return bounded(length, tables.REQUEST_HEADER_BYTES, most)


def reply_length(begin, opened=True):
    """The length of the frame of the server that begins with these bytes; None if they are too few."""
    if len(begin) < LENGTH_BYTES:
        return None
    return bounded(int.from_bytes(begin[:4], "big"), tables.REPLY_HEADER_BYTES, tables.REPLY_BYTES_MAX)


def bounded(length, least, most):
    if length < least:
        raise FrameFault("MALFORMED")
    if length > most:
        raise FrameFault("FRAME_TOO_LONG")
    return length


class Splitter:
    """Cuts a stream of bytes into frames; `length_of` is one of the two functions above."""

    def __init__(self, length_of):
        self.opened, self._length_of, self._bytes = True, length_of, bytearray()

    def feed(self, data):
        """The frames that are whole now."""
        self._bytes += data
        frames = []
        while (length := self._length_of(self._bytes[:LENGTH_TO_OPCODE_BYTES], self.opened)) is not None:
            if len(self._bytes) < length:
                break
            frames.append(bytes(self._bytes[:length]))
            del self._bytes[:length]
        return frames

    def end(self):
        """A stream that ends within a frame is wrong."""
        if self._bytes:
            raise FrameFault("MALFORMED")


BEGIN = (("length", Number(4)), ("version", Number(1)), ("flags", Number(1)), ("opcode", Number(2)))
REQUEST_ID = ("request_id", Number(8, text=True))
REQUEST_HEADER = Layout(
    *BEGIN, REQUEST_ID, ("timeout_ms", Number(4)), (RESERVED, Reserved(4)), ("project", Id()), ("network", Id()),
    (RESERVED, Reserved(8)),
)
REPLY_HEADER = Layout(*BEGIN, REQUEST_ID, ("status", Status()), (RESERVED, Reserved(2)), ("retry_after_ms", Number(4)))


def check_begin(frame, may_be_zero):
    """Faults that end the connection, once the frame is whole."""
    if frame[4] != tables.VERSION:
        raise FrameFault("UNSUPPORTED_VERSION")
    if not may_be_zero and not any(frame[8:16]):
        raise FrameFault("MALFORMED")


def read_header(layout, frame):
    """The header as in JSON, and whether a tail follows; an opcode without a name stays a number in text."""
    header = layout.read(Reader(frame[:layout.size]))
    del header["length"], header["version"]
    flags = header.pop("flags")
    header["opcode"] = tables.OPCODES.get(header["opcode"], str(header["opcode"]))
    known = TAIL_FLAG
    if layout is REQUEST_HEADER and header["opcode"] in tables.MAY_NAME_POOL:
        known |= POOL_FLAG
    if layout is REQUEST_HEADER and header["opcode"] in tables.MAY_BE_SHARED and not flags & POOL_FLAG:
        known |= NETWORK_PROJECT_FLAG
    if layout is REQUEST_HEADER and header["opcode"] in tables.MAY_RESTORE:
        known |= RESTORING_FLAG
    if flags & ~known:
        raise Fault("UNSUPPORTED", "flags")
    if flags & POOL_FLAG:
        header["pool"] = True
    if flags & RESTORING_FLAG:
        header["restoring"] = True
    return header, bool(flags & TAIL_FLAG), bool(flags & NETWORK_PROJECT_FLAG)


def decode_request(frame):
    """Header and body of a request, as canonical JSON has them."""
    check_begin(frame, may_be_zero=False)
    header, tail, is_shared = read_header(REQUEST_HEADER, frame)
    opcode = header["opcode"]
    if opcode not in REQUESTS:
        raise Fault("UNSUPPORTED", "opcode")
    if opcode not in tables.NETWORK_OPTIONAL:
        if (header["network"] == NO_ID) != (opcode in tables.NETWORK_NONE):
            raise Fault("MALFORMED", "network")
    reader = Reader(frame[REQUEST_HEADER.size:])
    if is_shared:
        if header["network"] == NO_ID:
            raise Fault("MALFORMED", "network")
        header["network_project"] = Id().read(Reader(reader.take(PROJECT_BYTES, "network_project")), "network_project")
    for name in ("project", "network_project"):
        if header.get(name) == NO_ID:
            header[name] = tables.DEFAULT_PROJECT
    return header, REQUESTS[opcode].read(reader, tail)


def encode_request(header, body):
    return encode(REQUEST_HEADER, header, REQUESTS[header["opcode"]].write(body))


def decode_reply(frame):
    """Header, form of the body, and body of a reply or of another frame of the server."""
    check_begin(frame, may_be_zero=True)
    header, tail, _ = read_header(REPLY_HEADER, frame)
    form, layout = reply_form(header["opcode"], header["status"])
    body = layout.read(Reader(frame[REPLY_HEADER.size:]), tail)
    if form == "failure":
        body |= {"status": header["status"], "retry_after_ms": header["retry_after_ms"]}
    if form == "job" and not body:
        form = "empty"
    return header, form, body


def encode_reply(header, body):
    _, layout = reply_form(header["opcode"], header["status"])
    return encode(REPLY_HEADER, header, layout.write(body))


def encode(layout, header, parts):
    body, tail = parts
    shared = "network_project" in header
    if shared:
        body = Id().write(header["network_project"]) + body
    fields = header | {
        "length": layout.size + len(body) + len(tail),
        "version": tables.VERSION,
        "flags": (TAIL_FLAG if tail else 0) | (POOL_FLAG if header.get("pool") else 0)
        | (NETWORK_PROJECT_FLAG if shared else 0) | (RESTORING_FLAG if header.get("restoring") else 0),
        "opcode": tables.OPCODE_NUMBERS[header["opcode"]],
    }
    return layout.write(fields)[0] + body + tail
