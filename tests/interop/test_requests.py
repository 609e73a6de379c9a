"""Requests of many kinds to a real server: many in flight, batches, settings that are unset or null, large counts."""

import contextlib
import ipaddress
import unittest

from addrd.asking import allocate, at, key, listing, objects, subnet
from addrd.owner import owner_id
from addrd.values import NO_ID
from server import ServerCase

IN_FLIGHT = 1_000
CONNECTIONS = 4
ROUNDS = 5


class InFlight(ServerCase):
    def test_a_thousand_requests_in_flight_each_get_their_own_reply(self):
        connections = [self.connect() for _ in range(CONNECTIONS)]
        call = connections[0].call
        network, _ = self.network(call, "10.0.0.0/16")
        first = int(ipaddress.ip_address("10.0.1.0"))
        addresses = [str(ipaddress.ip_address(first + number)) for number in range(ROUNDS * IN_FLIGHT)]
        for begin in range(0, len(addresses), IN_FLIGHT):
            wanted = addresses[begin:begin + IN_FLIGHT]
            self.in_flight(connections, network, wanted, lambda address: ("allocate", allocate(address, exact=address)))
            self.in_flight(connections, network, wanted, lambda address: ("allocation_get", key(address)))
        listed = objects(call, "allocation_list", listing(), network)
        self.assertEqual([each["address"] for each in listed], addresses)
        for each in listed:
            self.assertEqual(each["owner"], owner_id(each["address"]))

    def in_flight(self, connections, network, addresses, question):
        """Asks about all addresses before any reply is taken; each reply must be about its own address."""
        with contextlib.ExitStack() as paused:
            for connection in connections:
                paused.enter_context(connection.reading)
            futures = {}
            for number, address in enumerate(addresses):
                futures[address] = connections[number % len(connections)].submit(*question(address), network)
            self.assertEqual(sum(connection.waiting for connection in connections), IN_FLIGHT)
        for address, future in futures.items():
            reply = future.result()
            self.assertEqual(reply.status, "OK", reply.body)
            self.assertEqual(reply.body.get("first", reply.body)["address"], address)

    def test_order_of_one_connection_on_one_network(self):
        connection = self.connect()
        network, _ = self.network(connection.call, "10.0.0.0/24")
        asked = [
            connection.submit(*each, network) for each in (
                ("allocate", allocate("web-1")), ("lookup", {"owner": owner_id("web-1")}), ("release", key("web-1")),
                ("release", key("web-1")), ("lookup", {"owner": owner_id("web-1")}),
            )
        ]
        replies = [future.result() for future in asked]
        self.assertEqual([reply.status for reply in replies], ["OK", "OK", "OK", "NOT_HELD", "OK"])
        address = replies[0].body["first"]["address"]
        self.assertEqual([each["address"] for each in replies[1].body["allocations"]], [address])
        self.assertEqual(replies[2].body["address"], address)
        self.assertEqual(replies[4].body["allocations"], [])


