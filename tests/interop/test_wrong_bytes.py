"""Wrong bytes to a real server: each gets the answer that the vectors and SPEC.md promise."""

import json
import pathlib
import socket
import unittest
import uuid

from addrd.connection import hello_body, request
from addrd.frames import Splitter, decode_reply, reply_length
from addrd.tables import DEFAULT_PROJECT
from server import ServerCase

BAD = pathlib.Path(__file__).resolve().parents[2] / "protocol" / "vectors" / "bad.json"
PROJECT = slice(24, 40)
SILENCE_S_MAX = 30
PROJECT_OF_VECTORS = uuid.UUID("11111111-1111-4111-8111-111111111111").bytes


class Raw:
    """A socket without a client's care; it reads frames as they come."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=SILENCE_S_MAX)
        self._splitter, self._frames = Splitter(reply_length), []

    def send(self, data):
        self.socket.sendall(data)

    def take(self):
        """The next frame of the server, or None when it has closed."""
        while not self._frames:
            try:
                data = self.socket.recv(65_536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._frames = self._splitter.feed(data)
        return decode_reply(self._frames.pop(0))


class WrongBytes(ServerCase):
    def raw(self, opened=True):
        raw = Raw(self.server.address)
        self.addCleanup(raw.socket.close)
        if opened:
            raw.send(request("hello", 1, hello_body()))
            self.assertEqual(raw.take()[0]["status"], "OK")
        return raw

    def test_every_wrong_request_of_the_vectors(self):
        with open(BAD, encoding="utf-8") as text:
            vectors = [vector for vector in json.load(text) if vector["direction"] == "request"]
        for vector in vectors:
            with self.subTest(name=vector["name"], hex=vector["hex"]):
                self.check(vector)

    def check(self, vector):
        data, expect = bytearray.fromhex(vector["hex"]), vector["expect"]
        if data[PROJECT] == PROJECT_OF_VECTORS:
            data[PROJECT] = uuid.UUID(DEFAULT_PROJECT).bytes
        raw = self.raw(vector["state"] == "open")
        raw.send(data)
        if vector["name"] == "connection_ends_inside_a_frame":
            raw.socket.shutdown(socket.SHUT_WR)
        header, form, body = raw.take()
        self.assertEqual((form, header["status"]), ("failure", expect["status"]), body)
        if expect["connection"] == "closes":
            self.assertEqual((header["opcode"], header["request_id"]), ("error", "0"))
            self.assertIsNone(raw.take())
            return
        self.assertEqual(header["request_id"], expect["request_id"])
        self.assertEqual(body.get("field"), expect.get("field"), body)
        self.assertEqual(body.get("item"), expect.get("item"), body)
        raw.send(request("ping", 8, {}))
        header, _, _ = raw.take()
        self.assertEqual((header["request_id"], header["status"]), ("8", "OK"))

    def error_of_first_bytes(self, data):
        raw = self.raw(opened=False)
        raw.send(data)
        header, _, body = raw.take()
        self.assertEqual((header["opcode"], header["request_id"]), ("error", "0"))
        self.assertIsNone(raw.take())
        return header["status"], body["message"]

    def test_other_protocols_are_told_so(self):
        status, message = self.error_of_first_bytes(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n")
        self.assertEqual(status, "MALFORMED")
        self.assertIn("HTTP", message)
        status, message = self.error_of_first_bytes(bytes.fromhex("16030102000100 01fc0303"))
        self.assertEqual(status, "MALFORMED")
        self.assertIn("TLS", message)

    def test_the_first_request_is_hello(self):
        raw = self.raw(opened=False)
        raw.send(request("ping", 7, {}))
        header, _, _ = raw.take()
        self.assertEqual((header["request_id"], header["status"]), ("7", "HELLO_EXPECTED"))
        self.assertIsNone(raw.take())

    def test_nothing_behind_a_refused_hello_is_applied(self):
        network = str(uuid.uuid4())
        raw = self.raw(opened=False)
        hello = request("hello", 1, hello_body(server_id=str(uuid.uuid4())))
        raw.send(hello + request("network_create", 2, {}, network))
        self.assertEqual(raw.take()[0]["status"], "WRONG_SERVER")
        self.assertIsNone(raw.take())
        self.assertEqual(self.connect().call("network_get", {}, network).status, "NOT_FOUND")

    def test_many_wrong_requests_end_the_connection(self):
        raw = self.raw()
        wrong = bytearray(request("ping", 7, {}))
        wrong[20] = 1
        statuses = []
        for _ in range(11):
            raw.send(wrong)
            statuses.append(raw.take()[0]["status"])
        self.assertEqual(statuses[:10], ["MALFORMED"] * 10)
        frames = list(iter(raw.take, None))
        last = frames[-1][0] if frames else None
        self.assertIsNotNone(last, statuses)
        self.assertEqual((last["opcode"], last["request_id"], last["status"]), ("error", "0", "RATE_LIMITED"))

    def test_who_does_not_count_credit_is_answered_all_the_same(self):
        raw = self.raw()
        network, _ = self.network(self.connect().call, "10.0.0.0/20")
        lookup = {"address": "10.0.0.2"}
        asked = [str(number) for number in range(2, 1_002)]
        raw.send(b"".join(request("lookup", number, lookup, network) for number in asked))
        answered = [raw.take()[0] for _ in asked]
        self.assertEqual({header["status"] for header in answered}, {"OK"})
        self.assertEqual(sorted(header["request_id"] for header in answered), sorted(asked))

    def test_another_project(self):
        raw = self.raw()
        raw.send(request("network_list", 7, {"limit": 0}, project=str(uuid.UUID(bytes=PROJECT_OF_VECTORS))))
        header, kind, body = raw.take()
        self.assertEqual((header["status"], kind, body["items"]), ("OK", "networks", []), "nothing of others shows")


if __name__ == "__main__":
    unittest.main()
