"""HELLO, sessions and GOAWAY of a real server."""

import threading
import unittest
import uuid

from addrd.asking import allocate, key, listing, objects
from addrd.connection import HelloRefused, NotApplied, Unanswered
from addrd.owner import owner_id
from server import ServerCase


class Hello(ServerCase):
    def refused(self, **hello):
        with self.assertRaises(HelloRefused) as raised:
            self.connect(**hello)
        return raised.exception.reply

    def test_limits_are_told(self):
        hello = self.connect().hello
        self.assertEqual((hello["version"], hello["role"], hello["features"]), (1, 0, 0))
        for name in ("frame_bytes_max", "batch_bytes_max", "batch_items_max", "credit", "idle_ms"):
            self.assertGreater(hello[name], 0)

    def test_the_highest_common_version(self):
        self.assertEqual(self.connect(version_min=1, version_max=9, features=0xFFFFFFFF).hello["version"], 1)
        self.assertEqual(self.refused(version_min=2, version_max=9).status, "UNSUPPORTED_VERSION")

    def test_a_pinned_server(self):
        server = self.connect().hello["server_id"]
        self.assertEqual(self.connect(server_id=server).hello["server_id"], server)
        self.assertEqual(self.refused(server_id=str(uuid.uuid4())).status, "WRONG_SERVER")

    def test_hello_comes_once(self):
        connection = self.connect()
        body = {"version_min": 1, "version_max": 1, "features": 0, "epoch": "0", "session": str(uuid.uuid4())}
        self.assertEqual(connection.call("hello", body).status, "HELLO_EXPECTED")
        self.assertEqual(connection.call("ping", {}).status, "OK")

    def test_manager_and_host_of_hello_are_those_of_its_allocations(self):
        call = self.connect(manager="cluster-a/podnet", host="node-7").call
        network, _ = self.network(call, "10.0.0.0/24")
        self.ok(call, "allocate", allocate("web-1"), network)
        self.ok(call, "allocate", allocate("web-2", manager="cluster-b", host="node-8"), network)
        first, second = (self.ok(call, "allocation_get", key(owner), network) for owner in ("web-1", "web-2"))
        self.assertEqual((first["manager"], first["host"]), ("cluster-a/podnet", "node-7"))
        self.assertEqual((second["manager"], second["host"]), ("cluster-b", "node-8"))


class Sessions(ServerCase):
    def setUp(self):
        self.session = str(uuid.uuid4())

    def stale(self, epoch):
        with self.assertRaises(HelloRefused) as raised:
            self.connect(session=self.session, epoch=epoch)
        self.assertEqual(raised.exception.reply.status, "SESSION_STALE")

    def test_an_older_or_equal_epoch_is_refused_and_disturbs_nobody(self):
        connection = self.connect(session=self.session, epoch=5)
        self.stale(5)
        self.stale(4)
        self.assertEqual(connection.call("ping", {}).status, "OK")
        self.assertIsNone(connection.goaway)

    def test_it_is_refused_after_the_connection_has_gone_too(self):
        self.connect(session=self.session, epoch=5).close()
        self.stale(5)
        self.connect(session=self.session, epoch=6)

    def test_a_higher_epoch_replaces_the_connection(self):
        old = self.connect(session=self.session, epoch=5)
        new = self.connect(session=self.session, epoch=6)
        old.join()
        self.assertEqual(old.goaway["reason"], "session_replaced")
        self.assertEqual(int(old.goaway["last_request_id"]), 1)
        self.assertEqual(new.call("ping", {}).status, "OK")
        self.stale(5)

    def test_after_hello_nothing_of_the_old_connection_is_applied(self):
        old = self.connect(session=self.session, epoch=1)
        network, _ = self.network(old.call, "10.0.0.0/20")
        with old.reading:
            owners = [f"pod-{number}" for number in range(200)]
            sent = {owner: old.submit("allocate", allocate(owner), network) for owner in owners}
            new = self.connect(session=self.session, epoch=2)
            before = objects(new.call, "allocation_list", listing(), network)
        old.join()
        self.assertEqual(objects(new.call, "allocation_list", listing(), network), before)
        holders = {each["owner"]: each["address"] for each in before}
        for owner, future in sent.items():
            self.check_outcome(future, holders.get(owner_id(owner)))

    def check_outcome(self, future, address):
        """What the client was told about an allocate agrees with what is held."""
        if isinstance(future.exception(), NotApplied):
            self.assertIsNone(address)
        elif not isinstance(future.exception(), Unanswered):
            self.assertEqual(future.result().body["first"]["address"], address)

    def test_no_session_fences_nothing(self):
        first, second = self.connect(), self.connect()
        for connection in (first, second):
            self.assertEqual(connection.call("ping", {}).status, "OK")


class Shutdown(ServerCase):
    def test_goaway_tells_the_truth_about_every_request(self):
        """On SIGTERM in the middle of a stream: answered is durable, behind the last one read is not applied."""
        connection = self.connect()
        network, _ = self.network(connection.call, "10.0.0.0/16")
        sent, under_way = {}, threading.Event()
        stream = threading.Thread(target=self.stream, args=[connection, network, sent, under_way])
        stream.start()
        under_way.wait()
        self.server.terminate()
        stream.join()
        connection.join()
        self.assertEqual(self.server.wait(), 0, self.server.output())
        self.assertIsNone(connection.fault)
        self.assertEqual(connection.goaway["reason"], "shutdown")
        self.server.start()
        holders = {
            each["owner"]: each["address"]
            for each in objects(self.connect().call, "allocation_list", listing(), network)
        }
        for owner, future in sent.items():
            self.check(future, holders.get(owner_id(owner)), int(connection.goaway["last_request_id"]))

    def stream(self, connection, network, sent, under_way):
        """Allocates without a pause until the connection takes no more."""
        try:
            for number in range(65_000):
                sent[f"pod-{number}"] = connection.submit("allocate", allocate(f"pod-{number}"), network)
                if number == 500:
                    under_way.set()
        except NotApplied:
            pass

    def check(self, future, address, last_read):
        fault = future.exception()
        if fault is None:
            self.assertLessEqual(future.request_id, last_read)
            if future.result().status == "OK":
                self.assertEqual(future.result().body["first"]["address"], address)
            else:
                self.assertEqual(future.result().status_class, "later")
                self.assertIsNone(address)
        elif isinstance(fault, NotApplied):
            self.assertGreater(future.request_id, last_read)
            self.assertIsNone(address)
        else:
            self.assertIsInstance(fault, Unanswered)


if __name__ == "__main__":
    unittest.main()