class Leases(ServerCase):
    def setUp(self):
        self.call = self.connect().call
        self.net, _ = self.network(self.call, "10.0.0.0/24")

    def test_a_lease_goes_on_while_it_is_renewed_and_then_ends(self):
        given = self.ok(self.call, "allocate", allocate("web-1", lease_ms=60_000), self.net)["first"]
        self.assertTrue(0 < given["time_left_ms"] <= 60_000)
        renewed = self.ok(self.call, "renew", key("web-1") | {"lease_ms": 120_000}, self.net)
        self.assertEqual((renewed["address"], renewed["revision"]), (given["address"], given["revision"]))
        self.assertTrue(60_000 < renewed["time_left_ms"] <= 120_000)
        shorter = {"owner": owner_id("web-1"), "lease_ms": 1_000}
        counts = {"renewed": 1, "endless": 0, "expired": 0, "stale": 0}
        self.assertEqual(self.ok(self.call, "renew_owner", shorter, self.net), counts)
        while self.call("allocation_get", key("web-1"), self.net).status == "OK":
            pass
        for _ in range(2):
            self.assertEqual(self.call("renew", key("web-1") | {"lease_ms": 60_000}, self.net).status, "EXPIRED")

    def test_a_batch_renews_what_is_held(self):
        self.ok(self.call, "allocate", allocate("a", lease_ms=60_000), self.net)
        items = [{"renew": key(owner) | {"lease_ms": 60_000}} for owner in ("a", "nobody")]
        results = self.ok(self.call, "batch", {"mode": "independent", "items": items}, self.net)["results"]
        self.assertEqual(results[0]["renewed"]["address"], "10.0.0.2")
        self.assertEqual(results[1]["failed"]["status"], "EXPIRED")

    def test_an_owner_renews_in_all_networks(self):
        other, _ = self.network(self.call, "10.1.0.0/24")
        for net in (self.net, other):
            self.ok(self.call, "allocate", allocate("roaming", lease_ms=60_000), net)
        all_of = {"owner": owner_id("roaming"), "lease_ms": 120_000}
        counts = {"renewed": 2, "endless": 0, "expired": 0, "stale": 0}
        self.assertEqual(self.ok(self.call, "renew_owner", all_of, NO_ID), counts)
        self.assertEqual(self.call("renew_owner", all_of | {"owner": owner_id("nobody")}, NO_ID).status, "EXPIRED")

    def test_a_lease_out_of_range_is_refused(self):
        for lease_ms in (999, 315_360_000_001):
            body = allocate("a") | {"lease_ms": lease_ms}
            self.assertEqual(self.call("allocate", body, self.net).status, "OUT_OF_RANGE")


class Transfers(ServerCase):
    def setUp(self):
        self.call = self.connect().call
        self.net, _ = self.network(self.call, "10.0.0.0/24")
        self.given = self.ok(self.call, "allocate", allocate("web-1", lease_ms=60_000), self.net)["first"]
        self.fences = {"address": self.given["address"], "revision": self.given["revision"]}

    def test_an_address_changes_hands_and_late_messages_are_harmless(self):
        transfer = self.fences | {"to_owner": owner_id("web-2"), "owner_name": "web-2"}
        now = self.ok(self.call, "transfer", transfer, self.net)
        self.assertEqual((now["address"], now["owner"]), (self.given["address"], owner_id("web-2")))
        self.assertTrue(0 < now["time_left_ms"] <= 60_000)
        self.assertNotEqual(now["revision"], self.given["revision"])
        self.assertTrue(self.ok(self.call, "transfer", transfer, self.net)["repeated"])
        late = {"target": {"address": self.given["address"]}, "revision": self.given["revision"]}
        self.assertEqual(self.call("release", late, self.net).status, "STALE")
        self.assertEqual(self.call("release", key("web-1"), self.net).status, "NOT_HELD")
        self.assertEqual(self.call("transfer", transfer | {"to_owner": owner_id("c")}, self.net).status, "STALE")

    def test_a_key_that_holds_something_is_in_the_way_in_a_batch_too(self):
        self.ok(self.call, "allocate", allocate("web-2"), self.net)
        refused = self.call("transfer", self.fences | {"to_owner": owner_id("web-2")}, self.net)
        self.assertEqual((refused.status, refused.body["field"]), ("KEY_IN_USE", "to_owner"))
        items = [{"transfer": self.fences | {"to_slot": 3}}, {"transfer": self.fences | {"to_instance": "7"}}]
        results = self.ok(self.call, "batch", {"mode": "independent", "items": items}, self.net)["results"]
        self.assertEqual(results[0]["updated"]["slot"], 3)
        self.assertEqual(results[1]["failed"]["status"], "STALE")


