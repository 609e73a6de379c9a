"""The change feed of a real server: what is told is what lists say."""

import unittest

from addrd.asking import allocate, key, listing, pages
from addrd.owner import owner_id
from server import ServerCase


def held(items):
    """Who holds which address."""
    return {item["address"]: item["owner"] for item in items}


class Watches(ServerCase):
    def test_a_list_and_what_is_told_behind_it_are_the_state(self):
        connection = self.connect()
        call = connection.call
        network, *_ = self.network(call, "10.0.0.0/24")
        for number in range(20):
            self.assertEqual(call("allocate", allocate(f"first-{number}"), network).status, "OK")
        body = listing(limit=7)
        read = list(pages(call, "allocation_list", body, network))
        known, position = held(item for page in read for item in page["items"]), read[0]["position"]
        for number in range(10):
            self.assertEqual(call("release", key(f"first-{number}"), network).status, "OK")
            self.assertEqual(call("allocate", allocate(f"second-{number}"), network).status, "OK")
        watch = {"from": {"incarnation": connection.hello["incarnation"], "position": position}, "kinds": ["allocation"]}
        begun = call("watch", watch, network)
        self.assertEqual((begun.status, begun.body["position"]), ("OK", position))
        while True:
            opcode, events = connection.next_told()
            self.assertEqual(opcode, "events")
            for event in events["items"]:
                if "gone" in event:
                    self.assertNotEqual(event["gone"]["owner"], owner_id("second-0"))
                    known.pop(event["gone"]["address"])
                else:
                    known[event["allocation"]["address"]] = event["allocation"]["owner"]
            if events["up_to_date"]:
                break
        read = list(pages(call, "allocation_list", body, network))
        self.assertEqual(known, held(item for page in read for item in page["items"]))
        self.assertEqual(call("unwatch", {"watch": events["watch"]}).status, "OK")
        self.assertEqual(call("unwatch", {"watch": events["watch"]}).status, "NOT_FOUND")

    def test_a_position_of_another_life_of_the_data_is_to_be_listed_anew(self):
        call = self.connect().call
        reply = call("watch", {"from": {"incarnation": 77, "position": "1"}})
        self.assertEqual(reply.status, "RELIST")
        [detail] = reply.body["details"]
        self.assertIn("bounds", detail)


if __name__ == "__main__":
    unittest.main()
