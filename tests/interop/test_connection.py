"""The connection against a scripted peer, for what a real server can't be told to do."""

import socket
import threading
import unittest

from addrd.connection import Connection, NotApplied, Unanswered
from addrd.frames import Splitter, decode_request, encode_reply, request_length
from addrd.values import NO_ID, Fault

HELLO = {
    "version": 1, "role": 0, "features": 0, "server_id": NO_ID, "position": "0", "incarnation": 0,
    "frame_bytes_max": 65_536, "batch_bytes_max": 1_048_576, "batch_items_max": 1_024, "credit": 4,
    "idle_ms": 300_000,
}
OWNERS = [f"00000000-0000-0000-0000-{number:012}" for number in range(1, 9)]


class Peer:
    """A server of one connection that does what the test says."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._splitter, self._requests = Splitter(request_length), []
        self._greeter = threading.Thread(target=self._greet)
        self._greeter.start()

    def _greet(self):
        self.socket, _ = self._listener.accept()
        header, _ = self.take()
        self.send("hello", header["request_id"], HELLO)

    def connect(self):
        connection = Connection(self.address)
        self._greeter.join()
        return connection

    def take(self):
        """The next request."""
        while not self._requests:
            self._requests = self._splitter.feed(self.socket.recv(65_536))
        return decode_request(self._requests.pop(0))

    def send(self, opcode, request_id, body, status="OK"):
        header = {"opcode": opcode, "request_id": request_id, "status": status, "retry_after_ms": 0}
        self.socket.sendall(encode_reply(header, body))

    def answer(self, header, body):
        """Answers a lookup of an owner with that owner's number as the only subnet."""
        number = int(body["owner"][-12:])
        place = {"network_id": NO_ID, "subnet_id": body["owner"], "cidr": f"10.0.{number}.0/24"}
        self.send("lookup", header["request_id"], {"subnets": [place]})

    def close(self):
        self.socket.close()
        self._listener.close()


class Scripted(unittest.TestCase):
    def setUp(self):
        self.peer = Peer()
        self.addCleanup(self.peer.close)
        self.connection = self.peer.connect()
        self.addCleanup(self.connection.close)

    def ask(self, owners):
        return {owner: self.connection.submit("lookup", {"owner": owner}) for owner in owners}

    def test_replies_in_the_opposite_order_find_their_requests(self):
        futures = self.ask(OWNERS[:4])
        for taken in reversed([self.peer.take() for _ in futures]):
            self.peer.answer(*taken)
        for owner, future in futures.items():
            self.assertEqual(future.result().body["subnets"][0]["subnet_id"], owner)

    def test_no_more_requests_than_credit(self):
        self.ask(OWNERS[:4])
        fifth = threading.Thread(target=self.ask, args=[OWNERS[4:5]])
        fifth.start()
        taken = [self.peer.take() for _ in range(4)]
        self.assertEqual(self.connection.waiting, 4)
        self.assertTrue(fifth.is_alive())
        self.peer.answer(*taken[2])
        _, body = self.peer.take()
        self.assertEqual(body, {"owner": OWNERS[4]})
        fifth.join()

    def test_goaway_tells_what_was_not_read(self):
        futures = list(self.ask(OWNERS[:4]).values())
        taken = [self.peer.take() for _ in futures]
        self.peer.send("goaway", "0", {"reason": "shutdown", "last_request_id": taken[1][0]["request_id"]})
        self.peer.answer(*taken[0])
        self.assertEqual(futures[0].result().status, "OK")
        for future in futures[2:]:
            self.assertIsInstance(future.exception(), NotApplied)
        with self.assertRaises(NotApplied):
            self.connection.submit("ping", {})
        self.assertFalse(futures[1].done())
        self.peer.socket.close()
        self.assertIsInstance(futures[1].exception(), Unanswered)

    def test_a_reply_that_cannot_be_read_ends_the_connection(self):
        [future] = self.ask(OWNERS[:1]).values()
        self.peer.take()
        self.peer.socket.sendall(bytes(24))
        self.assertIsInstance(future.exception(), Unanswered)
        self.connection.join()
        self.assertIsInstance(self.connection.fault, Fault)

    def test_a_reply_that_nobody_asked_for_ends_the_connection(self):
        self.peer.send("ping", "99", {})
        self.connection.join()
        self.assertEqual(self.connection.fault.field, "request_id")


if __name__ == "__main__":
    unittest.main()