class Holds(ServerCase):
    TOKEN, OTHER = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"

    def setUp(self):
        self.call = self.connect().call
        self.net, self.subnet = self.network(self.call, "10.0.0.0/24")

    def hold(self, owner, **more):
        given = self.ok(self.call, "allocate", allocate(owner, hold_token=self.TOKEN, **more), self.net)["first"]
        return given, key(owner) | {"revision": given["revision"], "token": self.TOKEN}

    def test_a_hold_is_confirmed_or_cancelled_by_its_token(self):
        given, end = self.hold("web-1", hold_ms=30_000)
        self.assertEqual(given["state"], "held")
        self.assertTrue(0 < given["time_left_ms"] <= 30_000)
        other = self.call("hold_confirm", end | {"token": self.OTHER}, self.net)
        self.assertEqual((other.status, other.body["field"]), ("OTHER_TOKEN", "token"))
        self.assertEqual(self.call("hold_confirm", end | {"revision": "1"}, self.net).status, "STALE")
        done = self.ok(self.call, "hold_confirm", end, self.net)
        self.assertEqual((done["address"], done["revision"]), (given["address"], given["revision"]))
        self.assertEqual((done["state"], done["repeated"], done["late"]), ("allocated", False, False))
        self.assertTrue(self.ok(self.call, "hold_confirm", end, self.net)["repeated"])
        self.assertEqual(self.call("hold_cancel", end, self.net).status, "HOLD_CONFIRMED")
        given, end = self.hold("web-2")
        by_address = {"target": {"address": given["address"]}, "revision": given["revision"], "token": self.TOKEN}
        self.assertEqual(self.ok(self.call, "hold_cancel", by_address, self.net)["state"], "free")
        self.assertEqual(self.call("hold_cancel", end, self.net).status, "NOT_HELD")
        self.assertEqual(self.call("hold_confirm", end, self.net).status, "HOLD_OVER")

    def test_what_ran_out_is_confirmed_late(self):
        given, end = self.hold("web-1", hold_ms=1_000)
        while self.call("allocation_get", key("web-1"), self.net).status == "OK":
            pass
        done = self.ok(self.call, "hold_confirm", end, self.net)
        self.assertEqual((done["late"], done["revision"]), (True, given["revision"]))

    def test_many_holds_end_in_one_frame(self):
        (_, one), (_, two) = self.hold("a"), self.hold("b")
        items = [{"hold_confirm": one}, {"hold_confirm": one | key("c")}, {"hold_cancel": two}, {"hold_cancel": two}]
        results = self.ok(self.call, "batch", {"mode": "independent", "items": items}, self.net)["results"]
        self.assertEqual(results[0]["hold_ended"]["state"], "allocated")
        self.assertEqual(results[1]["failed"]["status"], "HOLD_OVER")
        self.assertEqual(results[2]["hold_ended"]["state"], "free")
        self.assertIn("not_held", results[3])

    def test_a_release_is_held_until_it_is_confirmed(self):
        given = self.ok(self.call, "allocate", allocate("web-1"), self.net)["first"]
        release = key("web-1") | {"token": self.TOKEN, "hold_ms": 30_000}
        end = key("web-1") | {"revision": given["revision"], "token": self.TOKEN, "release": True}
        self.assertEqual(self.ok(self.call, "hold_release", release, self.net)["state"], "allocated")
        self.assertTrue(self.ok(self.call, "hold_release", release, self.net)["repeated"])
        self.assertEqual(self.call("allocate", allocate("web-1"), self.net).status, "OTHER_TOKEN")
        self.assertEqual(self.ok(self.call, "hold_cancel", end, self.net)["state"], "allocated")
        self.assertEqual(self.call("hold_confirm", end, self.net).status, "HOLD_OVER")
        self.ok(self.call, "hold_release", release, self.net)
        self.assertNotEqual(self.ok(self.call, "hold_confirm", end, self.net)["state"], "allocated")
        self.assertEqual(self.call("hold_confirm", end, self.net).status, "NOT_HELD")

    def test_what_does_not_go_with_a_hold_is_refused(self):
        for extra in ({"hold_ms": 5_000}, {"hold_token": self.TOKEN, "lease_ms": 5_000}):
            self.assertEqual(self.call("allocate", allocate("a", **extra), self.net).status, "CONFLICTING_FIELDS")
        for hold_ms in (999, 315_360_000_001):
            body = allocate("a", hold_token=self.TOKEN, hold_ms=hold_ms)
            self.assertEqual(self.call("allocate", body, self.net).status, "OUT_OF_RANGE")


