"""Lists of a real server that change while they are read."""

import ipaddress
import itertools
import random
import threading
import unittest

from addrd.asking import allocate, key, listing, pages
from addrd.owner import owner_id
from server import ServerCase

STABLE = 10_000
PAGE_OBJECTS = 250
BATCH_ITEMS = 1_000
SEED = 7


class Changer(threading.Thread):
    """Another client: allocates, releases and relabels until it is told to stop."""

    def __init__(self, connection, network, stable):
        super().__init__()
        self._connection, self._network, self._stable = connection, network, stable
        self._random, self._changed = random.Random(SEED), threading.Condition()
        self.changes, self.fault, self._stopping = 0, None, False

    def run(self):
        try:
            for number in itertools.count():
                if self._stopping:
                    return
                self._change(number)
                with self._changed:
                    self.changes += 1
                    self._changed.notify_all()
        except BaseException as fault:
            with self._changed:
                self.fault = fault
                self._changed.notify_all()

    def _change(self, number):
        body = allocate(f"comes-{number}", strategy="random")
        self._ask("allocate", body)
        self._ask("allocation_update", key(self._random.choice(self._stable)) | {"label": f"round={number}"})
        if number >= 20:
            self._ask("release", key(f"comes-{number - 20}"))

    def _ask(self, opcode, body):
        reply = self._connection.call(opcode, body, self._network)
        if reply.status != "OK":
            raise AssertionError(f"{opcode}: {reply}")

    def wait_for_more(self):
        """Returns once something has changed since the call."""
        with self._changed:
            before = self.changes
            self._changed.wait_for(lambda: self.fault or self.changes > before)

    def end(self):
        self._stopping = True
        self.join()


class Lists(ServerCase):
    def test_what_exists_throughout_is_listed_exactly_once_while_others_come_and_go(self):
        call = self.connect().call
        # The ids of subnets fall where their prefixes rise, so that the order shows which of them counts.
        network, *_ = self.network(call, "10.0.0.0/19", "10.0.32.0/19")
        stable = [f"stays-{number}" for number in range(STABLE)]
        expected = self.allocate_all(call, network, stable)
        changer = Changer(self.connect(), network, stable)
        changer.start()
        self.addCleanup(changer.end)
        body = listing(limit=PAGE_OBJECTS)
        listed = [
            each for page in pages(call, "allocation_list", body, network, changer.wait_for_more)
            for each in page["items"]
        ]
        changer.end()
        self.assertIsNone(changer.fault)
        self.assertGreaterEqual(changer.changes, STABLE // PAGE_OBJECTS)
        seen = {}
        for each in listed:
            seen.setdefault(each["owner"], []).append(each["address"])
        for owner, address in expected.items():
            self.assertEqual(seen.get(owner), [address])
        addresses = [int(ipaddress.ip_address(each["address"])) for each in listed]
        self.assertEqual(addresses, sorted(set(addresses)))

    def allocate_all(self, call, network, owners):
        """What each owner got."""
        addresses = {}
        for begin in range(0, len(owners), BATCH_ITEMS):
            some = owners[begin:begin + BATCH_ITEMS]
            items = [{"allocate": allocate(owner, strategy="random")} for owner in some]
            body = self.ok(call, "batch", {"mode": "independent", "items": items}, network)
            for owner, result in zip(some, body["results"]):
                addresses[owner_id(owner)] = result["allocated"]["first"]["address"]
        self.assertEqual(len(set(addresses.values())), len(owners))
        return addresses

    def test_filters_go_with_every_page(self):
        call = self.connect().call
        network, _ = self.network(call, "10.0.0.0/24")
        for number in range(60):
            label = "app=web,tier=front" if number % 3 == 0 else "app=db"
            self.ok(call, "allocate", allocate(f"pod-{number}", label=label), network)
        found = [
            each["owner"] for page in pages(call, "allocation_list", listing(limit=7, label="app=web"), network)
            for each in page["items"]
        ]
        self.assertEqual(sorted(found), sorted(owner_id(f"pod-{number}") for number in range(0, 60, 3)))

    def test_networks_are_listed_by_id_and_found_by_name(self):
        call = self.connect().call
        made = sorted(self.network(call)[0] for _ in range(25))
        listed = [
            each["network_id"] for page in pages(call, "network_list", listing(limit=10), None)
            for each in page["items"]
        ]
        self.assertEqual(listed, sorted(set(listed)))
        self.assertLessEqual(set(made), set(listed))

    def test_suspects_are_listed_in_pages_each_once(self):
        call = self.connect().call
        owners = [f"lost-{number}" for number in range(700)]
        networks = [self.network(call, "10.0.0.0/20")[0] for _ in range(3)]
        for number, network in enumerate(networks):
            some = owners[number::3]
            items = [{"allocate": allocate(owner, manager="pages", host=f"n{number % 2}")} for owner in some]
            self.ok(call, "batch", {"mode": "all_or_nothing", "items": items}, network)
        for host in ("n0", "n1"):
            body = {
                "manager": "pages", "host": host, "call": "1", "part": 0, "parts": 1, "grace_ms": 60_000,
                "dry_run": False,
            }
            self.ok(call, "reconcile", body, None)
        listed = list(pages(call, "suspect_list", {"manager": "pages"}, None))
        self.assertGreater(len(listed), 2)
        found = [each["owner"] for page in listed for each in page["allocations"]]
        self.assertEqual(sorted(found), sorted(owner_id(owner) for owner in owners))
        one = [each["owner"] for page in pages(call, "suspect_list", {}, networks[1]) for each in page["allocations"]]
        self.assertEqual(sorted(one), sorted(owner_id(owner) for owner in owners[1::3]))
        reply = call("suspect_list", {"cursor": "ff" * 47}, None)
        self.assertEqual((reply.status_class, reply.body["field"]), ("invalid", "cursor"))

    def test_a_cursor_that_no_server_made(self):
        call = self.connect().call
        network, _ = self.network(call, "10.0.0.0/24")
        reply = call("allocation_list", listing(cursor="ff" * 40), network)
        self.assertEqual((reply.status_class, reply.body["field"]), ("invalid", "cursor"))


if __name__ == "__main__":
    unittest.main()
