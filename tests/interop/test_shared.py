"""What projects lend each other, networks and subnet pools, asked of a real server."""

import functools
import uuid

from addrd.asking import allocate, at, key, listing, objects, subnet
from addrd.connection import Connection
from addrd.owner import owner_id
from addrd.values import NO_ID
from server import Server, ServerCase
from test_neutron import NeutronCase, numbered, port

SHARE, UNSHARE = ({"expected": "0", "shared": shared} for shared in (True, False))


class Lent(NeutronCase):
    """A network and a pool of one project, and two projects that are guests there."""

    def setUp(self):
        self.connection = self.connect()
        self.home, self.ann, self.bob = (self.project() for _ in range(3))
        self.net = str(uuid.uuid4())
        self.ok(self.by(self.home), "network_create", {"shared": True, "name": f"lent-{self.net[:8]}"}, self.net)
        self.ok(self.by(self.home), "subnet_create", subnet(numbered(1), "10.0.0.0/29"), self.net)

    def project(self):
        project = str(uuid.uuid4())
        self.ok(functools.partial(self.connection.call, project=project), "project_create", {}, NO_ID)
        return project

    def by(self, project):
        """How a project asks about what is of `home`'s network."""
        if project == self.home:
            return functools.partial(self.connection.call, project=project)
        return functools.partial(self.connection.call, project=project, network_project=self.home)

    def own(self, project):
        """How a project asks about what is its own, or a pool that is lent to it."""
        return functools.partial(self.connection.call, project=project)

    def got(self, project, opcode, body):
        return self.ok(self.by(project), opcode, body, self.net)

    def not_got(self, status, project, opcode, body):
        reply = self.by(project)(opcode, body, self.net)
        self.assertEqual(reply.status, status, (opcode, reply.body))
        return reply.body

    def take(self, project, owner, **more):
        return self.got(project, "allocate", allocate(owner, **more))["first"]

    def list(self, project):
        return objects(self.by(project), "allocation_list", listing(), self.net)