class Rests(ServerCase):
    def setUp(self):
        self.call = self.connect().call
        self.net, self.subnet = self.network(self.call, "10.0.0.0/30", quarantine_ms=30_000)

    def test_what_is_released_rests_and_comes_back_to_its_owner_alone(self):
        self.ok(self.call, "allocate", allocate("web-1"), self.net)
        self.assertEqual(self.ok(self.call, "release", key("web-1"), self.net)["state"], "quarantined")
        full = self.call("allocate", allocate("web-2"), self.net)
        self.assertEqual(full.status, "EXHAUSTED")
        candidate = full.body["details"][0]["candidate"]
        self.assertEqual((candidate["allocated"], candidate["quarantined"]), ("0", "1"))
        self.assertTrue(0 < candidate["next_free_in_ms"] <= 30_000)
        resting = self.call("allocate", allocate("web-2", exact="10.0.0.2"), self.net)
        self.assertEqual(resting.status, "ADDRESS_RESTING")
        self.assertEqual(self.call("allocation_get", at("10.0.0.2"), self.net).status, "NOT_FOUND")
        shown = self.ok(self.call, "lookup", {"address": "10.0.0.2"}, self.net)["allocations"]
        self.assertEqual([each["state"] for each in shown], ["quarantined"])
        back = self.ok(self.call, "allocate", allocate("web-1"), self.net)["first"]
        self.assertEqual((back["address"], back["from_quarantine"]), ("10.0.0.2", True))
        self.ok(self.call, "release", key("web-1"), self.net)
        taken = self.ok(self.call, "allocate", allocate("web-2", flags={"allow_resting": True}), self.net)["first"]
        self.assertEqual((taken["address"], taken["from_quarantine"]), ("10.0.0.2", True))

    def test_a_subnet_says_how_long_and_can_be_told_otherwise(self):
        other = subnet("00000000-0000-4000-8000-000000000009", "10.0.9.0/24")
        del other["quarantine_ms"]
        self.assertEqual(self.ok(self.call, "subnet_create", other, self.net)["quarantine_ms"], 30_000)
        change = {"subnet_id": self.subnet, "expected": "0", "quarantine_ms": 0}
        self.assertEqual(self.ok(self.call, "subnet_update", change, self.net)["quarantine_ms"], 0)
        self.ok(self.call, "allocate", allocate("web-1"), self.net)
        self.assertEqual(self.ok(self.call, "release", key("web-1"), self.net)["state"], "free")
        too_long = change | {"quarantine_ms": 31_536_000_001}
        self.assertEqual(self.call("subnet_update", too_long, self.net).status, "OUT_OF_RANGE")


