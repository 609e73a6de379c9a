"""Neutron's rules for ports, segments, subnet pools, address scopes and pins, asked of a real server."""

import uuid

from addrd.asking import allocate, at, key, listing, objects, subnet
from addrd.owner import owner_id
from server import ServerCase

MAC = "fa:16:3e:00:0a:ff"
EUI64 = "f816:3eff:fe00:aff"
SLAAC = {"enable_dhcp": True, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
ROUTER = "network:router_interface"


def numbered(number):
    return f"00000000-0000-4000-8000-{number:012}"


def port(number, **more):
    return {"port_id": numbered(number)} | more


def port_update(number, **more):
    return {"port_id": numbered(number), "expected": "0"} | more


def addresses(port):
    return [fixed["ip_address"] for fixed in port["fixed_ips"]]


class NeutronCase(ServerCase):
    def setUp(self):
        self.connection = self.connect()
        self.call = self.connection.call
        self.net = str(uuid.uuid4())
        self.ok(self.call, "network_create", {}, self.net)

    def done(self, opcode, body, network=None, **header):
        reply = self.call(opcode, body, network or self.net, **header)
        self.assertEqual(reply.status, "OK", (opcode, reply.body))
        return reply.body

    def refused(self, status, opcode, body, network=None, **header):
        reply = self.call(opcode, body, network or self.net, **header)
        self.assertEqual(reply.status, status, (opcode, reply.body))
        return reply.body

    def subnet(self, number, cidr, **more):
        return self.done("subnet_create", subnet(numbered(number), cidr, **more))

    def held(self, network=None):
        return [each["address"] for each in objects(self.call, "allocation_list", listing(), network or self.net)]


class Ports(NeutronCase):
    def town(self):
        """Two subnets of IPv4, a stateful one of IPv6, and two auto-address ones."""
        self.subnet(1, "10.0.0.0/24")
        self.subnet(2, "10.0.1.0/24")
        self.subnet(3, "fd00:1::/64")
        self.subnet(4, "fd00:2::/64", **SLAAC)
        self.subnet(5, "fd00:3::/64", **SLAAC)

    def make(self, number, **more):
        return self.done("port_create", port(number, **more))

    def change(self, number, **more):
        return self.done("port_update", port_update(number, **more))

    def within(self, number):
        return {"subnet_id": numbered(number)}

    def test_without_fixed_ips_one_of_each_kind(self):
        self.town()
        made = self.make(1, mac=MAC)
        self.assertEqual(addresses(made), ["10.0.0.2", "fd00:1::2", f"fd00:2::{EUI64}", f"fd00:3::{EUI64}"])
        self.assertEqual([fixed["automatic"] for fixed in made["fixed_ips"]], [False, False, True, True])
        self.assertEqual(made["ip_allocation"], "immediate")
        self.assertEqual(sorted(self.held()), sorted(addresses(made)), "ordinary allocations")
        router = self.make(2, device_owner=ROUTER)
        self.assertEqual(addresses(router), ["10.0.0.3", "fd00:1::3"])

    def test_an_empty_list_is_unaddressed_but_for_auto_address_subnets(self):
        self.assertEqual(addresses(self.make(1)), [], "no subnets, no addresses, no error")
        self.town()
        made = self.make(2, mac=MAC, fixed_ips=[])
        self.assertEqual(addresses(made), [f"fd00:2::{EUI64}", f"fd00:3::{EUI64}"])
        self.assertEqual(made["ip_allocation"], "none")

    def test_fixed_ips_by_subnet_by_address_and_both(self):
        self.town()
        wanted = [self.within(2), {"ip_address": "10.0.0.9"}, self.within(3) | {"ip_address": "fd00:1::9"}]
        self.assertEqual(addresses(self.make(1, fixed_ips=wanted))[:3], ["10.0.1.2", "10.0.0.9", "fd00:1::9"])
        for status, wrong in (
            ("FIXED_IP_EMPTY", {}), ("NOT_FOUND", self.within(9)),
            ("INVALID_ADDRESS", self.within(1) | {"ip_address": "10.0.1.9"}),
            ("ADDRESS_OUTSIDE", {"ip_address": "10.0.0.255"}), ("ADDRESS_TAKEN", {"ip_address": "10.0.0.9"}),
            ("AUTO_ADDRESS_ONLY", self.within(4) | {"ip_address": "fd00:2::5"}), ("IS_GATEWAY", {"ip_address": "10.0.0.1"}),
        ):
            before = self.held()
            self.refused(status, "port_create", port(2, fixed_ips=[self.within(2), wrong]))
            self.assertEqual(self.held(), before)
        gateway = self.make(2, fixed_ips=[{"ip_address": "10.0.0.1"}], allow_gateway=True)
        self.assertEqual(addresses(gateway)[0], "10.0.0.1")

    def test_literal_addresses_come_first(self):
        self.subnet(1, "10.0.0.0/29")
        made = self.make(1, fixed_ips=[self.within(1), self.within(1), {"ip_address": "10.0.0.2"}])
        self.assertEqual(sorted(addresses(made)), ["10.0.0.2", "10.0.0.3", "10.0.0.4"])

    def test_an_update_keeps_adds_and_removes(self):
        self.town()
        before = self.make(1, mac=MAC, fixed_ips=[{"ip_address": "10.0.0.9"}, self.within(1), self.within(2)])
        after = self.change(1, fixed_ips=[self.within(1), {"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.77"}])
        automatic = [f"fd00:2::{EUI64}", f"fd00:3::{EUI64}"]
        self.assertEqual(sorted(addresses(after)), sorted(["10.0.0.9", "10.0.0.2", "10.0.0.77", *automatic]))
        def of(port, address):
            return next(fixed for fixed in port["fixed_ips"] if fixed["ip_address"] == address)
        for kept in ("10.0.0.9", "10.0.0.2"):
            self.assertEqual(of(after, kept), of(before, kept))
        self.refused("STALE", "port_update", port_update(1, description="x") | {"expected": before["revision"]})
        self.assertEqual(sorted(self.held()), sorted(addresses(after)))

    def test_an_update_frees_the_old_address_before_it_takes_the_new_one(self):
        self.subnet(1, "10.0.0.0/30")
        self.assertEqual(addresses(self.make(1)), ["10.0.0.2"])
        self.refused("EXHAUSTED", "port_create", port(2))
        self.assertEqual(addresses(self.change(1, fixed_ips=[self.within(1)])), ["10.0.0.2"])
        self.assertEqual(addresses(self.change(1, fixed_ips=[])), [])
        self.assertEqual(addresses(self.make(2)), ["10.0.0.2"])

    def test_macs(self):
        self.town()
        self.make(1, mac=MAC)
        self.refused("MAC_IN_USE", "port_create", port(2, mac=MAC))
        self.refused("INVALID_MAC", "port_create", port(2, mac="01:00:5e:00:00:01"))
        made = self.make(2)
        self.assertNotEqual(made["mac"], MAC)
        after = self.change(1, mac="02:00:00:00:00:01")
        self.assertEqual(addresses(after)[2:], ["fd00:2::ff:fe00:1", "fd00:3::ff:fe00:1"])
        self.assertEqual(addresses(self.change(2, mac=MAC))[2:], [f"fd00:2::{EUI64}", f"fd00:3::{EUI64}"])

    def test_a_deletion_releases_the_addresses(self):
        self.town()
        made = self.make(1)
        self.refused("STALE", "port_delete", {"port_id": numbered(1), "expected": "1"})
        self.done("port_delete", {"port_id": numbered(1), "expected": made["revision"]})
        self.assertEqual(self.held(), [])
        self.refused("NOT_FOUND", "port_delete", {"port_id": numbered(1), "expected": "0"})

    def test_many_in_one_frame_are_all_or_nothing(self):
        self.subnet(1, "10.0.0.0/29")
        items = [{"port_create": port(number)} for number in range(1, 7)]
        failed = self.refused("EXHAUSTED", "batch", {"mode": "all_or_nothing", "items": items})
        self.assertEqual(failed["item"], 5)
        self.assertEqual((self.held(), objects(self.call, "port_list", listing(), self.net)), ([], []))
        results = self.done("batch", {"mode": "independent", "items": items})["results"]
        self.assertEqual([next(iter(each)) for each in results], ["port"] * 5 + ["failed"])

    def test_service_types_bind_a_subnet_and_come_first(self):
        self.subnet(1, "10.0.0.0/24")
        self.subnet(2, "10.0.9.0/24", service_types=["compute:nova"])
        self.assertEqual(addresses(self.make(1, device_owner="compute:nova")), ["10.0.9.2"])
        self.assertEqual(addresses(self.make(2)), ["10.0.0.2"])
        self.refused("NO_MATCHING_SUBNET", "port_create", port(3, fixed_ips=[self.within(2)]))

    def test_who_holds_addresses_decides_whether_a_subnet_goes(self):
        self.subnet(1, "10.0.0.0/24", enable_dhcp=True)
        self.make(1, device_owner="network:dhcp")
        self.make(2)
        gone = {"subnet_id": numbered(1), "expected": "0"}
        self.refused("IN_USE", "subnet_delete", gone)
        self.done("port_delete", {"port_id": numbered(2), "expected": "0"})
        self.done("subnet_delete", gone)
        self.assertEqual(self.held(), [])


class Segments(NeutronCase):
    def setUp(self):
        super().setUp()
        for number in (1, 2):
            segment = numbered(100 + number)
            self.done("segment_create", {"segment_id": segment})
            self.subnet(number, f"10.0.{number}.0/24", segment_id=segment)
            self.done("segment_hosts", {"segment_id": segment, "add": [f"node-{number}"]})

    def test_a_port_without_host_is_deferred_until_it_has_one(self):
        made = self.done("port_create", port(1))
        self.assertEqual((addresses(made), made["ip_allocation"]), ([], "deferred"))
        self.refused("HOST_NOT_CONNECTED", "port_update", port_update(1, host="node-9"))
        placed = self.done("port_update", port_update(1, host="node-2"))
        self.assertEqual((addresses(placed), placed["ip_allocation"]), (["10.0.2.2"], "immediate"))
        self.refused("HOST_NOT_COMPATIBLE", "port_update", port_update(1, host="node-1"))

    def test_a_host_reaches_the_subnets_of_its_segments(self):
        self.assertEqual(addresses(self.done("port_create", port(1, host="node-1"))), ["10.0.1.2"])
        self.refused("HOST_NOT_CONNECTED", "port_create", port(2, host="node-9"))
        mapped = objects(self.call, "host_list", listing(), self.net)
        self.assertEqual([each["host"] for each in mapped], ["node-1", "node-2"])

    def test_addresses_without_host_lie_on_one_segment(self):
        apart = [{"subnet_id": numbered(1)}, {"subnet_id": numbered(2)}]
        self.refused("SEGMENTS_DIFFER", "port_create", port(1, fixed_ips=apart))
        distributed = self.done("port_create", port(1, fixed_ips=apart, device_owner="network:distributed"))
        self.assertEqual(addresses(distributed), ["10.0.1.2", "10.0.2.2"])

    def test_all_subnets_are_on_segments_or_none_is(self):
        self.refused("SEGMENT_MIX", "subnet_create", subnet(numbered(3), "10.0.3.0/24"))
        self.refused("IN_USE", "segment_delete", {"segment_id": numbered(101), "expected": "0"})


class Pools(NeutronCase):
    def pool(self, *prefixes, pool=None, **more):
        pool = pool or str(uuid.uuid4())
        self.done("pool_create", {"family": "v4", "prefixes": list(prefixes)} | more, pool)
        return pool

    def carve(self, number, pool, cidr, by="length", network=None, **more):
        body = subnet(numbered(number), cidr, from_pool={"by": by, "subnet_pool_id": pool} | more)
        return self.call("subnet_create", body, network or self.net)

    def carved(self, *args, **more):
        reply = self.carve(*args, **more)
        self.assertEqual(reply.status, "OK", reply.body)
        return reply.body["cidr"]

    def another(self, **more):
        network = str(uuid.uuid4())
        self.done("network_create", more, network)
        return network

    def test_a_length_gets_the_best_fit(self):
        pool = self.pool("10.0.0.0/17", "10.0.128.0/17")
        self.assertEqual(self.done("pool_get", {}, pool)["prefixes"], ["10.0.0.0/16"], "merged")
        self.assertEqual(self.carved(1, pool, "10.0.64.0/24", by="exact"), "10.0.64.0/24")
        self.assertEqual(self.done("pool_preview", {"length": 26}, pool)["cidr"], "10.0.65.0/26")
        self.assertEqual(self.carved(2, pool, "0.0.0.0/26"), "10.0.65.0/26")
        self.assertEqual(self.carved(3, pool, "0.0.0.0/20"), "10.0.80.0/20")
        self.assertEqual(self.carve(4, pool, "10.0.64.128/25", by="exact").status, "PREFIX_TAKEN")
        self.assertEqual(self.carve(4, pool, "10.9.0.0/24", by="exact").status, "OUTSIDE_POOL")
        self.refused("POOL_IN_USE", "pool_delete", {"expected": "0"}, pool)

    def test_lengths_have_bounds_and_an_order(self):
        made = self.done("pool_get", {}, self.pool("10.0.0.0/8"))
        self.assertEqual([made[f"{each}_length"] for each in ("min", "default", "max")], [8, 8, 32])
        bad = {"family": "v4", "prefixes": ["10.0.0.0/8"], "min_length": 20, "default_length": 18}
        self.refused("POOL_BOUNDS", "pool_create", bad, str(uuid.uuid4()))
        pool = self.pool("10.0.0.0/8", min_length=20, default_length=24, max_length=26)
        self.assertEqual(self.carve(1, pool, "0.0.0.0/19").status, "LENGTH_BELOW_MIN")
        self.assertEqual(self.carve(1, pool, "0.0.0.0/27").status, "LENGTH_ABOVE_MAX")
        self.assertEqual(self.carved(1, pool, "0.0.0.0/0", by="default_length"), "10.0.0.0/24")

    def test_prefixes_are_added_and_removed_where_nothing_is_used(self):
        pool = self.pool("10.0.0.0/16")
        self.carved(1, pool, "10.0.3.0/24", by="exact")
        def change(**more):
            return self.call("pool_update", {"expected": "0"} | more, pool)
        self.assertEqual(change(prefixes=["10.1.0.0/16"]).status, "POOL_PREFIX_UPDATE")
        self.assertEqual(change(remove_prefixes=["10.0.0.0/20"]).status, "POOL_PREFIX_UPDATE")
        changed = change(remove_prefixes=["10.0.128.0/17"], add_prefixes=["10.2.0.0/16"])
        self.assertEqual(changed.body["prefixes"], ["10.0.0.0/17", "10.2.0.0/16"])

    def test_a_quota_counts_for_each_project_of_a_shared_pool(self):
        pool = self.pool("10.0.0.0/16", shared=True, default_quota="256")
        for _ in range(2):
            project, network = str(uuid.uuid4()), str(uuid.uuid4())
            self.done("project_create", {}, "00000000-0000-0000-0000-000000000000", project=project)
            self.done("network_create", {}, network, project=project)
            def carve(number):
                body = subnet(numbered(number), "0.0.0.0/24", from_pool={"by": "length", "subnet_pool_id": pool})
                return self.call("subnet_create", body, network, project=project)
            self.assertEqual([carve(1).status, carve(2).status], ["OK", "QUOTA"])
        self.assertEqual(self.done("pool_get", {}, pool)["used"], "512")

    def test_subnets_of_a_family_come_from_one_pool_or_scope(self):
        one, other = self.pool("10.0.0.0/16"), self.pool("10.1.0.0/16")
        self.carved(1, one, "0.0.0.0/24")
        self.assertEqual(self.carve(2, other, "0.0.0.0/24").status, "POOL_AFFINITY")
        self.refused("POOL_AFFINITY", "subnet_create", subnet(numbered(2), "192.0.2.0/24"))
        scope = str(uuid.uuid4())
        self.done("scope_create", {"family": "v4"}, scope)
        scoped = [self.pool(prefix, address_scope_id=scope) for prefix in ("10.2.0.0/16", "10.3.0.0/16")]
        network = self.another(scope_v4=scope)
        self.assertEqual(self.carved(1, scoped[0], "0.0.0.0/24", network=network), "10.2.0.0/24")
        self.assertEqual(self.carved(2, scoped[1], "0.0.0.0/24", network=network), "10.3.0.0/24")
        self.assertEqual(self.carve(3, one, "0.0.0.0/24", network=network).status, "SCOPE_AFFINITY")
        overlapping = {"family": "v4", "prefixes": ["10.3.128.0/17"], "address_scope_id": scope}
        self.refused("SCOPE_OVERLAP", "pool_create", overlapping, str(uuid.uuid4()))

    def test_owners_hold_prefixes_themselves(self):
        pool = self.pool("10.0.0.0/16", default_length=24)
        first = self.done("allocate", allocate("node-1"), pool, pool=True)["first"]
        self.assertEqual((first["address"], first["length"]), ("10.0.0.0", 24))
        self.assertTrue(self.done("allocate", allocate("node-1"), pool, pool=True)["first"]["repeated"])
        child = self.pool(pool=str(uuid.uuid4()), parent_id=pool, parent_length=20)
        self.assertEqual(self.done("pool_get", {}, child)["prefixes"], ["10.0.16.0/20"])
        self.refused("HELD_BY_OBJECT", "release", at("10.0.16.0") | {"any": True}, pool, pool=True)
        released = self.done("release", key("node-1"), pool, pool=True)
        self.assertEqual((released["address"], released["length"]), ("10.0.0.0", 24))

    def test_a_batch_on_a_pool_is_done_whole_or_leaves_nothing(self):
        pool = self.pool("10.0.0.0/24")
        items = [{"allocate": allocate(f"node-{number}", length=26)} for number in range(5)]
        failed = self.refused("POOL_EXHAUSTED", "batch", {"mode": "all_or_nothing", "items": items}, pool, pool=True)
        self.assertEqual(failed["item"], 4)
        self.assertEqual(self.done("pool_get", {}, pool)["taken"], 0)
        results = self.done("batch", {"mode": "independent", "items": items}, pool, pool=True)["results"]
        given = [each["allocated"]["first"]["address"] for each in results[:4]]
        self.assertEqual(given, ["10.0.0.0", "10.0.0.64", "10.0.0.128", "10.0.0.192"])
        self.assertEqual(results[4]["failed"]["status"], "POOL_EXHAUSTED")

    def test_subnets_that_are_there_go_into_a_pool(self):
        pool = self.pool("10.0.0.0/16")
        self.subnet(1, "10.0.3.0/24")
        self.subnet(2, "172.16.0.0/24")
        held = self.done("allocate", allocate("web-1"))["first"]
        onboard = {"subnet_pool_id": pool, "expected": "0"}
        moved = self.done("subnet_onboard", onboard)
        self.assertEqual((moved["prefixes"], moved["taken"]), (["10.0.0.0/16", "172.16.0.0/24"], 2))
        self.assertTrue(self.done("subnet_onboard", onboard)["repeated"])
        self.assertEqual(self.done("subnet_get", {"subnet": {"id": numbered(2)}})["subnet_pool_id"], pool)
        again = self.done("allocate", allocate("web-1"))["first"]
        self.assertEqual((again["address"], again["revision"]), (held["address"], held["revision"]))
        other = self.pool("10.0.0.0/8")
        self.refused("POOL_AFFINITY", "subnet_onboard", onboard | {"subnet_pool_id": other})


class Pins(NeutronCase):
    def test_a_pinned_address_goes_to_its_owner_alone(self):
        self.subnet(1, "10.0.0.0/29")
        def pin(address, owner):
            return {"address": address, "owner": owner_id(owner), "slot": 0, "owner_name": owner}
        self.done("pin_create", pin("10.0.0.3", "printer"))
        self.refused("PINNED", "pin_create", pin("10.0.0.3", "other"))
        got = [self.done("allocate", allocate(f"pc-{number}"))["first"]["address"] for number in range(4)]
        self.assertEqual(got, ["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"])
        self.refused("EXHAUSTED", "allocate", allocate("pc-9"))
        self.refused("PINNED", "allocate", allocate("pc-9", exact="10.0.0.3"))
        self.assertEqual(self.done("allocate", allocate("printer"))["first"]["address"], "10.0.0.3")
        self.done("release", key("printer"))
        self.done("pin_delete", {"address": "10.0.0.3"})
        self.assertEqual(self.done("allocate", allocate("pc-9"))["first"]["address"], "10.0.0.3")