class Networks(Lent):
    def test_each_project_has_its_own_and_sees_its_own(self):
        held = {project: self.take(project, "web-1", label=f"of={project}") for project in (self.home, self.ann, self.bob)}
        self.assertEqual(len({each["address"] for each in held.values()}), 3, "one owner in three projects is three")
        for guest in (self.ann, self.bob):
            own, = self.list(guest)
            self.assertEqual((own["address"], own["project_id"]), (held[guest]["address"], guest))
            self.assertEqual((own["network_project"], own["label"]), (self.home, f"of={guest}"))
            self.assertTrue(self.take(guest, "web-1")["repeated"])
        seen = {each["address"]: each for each in self.list(self.home)}
        self.assertEqual(len(seen), 3)
        for guest in (self.ann, self.bob):
            shown = seen[held[guest]["address"]]
            self.assertEqual((shown["project_id"], shown["revision"]), (guest, held[guest]["revision"]))
            self.assertEqual(shown["owner"], NO_ID, "whose project, and nothing else")
            self.assertFalse({"label", "owner_name", "host"} & shown.keys())
        self.assertEqual(seen[held[self.home]["address"]]["owner"], owner_id("web-1"))

    def test_what_another_has_is_only_taken(self):
        mine = self.take(self.bob, "web-1", exact="10.0.0.5", strategy="exact")
        for other in (self.ann, self.home):
            taken = self.not_got("ADDRESS_TAKEN", other, "allocate", allocate("a", exact="10.0.0.5", strategy="exact"))
            self.assertNotIn("details", taken)
        reply = self.by(self.ann)("release", at("10.0.0.5") | {"any": True}, self.net)
        self.assertEqual(reply.status, "NOT_HELD")
        self.not_got("NOT_HOLDER", self.home, "release", at("10.0.0.5") | {"any": True})
        self.assertEqual(self.by(self.ann)("release", key("web-1"), self.net).status, "NOT_HELD")
        self.not_got("NOT_FOUND", self.ann, "allocation_get", at("10.0.0.5"))
        still = self.take(self.bob, "web-1")
        self.assertEqual((still["revision"], still["repeated"]), (mine["revision"], True))

    def test_counts_are_those_of_all(self):
        for project in (self.home, self.ann, self.bob):
            self.take(project, "web-1")
        for project in (self.home, self.ann, self.bob):
            counts, = self.got(project, "usage", {})["subnets"]
            self.assertEqual((counts["allocated"], counts["free"]), ("3", "2"))
        for number in (1, 2):
            self.take(self.ann, f"more-{number}")
        for project in (self.home, self.ann, self.bob):
            full = self.not_got("EXHAUSTED", project, "allocate", allocate("one-more"))
            candidate, = (each["candidate"] for each in full["details"])
            self.assertEqual(candidate["allocated"], "5")

    def test_it_stays_shared_while_a_guest_has_something(self):
        self.take(self.ann, "web-1")
        refused = self.not_got("IN_USE", self.home, "network_update", UNSHARE)
        self.assertEqual(refused["details"], [{"count": {"count": "1"}}])
        reply = self.own(self.ann)("project_delete", {"expected": "0"}, NO_ID)
        self.assertEqual(reply.status, "IN_USE", reply.body)
        self.got(self.ann, "port_create", port(1, fixed_ips=[]))
        self.got(self.ann, "release", key("web-1"))
        self.not_got("IN_USE", self.home, "network_update", UNSHARE)
        self.got(self.ann, "port_delete", {"port_id": numbered(1), "expected": "0"})
        self.got(self.home, "network_update", UNSHARE)
        self.not_got("NOT_FOUND", self.ann, "network_get", {})
        self.not_got("NOT_FOUND", self.ann, "allocate", allocate("web-1"))
        self.got(self.home, "network_update", SHARE)
        self.take(self.ann, "web-1")

    def test_guests_change_nothing_of_the_network(self):
        for opcode, body in (
            ("network_update", UNSHARE), ("network_delete", {"expected": "0"}),
            ("subnet_create", subnet(numbered(2), "10.0.1.0/24")), ("subnet_delete", {"subnet_id": numbered(1), "expected": "0"}),
            ("subnet_onboard", {"subnet_pool_id": numbered(9), "expected": "0"}),
            ("pin_create", {"address": "10.0.0.5", "owner": owner_id("a"), "slot": 0}),
        ):
            self.assertEqual(self.not_got("UNSUPPORTED", self.ann, opcode, body)["field"], "flags", opcode)

    def test_a_deletion_that_would_release_what_guests_have_has_to_be_forced(self):
        held = self.take(self.ann, "web-1")
        gone = {"subnet_id": numbered(1), "expected": "0"}
        refused = self.not_got("IN_USE", self.home, "subnet_delete", gone)
        shown, = (each["held"] for each in refused["details"] if "held" in each)
        self.assertEqual((shown["address"], shown["project_id"], shown["owner"]), (held["address"], self.ann, NO_ID))
        self.not_got("IN_USE", self.home, "network_delete", {"expected": "0"})
        self.assertEqual(len(self.list(self.ann)), 1)
        self.got(self.ann, "release", key("web-1"))
        self.got(self.home, "subnet_delete", gone)

    def test_ports_are_named_for_each_project_and_macs_for_the_wire(self):
        mac = "fa:16:3e:00:0a:ff"
        first = self.got(self.ann, "port_create", port(1, mac=mac))
        self.not_got("MAC_IN_USE", self.bob, "port_create", port(1, mac=mac))
        second = self.got(self.bob, "port_create", port(1))
        self.assertNotEqual(first["fixed_ips"][0]["ip_address"], second["fixed_ips"][0]["ip_address"])
        for guest, made in ((self.ann, first), (self.bob, second)):
            listed, = objects(self.by(guest), "port_list", listing(), self.net)
            self.assertEqual(listed["mac"], made["mac"])
        self.assertEqual(objects(self.by(self.home), "port_list", listing(), self.net), [])
        self.got(self.ann, "port_delete", {"port_id": numbered(1), "expected": "0"})
        self.assertEqual(self.got(self.bob, "port_get", {"port_id": numbered(1)})["fixed_ips"], second["fixed_ips"])

    def test_a_batch_of_a_guest_is_all_its_own(self):
        self.take(self.home, "a")
        items = [{"allocate": allocate(f"node-{number}")} for number in range(5)]
        failed = self.not_got("EXHAUSTED", self.ann, "batch", {"mode": "all_or_nothing", "items": items})
        self.assertEqual((failed["item"], self.list(self.ann)), (4, []))
        self.got(self.home, "network_update", UNSHARE)
        self.got(self.home, "network_update", SHARE)
        self.got(self.ann, "batch", {"mode": "all_or_nothing", "items": items[:4]})
        self.assertEqual({each["project_id"] for each in self.list(self.ann)}, {self.ann})

    def test_a_shared_network_is_found_by_its_name_and_says_whose_it_is(self):
        shown = [each for each in objects(self.own(self.ann), "network_list", listing(), NO_ID) if each["network_id"] == self.net]
        self.assertEqual([each["project_id"] for each in shown], [self.home])
        self.got(self.home, "network_update", UNSHARE)
        shown = objects(self.own(self.ann), "network_list", listing(), NO_ID)
        self.assertNotIn(self.net, [each["network_id"] for each in shown])