class Batches(ServerCase):
    def setUp(self):
        self.call = self.connect().call
        self.net, _ = self.network(self.call, "10.0.0.0/24")
        self.ok(self.call, "allocate", allocate("other", exact="10.0.0.50"), self.net)

    def items(self):
        """Three of the six are refused, each for a reason of its own."""
        return [
            {"allocate": allocate("a", exact="10.0.0.10")},
            {"allocate": allocate("b", exact="10.0.0.50")},
            {"release": key("nobody")},
            {"update": key("nobody") | {"label": "app=web"}},
            {"release": at("10.0.0.50") | {"revision": "1"}},
            {"allocate": allocate("c", exact="10.0.0.11")},
        ]

    def test_each_item_has_a_result_of_its_own(self):
        body = self.ok(self.call, "batch", {"mode": "independent", "items": self.items()}, self.net)
        results = body["results"]
        self.assertEqual(results[0]["allocated"]["first"]["address"], "10.0.0.10")
        self.assertEqual(results[1]["failed"]["status"], "ADDRESS_TAKEN")
        self.assertEqual(results[2], "not_held")
        self.assertEqual(results[3]["failed"]["status"], "NOT_FOUND")
        self.assertEqual(results[4]["failed"]["status"], "STALE")
        self.assertEqual(results[5]["allocated"]["first"]["address"], "10.0.0.11")
        [held] = [detail["held"] for detail in results[1]["failed"]["details"] if "held" in detail]
        self.assertEqual(held["owner"], owner_id("other"))
        [current] = [detail["current"] for detail in results[4]["failed"]["details"] if "current" in detail]
        self.assertEqual(current["revision"], held["revision"])
        self.assertEqual(self.addresses(), ["10.0.0.10", "10.0.0.11", "10.0.0.50"])

    def test_all_or_nothing_names_the_item_and_does_nothing(self):
        reply = self.call("batch", {"mode": "all_or_nothing", "items": self.items()}, self.net)
        self.assertEqual((reply.status, reply.body.get("item")), ("ADDRESS_TAKEN", 1))
        self.assertEqual(self.addresses(), ["10.0.0.50"])

    def test_a_batch_sent_again_repeats_what_it_did(self):
        items = [{"allocate": allocate(f"pod-{number}")} for number in range(200)]
        first, again = (self.ok(self.call, "batch", {"mode": "independent", "items": items}, self.net) for _ in "12")
        for one, two in zip(first["results"], again["results"]):
            self.assertFalse(one["allocated"]["first"]["repeated"])
            self.assertTrue(two["allocated"]["first"]["repeated"])
            for name in ("address", "revision"):
                self.assertEqual(one["allocated"]["first"][name], two["allocated"]["first"][name])

    def addresses(self):
        return [each["address"] for each in objects(self.call, "allocation_list", listing(), self.net)]


class Transactions(ServerCase):
    def setUp(self):
        self.call = self.connect().call
        self.front, _ = self.network(self.call, "10.1.0.0/24")
        self.tight, _ = self.network(self.call, "10.2.0.0/30")

    def items(self, owner):
        return [{"network": network, "operation": {"allocate": allocate(owner)}} for network in (self.front, self.tight)]

    def held(self, network):
        return [each["address"] for each in objects(self.call, "allocation_list", listing(), network)]

    def test_all_networks_or_none(self):
        done = self.ok(self.call, "transaction", {"items": self.items("pod-1")}, NO_ID)
        addresses = [each["allocated"]["first"]["address"] for each in done["results"]]
        self.assertEqual(addresses, ["10.1.0.2", "10.2.0.2"])
        again = self.ok(self.call, "transaction", {"items": self.items("pod-1")}, NO_ID)
        self.assertTrue(all(each["allocated"]["first"]["repeated"] for each in again["results"]))
        reply = self.call("transaction", {"items": self.items("pod-2")}, NO_ID)
        self.assertEqual((reply.status, reply.body["item"]), ("EXHAUSTED", 1))
        self.assertEqual((self.held(self.front), self.held(self.tight)), (["10.1.0.2"], ["10.2.0.2"]))
        exchange = [{"network": self.tight, "operation": {"release": key("pod-1")}}, *self.items("pod-2")]
        done = self.ok(self.call, "transaction", {"items": exchange}, NO_ID)
        self.assertEqual(done["results"][2]["allocated"]["first"]["address"], "10.2.0.2")

    def test_what_follows_on_its_networks_is_decided_after_it(self):
        connection = self.connect()
        for number in range(50):
            asked = [
                connection.submit("transaction", {"items": self.items(f"pod-{number}")}, NO_ID),
                connection.submit("lookup", {"owner": owner_id(f"pod-{number}")}, self.tight),
                connection.submit("release", key(f"pod-{number}"), self.tight),
            ]
            done, found, released = (future.result() for future in asked)
            self.assertEqual((done.status, len(found.body["allocations"]), released.status), ("OK", 1, "OK"))


