"""kill -9 in the middle of a stream: afterwards the server holds exactly what the client believes it has."""

import os
import random
import threading
import unittest
import uuid

from addrd.asking import allocate, key, listing, objects, subnet
from addrd.lane import Lane
from addrd.owner import owner_id
from server import Server

KILLS = int(os.environ.get("ADDRD_INTEROP_KILLS", "3"))
SEED = int(os.environ.get("ADDRD_INTEROP_SEED", str(random.randrange(1 << 32))))
CHAINS = 64
OPERATIONS_BETWEEN_KILLS = 400


class Believer:
    """Owners that each do one operation after the other on one lane, and what they believe to hold."""

    def __init__(self, lane, network, seed):
        self._lane, self._network, self._random = lane, network, random.Random(seed)
        self._changed = threading.Condition()
        self.holds, self.answers, self._running = {}, 0, CHAINS
        self._stop, self.faults = False, []

    def start(self):
        for number in range(CHAINS):
            self._next(f"pod-{number}")

    def _next(self, owner):
        with self._changed:
            if self._stop:
                self._running -= 1
                self._changed.notify_all()
                return
            allocates = owner not in self.holds or self._random.random() < 0.2
            body = allocate(owner, strategy=self._random.choice(("lowest", "random"))) if allocates else key(owner)
        opcode = "allocate" if allocates else "release"
        future = self._lane.submit(opcode, body, self._network)
        future.add_done_callback(lambda done: self._learn(owner, opcode, done))

    def _learn(self, owner, opcode, done):
        try:
            with self._changed:
                self._believe(owner, opcode, done.result())
                self.answers += 1
                self._changed.notify_all()
        except BaseException as fault:
            with self._changed:
                self.faults.append(fault)
                self._stop = True
                self._changed.notify_all()
        self._next(owner)

    def _believe(self, owner, opcode, reply):
        """What an answer was once true of must still be true in a later one."""
        held = self.holds.get(owner)
        if opcode == "release" and reply.status in ("OK", "NOT_HELD"):
            if reply.status == "OK" and reply.body["address"] != held:
                raise AssertionError(f"{owner} held {held} and released {reply.body}")
            del self.holds[owner]
        elif opcode == "allocate" and reply.status == "OK":
            address = reply.body["first"]["address"]
            if held not in (None, address) or (held and not reply.body["first"]["repeated"]):
                raise AssertionError(f"{owner} held {held} and was told {reply.body}")
            self.holds[owner] = address
        else:
            raise AssertionError(f"{opcode} of {owner}: {reply}")

    def wait_for(self, answers):
        with self._changed:
            self._changed.wait_for(lambda: self.faults or self.answers >= answers)

    def finish(self):
        """Every chain ends at an answer."""
        with self._changed:
            self._stop = True
            self._changed.wait_for(lambda: self.faults or self._running == 0)
        if self.faults:
            raise self.faults[0]


class Crash(unittest.TestCase):
    def test_what_the_client_believes_is_what_the_server_holds(self):
        print(f"ADDRD_INTEROP_SEED={SEED}", flush=True)
        server = Server()
        self.addCleanup(server.close)
        lane = Lane(server.address)
        self.addCleanup(lane.close)
        network = str(uuid.uuid4())
        for opcode, body in (("network_create", {}), ("subnet_create", subnet(str(uuid.uuid4()), "10.0.0.0/22"))):
            self.assertEqual(lane.call(opcode, body, network).status, "OK")
        believer, moments = Believer(lane, network, SEED), random.Random(SEED + 1)
        believer.start()
        for _ in range(KILLS):
            believer.wait_for(believer.answers + moments.randrange(1, OPERATIONS_BETWEEN_KILLS))
            server.kill()
            server.start()
        believer.wait_for(believer.answers + OPERATIONS_BETWEEN_KILLS)
        believer.finish()
        self.assertEqual(lane.connections, KILLS + 1)
        self.assertGreater(lane.repeats, 0)
        self.assertGreaterEqual(lane.epoch, KILLS + 1)
        listed = objects(lane.call, "allocation_list", listing(), network)
        self.assertEqual(
            sorted((each["owner"], each["address"]) for each in listed),
            sorted((owner_id(owner), address) for owner, address in believer.holds.items()),
        )
        self.assertEqual(len({each["address"] for each in listed}), len(listed))


if __name__ == "__main__":
    unittest.main()