class AcrossKills(ServerCase):
    def test_what_a_guest_has_is_its_own_after_a_kill(self):
        server = Server()
        self.addCleanup(server.close)
        home, guest, net = (str(uuid.uuid4()) for _ in range(3))

        def ask(project, opcode, body, network=net, **header):
            with Connection(server.address) as connection:
                reply = connection.call(opcode, body, network, project=project, **header)
            self.assertEqual(reply.status, "OK", (opcode, reply.body))
            return reply.body
        for project in (home, guest):
            ask(project, "project_create", {}, NO_ID)
        ask(home, "network_create", {"shared": True})
        ask(home, "subnet_create", subnet(numbered(1), "10.0.0.0/29"))
        ask(home, "allocate", allocate("web-1"))
        before = ask(guest, "allocate", allocate("web-1"), network_project=home)["first"]
        made = ask(guest, "port_create", port(1), network_project=home)
        server.kill()
        server.start()
        after = ask(guest, "allocate", allocate("web-1"), network_project=home)["first"]
        self.assertEqual((after["address"], after["revision"], after["repeated"]), (before["address"], before["revision"], True))
        again = ask(guest, "port_get", {"port_id": numbered(1)}, network_project=home)
        self.assertEqual(again["fixed_ips"], made["fixed_ips"])
        owners = {each["address"]: each["owner"] for each in ask(home, "allocation_list", listing())["items"]}
        self.assertEqual(owners, {"10.0.0.2": owner_id("web-1")} | {
            address: NO_ID for address in (before["address"], made["fixed_ips"][0]["ip_address"])
        })