class Settings(ServerCase):
    def setUp(self):
        self.call = self.connect().call
        self.net, self.front = self.network(self.call, "10.0.0.0/24")

    def subnet_now(self):
        return self.ok(self.call, "subnet_get", {"subnet": {"id": self.front}}, self.net)

    def update(self, **more):
        return self.ok(self.call, "subnet_update", {"subnet_id": self.front, "expected": "0"} | more, self.net)

    def test_a_gateway_is_automatic_then_none_then_left_then_a_value(self):
        self.assertEqual(self.subnet_now()["gateway"], "10.0.0.1")
        self.assertNotIn("gateway", self.update(gateway=None))
        self.assertNotIn("gateway", self.update(description="no way out"))
        self.assertNotIn("gateway", self.subnet_now())
        self.assertEqual(self.update(gateway="10.0.0.1")["gateway"], "10.0.0.1")
        self.assertEqual(self.update(description=None)["gateway"], "10.0.0.1")
        self.assertEqual(self.subnet_now()["gateway"], "10.0.0.1")
        self.assertNotIn("description", self.subnet_now())

    def test_a_gateway_at_creation(self):
        cases = {
            "10.1.0.0/24": ({"gateway": None}, None), "10.2.0.0/24": ({"gateway": "10.2.0.254"}, "10.2.0.254"),
            "10.3.0.0/24": ({}, "10.3.0.1"), "fd00:64::/64": ({}, "fd00:64::1"),
        }
        for number, (cidr, (given, expected)) in enumerate(cases.items()):
            body = subnet(f"00000000-0000-4000-8000-{number:012}", cidr, **given)
            self.assertEqual(self.ok(self.call, "subnet_create", body, self.net).get("gateway"), expected)
            got = self.ok(self.call, "subnet_get", {"subnet": {"cidr": cidr}}, self.net)
            self.assertEqual(got.get("gateway"), expected)

    def test_lists_are_set_emptied_and_left(self):
        servers = ["10.0.0.53", "fd00:64::53"]
        routes = [{"destination": "0.0.0.0/0", "next_hop": "10.0.0.1"}]
        self.assertEqual(self.update(dns_servers=servers, routes=routes)["dns_servers"], servers)
        left = self.update(dns_servers=[])
        self.assertEqual((left["dns_servers"], left["routes"]), ([], routes))
        self.assertEqual(self.update(routes=None)["routes"], [])
        self.assertEqual(self.update(pools=[])["pools"], [])
        self.assertEqual(self.update(pools=None)["pools"], [{"first": "10.0.0.2", "last": "10.0.0.254"}])

    def test_a_label_is_set_and_cleared(self):
        self.ok(self.call, "allocate", allocate("web-1", label="app=web", host="node-7"), self.net)
        cleared = self.ok(self.call, "allocation_update", key("web-1") | {"label": None}, self.net)
        self.assertNotIn("label", cleared)
        self.assertEqual(cleared["host"], "node-7")
        empty = self.ok(self.call, "allocation_update", key("web-1") | {"label": ""}, self.net)
        self.assertEqual(empty["label"], "")
        self.assertEqual(self.ok(self.call, "allocation_get", key("web-1"), self.net)["label"], "")

    def test_the_settings_of_the_subnet_come_with_an_address(self):
        self.update(dns_servers=["10.0.0.53"], routes=[{"destination": "10.0.0.0/8", "next_hop": "10.0.0.1"}])
        body = allocate("web-1", flags={"want_subnet": True})
        [settings] = self.ok(self.call, "allocate", body, self.net)["settings"]
        self.assertEqual(settings, {
            "gateway": "10.0.0.1", "dns_servers": ["10.0.0.53"],
            "routes": [{"destination": "10.0.0.0/8", "next_hop": "10.0.0.1"}],
        })


