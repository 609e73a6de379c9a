"""Every vector of protocol/vectors, as bytes and as fields, in both directions."""

import json
import pathlib
import re
import unittest

from addrd.frames import (
    FrameFault, Splitter, decode_reply, decode_request, encode_reply, encode_request, reply_length, request_length,
)
from addrd.owner import owner_id
from addrd.replies import reply_form
from addrd.requests import REQUESTS
from addrd.tables import NETWORK_NONE, OPCODE_NUMBERS, OPCODES, STATUSES, status_class
from addrd.values import Fault

PROTOCOL = pathlib.Path(__file__).resolve().parents[2] / "protocol"
SPEC = (PROTOCOL / "SPEC.md").read_text(encoding="utf-8")


def vectors(file):
    with open(PROTOCOL / "vectors" / file, encoding="utf-8") as text:
        return json.load(text)


def decode(direction, frame):
    """A frame as the vectors write one."""
    if direction == "request":
        header, body = decode_request(frame)
        return {"header": header, "body": body}
    header, kind, body = decode_reply(frame)
    return {"header": header, "kind": kind, "body": body}


def encode(direction, vector):
    write = encode_request if direction == "request" else encode_reply
    return write(vector["header"], vector["body"])


def fields(vector):
    return {name: vector[name] for name in ("header", "kind", "body") if name in vector}


def split(direction, data):
    splitter = Splitter(request_length if direction == "request" else reply_length)
    frames = splitter.feed(data)
    splitter.end()
    return frames


class Vectors(unittest.TestCase):
    maxDiff = None

    def test_fields_give_the_bytes_and_bytes_the_fields(self):
        for file in ("requests.json", "replies.json"):
            for vector in vectors(file):
                with self.subTest(file=file, name=vector["name"]):
                    direction, data = vector["direction"], bytes.fromhex(vector["hex"])
                    self.assertEqual(split(direction, data), [data])
                    self.assertEqual(decode(direction, data), fields(vector))
                    self.assertEqual(encode(direction, vector).hex(), vector["hex"])

    def test_streams_are_read_frame_by_frame(self):
        for vector in vectors("frames.json"):
            with self.subTest(name=vector["name"]):
                direction, data = vector["direction"], bytes.fromhex(vector["hex"])
                frames = [decode(direction, frame) for frame in split(direction, data)]
                self.assertEqual(frames, vector["frames"])
                written = b"".join(encode(direction, frame) for frame in vector["frames"])
                self.assertEqual([decode(direction, frame) for frame in split(direction, written)], vector["frames"])

    def test_streams_are_read_whatever_the_pieces(self):
        for vector in vectors("frames.json"):
            with self.subTest(name=vector["name"]):
                direction, data = vector["direction"], bytes.fromhex(vector["hex"])
                splitter = Splitter(request_length if direction == "request" else reply_length)
                frames = [frame for byte in data for frame in splitter.feed(bytes([byte]))]
                self.assertEqual(b"".join(frames), data)
                self.assertEqual(len(frames), len(vector["frames"]))

    def test_wrong_bytes_are_refused_as_told(self):
        for vector in vectors("bad.json"):
            with self.subTest(name=vector["name"]):
                told, expected = refusal(vector), vector["expect"]
                if vector["direction"] == "reply":
                    told, expected = (without_hints(each) for each in (told, expected))
                self.assertEqual(told, expected)


def without_hints(expected):
    """Nobody is told which field of a reply is wrong: each reader has its own way to say it."""
    return {name: value for name, value in expected.items() if name not in ("field", "item")}


def refusal(vector):
    """What this decoder says to wrong bytes, in the words of the vectors."""
    direction, data = vector["direction"], bytes.fromhex(vector["hex"])
    splitter = Splitter(request_length if direction == "request" else reply_length)
    splitter.opened = vector["state"] == "open"
    frames = []
    try:
        frames = splitter.feed(data)
        splitter.end()
        [decode(direction, frame) for frame in frames]
    except FrameFault as fault:
        return {"connection": "closes", "status": fault.status}
    except Fault as fault:
        request_id = int.from_bytes(frames[0][8:16], "big")
        told = {"connection": "continues", "status": fault.status, "request_id": str(request_id), "field": fault.field}
        return told if fault.item is None else told | {"item": fault.item}
    return {"connection": "continues", "status": "OK"}


class Page(unittest.TestCase):
    """The tables of SPEC.md that this client was written from by hand."""

    def test_operations_and_their_fixed_parts(self):
        rows = re.findall(r"^\| 0x(\w{4}) \| (\w+) \|[^|]*\| *(\d*) *\| *(\d*) *\|[^|]*\|$", SPEC, re.MULTILINE)
        self.assertEqual({int(number, 16): name for number, name, _, _ in rows}, OPCODES)
        for _, name, asked, answered in rows:
            with self.subTest(name=name):
                self.assertEqual(str(REQUESTS[name].size) if name in REQUESTS else "", asked)
                self.assertEqual(str(reply_form(name, "OK")[1].size), answered)

    def test_statuses_and_their_classes(self):
        rows = re.findall(r"^\| 0x(\w{4}) \| ([A-Z0-9_]+) \| (\w+) \|", SPEC, re.MULTILINE)
        self.assertEqual({int(number, 16): name for number, name, _ in rows}, STATUSES)
        for _, name, which in rows:
            self.assertEqual(status_class(name), which)

    def test_owners(self):
        section = SPEC[SPEC.index("| text | owner |"):SPEC.index("## 2.")]
        rows = re.findall(r"^\| `([^`]+)` \| (\S+) \|$", section, re.MULTILINE)
        self.assertGreater(len(rows), 3)
        for text, owner in rows:
            self.assertEqual(owner_id(text), owner)
        for text in ("mac:", "mac:020000000001", "mac:02:00:00:00:00:00:01"):
            with self.assertRaises(ValueError):
                owner_id(text)

    def test_frames_on_the_page(self):
        blocks = re.findall(r"^```hex frame (request|reply)$(.*?)^```$", SPEC, re.MULTILINE | re.DOTALL)
        self.assertGreater(len(blocks), 5)
        for direction, block in blocks:
            data = bytes.fromhex("".join(line.split("#")[0] for line in block.splitlines()))
            for frame in split(direction, data):
                with self.subTest(frame=frame.hex()):
                    self.assertEqual(encode(direction, decode(direction, frame)), frame)

    def test_bodies_on_the_page(self):
        blocks = re.findall(r"^```hex body (request|reply) (\w+)$(.*?)^```$", SPEC, re.MULTILINE | re.DOTALL)
        self.assertGreater(len(blocks), 20)
        for direction, name, block in blocks:
            with self.subTest(direction=direction, name=name, block=block):
                body = bytes.fromhex("".join(line.split("#")[0] for line in block.splitlines()))
                self.assertTrue(body_survives(direction, name, body))


def body_survives(direction, name, body):
    """Whether a body is the same after it was read and written; the page doesn't tell its tail flag."""
    network = bytes(16) if name in NETWORK_NONE or name == "lookup" else b"\x22" * 16
    number = OPCODE_NUMBERS[name].to_bytes(2, "big")
    header_bytes = 64 if direction == "request" else 24
    for flags in (0, 1):
        begin = (header_bytes + len(body)).to_bytes(4, "big") + bytes([1, flags]) + number + bytes(7) + b"\x07"
        end = bytes(24) + network + bytes(8) if direction == "request" else bytes(8)
        try:
            if encode(direction, decode(direction, begin + end + body))[header_bytes:] == body:
                return True
        except Fault:
            continue
    return False


if __name__ == "__main__":
    unittest.main()