class Pools(Lent):
    def setUp(self):
        super().setUp()
        self.pool = str(uuid.uuid4())
        create = {"family": "v4", "prefixes": ["10.0.0.0/22"], "default_length": 24, "shared": True}
        self.ok(self.own(self.home), "pool_create", create, self.pool)

    def batch(self, project, mode, *items):
        return self.own(project)("batch", {"mode": mode, "items": list(items)}, self.pool, pool=True)

    def prefixes(self, project):
        call = functools.partial(self.own(project), pool=True)
        return [each["address"] for each in objects(call, "allocation_list", listing(), self.pool)]

    def taken(self):
        return self.ok(self.own(self.home), "pool_get", {}, self.pool)["taken"]

    def test_a_batch_again_is_repeated_and_has_updates_and_releases(self):
        make = [{"allocate": allocate(f"node-{number}")} for number in (1, 2)]
        first = self.batch(self.home, "all_or_nothing", *make).body["results"]
        again = self.batch(self.home, "all_or_nothing", *make).body["results"]
        for before, after in zip(first, again):
            before, after = before["allocated"]["first"], after["allocated"]["first"]
            self.assertEqual((after["address"], after["revision"]), (before["address"], before["revision"]))
            self.assertTrue(after["repeated"])
        revision = first[0]["allocated"]["first"]["revision"]
        update = {"update": key("node-1") | {"revision": revision, "label": "role=node"}}
        results = self.batch(self.home, "independent", update, {"release": key("node-2")}, {"release": key("node-9")}).body["results"]
        self.assertEqual(results[0]["updated"]["label"], "role=node")
        self.assertEqual(results[1]["released"]["address"], "10.0.1.0")
        self.assertEqual(results[2], "not_held")
        self.assertEqual(self.prefixes(self.home), ["10.0.0.0"])

    def test_a_batch_that_is_refused_takes_nothing_and_gives_nothing_back(self):
        self.batch(self.home, "all_or_nothing", {"allocate": allocate("node-1")})
        for status, item in (
            ("PREFIX_TAKEN", {"allocate": allocate("node-3", length=24, exact="10.0.2.0", strategy="exact")}),
            ("LENGTH_BELOW_MIN", {"allocate": allocate("node-3", length=7)}),
            ("STALE", {"release": key("node-2") | {"revision": "1"}}),
            ("UNSUPPORTED", {"port_create": port(1)}),
        ):
            more = {"allocate": allocate("node-2", length=24, exact="10.0.2.0", strategy="exact")}
            reply = self.batch(self.home, "all_or_nothing", {"release": key("node-1")}, more, item)
            self.assertEqual((reply.status, reply.body["item"]), (status, 2), reply.body)
            self.assertEqual((self.prefixes(self.home), self.taken()), (["10.0.0.0"], 1))

    def test_projects_have_prefixes_of_a_shared_pool_each_for_itself(self):
        items = [{"allocate": allocate("node-1")}, {"allocate": allocate("node-2")}]
        for guest in (self.ann, self.bob):
            self.assertEqual(self.batch(guest, "all_or_nothing", *items).status, "OK")
        self.assertEqual(self.batch(self.home, "all_or_nothing", items[0]).status, "POOL_EXHAUSTED")
        self.assertEqual(self.prefixes(self.ann), ["10.0.0.0", "10.0.1.0"])
        self.assertEqual(self.prefixes(self.bob), ["10.0.2.0", "10.0.3.0"])
        reply = self.own(self.home)("pool_update", UNSHARE, self.pool)
        self.assertEqual(reply.status, "POOL_IN_USE", reply.body)
        results = self.batch(self.ann, "independent", {"release": at("10.0.2.0") | {"any": True}}).body["results"]
        self.assertEqual((results, self.taken()), (["not_held"], 4))

    def onboard(self, project, network):
        body = {"subnet_pool_id": self.pool, "expected": "0"}
        return self.own(project)("subnet_onboard", body, network)

    def net_of(self, project, *cidrs):
        network = str(uuid.uuid4())
        self.ok(self.own(project), "network_create", {}, network)
        for number, cidr in enumerate(cidrs, 1):
            self.ok(self.own(project), "subnet_create", subnet(numbered(number), cidr), network)
        return network

    def test_onboarding_takes_all_subnets_of_a_family_or_none(self):
        network = self.net_of(self.home, "10.0.0.0/24", "10.0.1.0/24", "fd00::/64")
        self.batch(self.home, "all_or_nothing", {"allocate": allocate("node-1", length=25, exact="10.0.1.128", strategy="exact")})
        refused = self.onboard(self.home, network)
        self.assertEqual((refused.status, self.taken()), ("PREFIX_TAKEN", 1))
        self.batch(self.home, "all_or_nothing", {"release": key("node-1")})
        moved = self.onboard(self.home, network)
        self.assertEqual((moved.status, moved.body["taken"]), ("OK", 2))
        subnets = objects(self.own(self.home), "subnet_list", listing(), network)
        self.assertEqual([each.get("subnet_pool_id") for each in subnets], [self.pool, self.pool, None])

    def test_the_creation_of_a_subnet_that_was_onboarded_is_repeated(self):
        network = self.net_of(self.home, "10.0.0.0/24")
        self.assertEqual(self.onboard(self.home, network).status, "OK")
        for from_pool in ({}, {"from_pool": {"by": "exact", "subnet_pool_id": self.pool}}):
            again = self.ok(self.own(self.home), "subnet_create", subnet(numbered(1), "10.0.0.0/24", **from_pool), network)
            self.assertEqual((again["repeated"], again["subnet_pool_id"]), (True, self.pool))

    def test_a_guest_of_a_pool_onboards_what_lies_in_it(self):
        self.assertEqual(self.onboard(self.ann, self.net_of(self.ann, "10.0.2.0/24")).body["used_by_project"], "256")
        outside = self.onboard(self.ann, self.net_of(self.ann, "172.16.0.0/24"))
        self.assertEqual(outside.status, "OUTSIDE_POOL", "only the pool's own project adds to it")
        same = self.onboard(self.bob, self.net_of(self.bob, "10.0.2.0/25"))
        self.assertEqual((same.status, "details" in same.body), ("PREFIX_TAKEN", False))
        self.assertEqual(self.onboard(self.home, self.net_of(self.home, "172.16.0.0/24")).status, "OK")
        self.assertEqual(self.taken(), 2)