class Counts(ServerCase):
    def test_counts_beyond_64_bits(self):
        call = self.connect().call
        network, _ = self.network(call, "fd00:64:1::/48", kind="routed")
        self.ok(call, "allocate", allocate("web-1"), network)
        body = self.ok(call, "usage", {}, network)
        self.assertEqual(body["network_id"], network)
        [usage] = body["subnets"]
        parts = ("free", "held", "allocated", "quarantined", "excluded", "pinned")
        self.assertEqual(int(usage["size"]), 1 << 80)
        self.assertEqual(int(usage["pool_size"]), 1 << 80)
        self.assertEqual(int(usage["free"]), (1 << 80) - 1)
        self.assertEqual(sum(int(usage[part]) for part in parts), int(usage["pool_size"]))
        self.assertTrue(body["whole"])
        [totals] = body["totals"]
        self.assertEqual((totals["family"], totals["subnets"]), ("v6", 1))
        self.assertEqual({part: totals[part] for part in parts}, {part: usage[part] for part in parts})

    def test_who_polls_learns_what_changed_and_what_is_gone(self):
        call = self.connect().call
        network, front = self.network(call, "10.0.0.0/24")
        since = self.ok(call, "usage", {}, network)["revision"]
        polled = self.ok(call, "usage", {"changed_since": since}, network)
        self.assertEqual((polled["whole"], polled["subnets"], polled["gone"]), (False, [], []))
        self.ok(call, "allocate", allocate("web-1"), network)
        [changed] = self.ok(call, "usage", {"changed_since": since}, network)["subnets"]
        self.assertEqual((changed["subnet_id"], changed["allocated"]), (front, "1"))
        totals = self.ok(call, "usage", {"totals_only": True, "family": "v4"}, network)
        self.assertEqual((totals["subnets"], totals["totals"][0]["allocated"]), ([], "1"))
        self.assertEqual(self.ok(call, "usage", {"family": "v6"}, network)["totals"], [])
        self.ok(call, "release", key("web-1"), network)
        self.ok(call, "subnet_delete", {"subnet_id": front}, network)
        polled = self.ok(call, "usage", {"changed_since": since}, network)
        self.assertEqual((polled["whole"], polled["subnets"], polled["gone"]), (False, [], [front]))

    def test_free_ranges_of_a_large_subnet(self):
        call = self.connect().call
        network, front = self.network(call, "fd00:64:2::/48", kind="routed")
        self.ok(call, "allocate", allocate("web-1", exact="fd00:64:2::100"), network)
        body = self.ok(call, "free_ranges", {"limit": 0, "subnet": {"id": front}}, network)
        self.assertEqual(body["ranges"], [
            {"first": "fd00:64:2::", "last": "fd00:64:2::ff"},
            {"first": "fd00:64:2::101", "last": "fd00:64:2:ffff:ffff:ffff:ffff:ffff"},
        ])
        self.assertNotIn("next", body)

    def test_exhaustion_names_every_candidate_with_its_counts(self):
        call = self.connect().call
        network, small, large = self.network(call, "10.0.0.0/30", "fd00:64:3::/64")
        self.ok(call, "allocate", allocate("web-1", family="v4"), network)
        reply = call("allocate", allocate("web-2", family="v4", subnets=[small, large]), network)
        self.assertEqual(reply.status, "EXHAUSTED")
        candidates = {each["candidate"]["subnet_id"]: each["candidate"] for each in reply.body["details"]}
        self.assertEqual(set(candidates), {small, large})
        self.assertEqual((candidates[small]["pool_size"], candidates[small]["allocated"]), ("1", "1"))
        self.assertEqual((candidates[small]["reason"], candidates[large]["reason"]), ("exhausted", "family"))


if __name__ == "__main__":
    unittest.main()
