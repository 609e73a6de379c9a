"""Principals, grants and tokens of a real server, as SPEC.md section 9 tells of them."""

import hashlib
import secrets
import unittest
import uuid

from addrd.asking import allocate
from addrd.connection import HelloRefused
from addrd.tables import DEFAULT_PROJECT
from addrd.values import NO_ID
from server import ServerCase


def new_token():
    """A token, and what of it the server is told."""
    token_id, secret = secrets.token_hex(8), secrets.token_bytes(32)
    told = {"token_id": token_id, "hash": hashlib.sha256(secret).hexdigest()}
    return f"addrd_{token_id}_{secret.hex()}", told


class Access(ServerCase):
    def setUp(self):
        self.anybody = self.connect()

    def administer(self, opcode, body):
        return self.ok(self.anybody.call, opcode, body, NO_ID)

    def principal(self, *grants):
        """A new principal and a token of it."""
        principal = str(uuid.uuid4())
        made = self.administer("principal_create", {"principal_id": principal, "grants": list(grants)})
        self.assertEqual(made.get("grants", []), list(grants))
        token, told = new_token()
        made = self.administer("token_create", {"principal_id": principal, "life_ms": 60_000, **told})
        self.assertEqual([each["token_id"] for each in made["tokens"]], [told["token_id"]])
        self.assertLessEqual(made["tokens"][0]["time_left_ms"], 60_000)
        return principal, token, told

    def test_a_token_gives_what_the_grants_say(self):
        network, _ = self.network(self.anybody.call, "10.0.0.0/24")
        grant = {"project_id": DEFAULT_PROJECT, "verbs": ["read", "allocate"], "manager": "cni"}
        _, token, _ = self.principal(grant)
        call = self.connect(token=token).call
        self.ok(call, "network_get", {}, network)
        self.ok(call, "allocate", allocate("web-1", manager="cni"), network)
        other = str(uuid.uuid4())
        for opcode, body, number in (
            ("allocate", allocate("web-2", manager="other"), network),
            ("network_create", {}, other),
            ("network_update", {"expected": "0", "description": "mine"}, network),
            ("network_update", {"expected": "0", "description": "mine"}, other),
            ("principal_list", {"limit": 10}, NO_ID),
        ):
            with self.subTest(opcode=opcode, network=number):
                self.assertEqual(call(opcode, body, number).status, "NOT_ALLOWED")

    def test_a_token_that_is_not_good_opens_nothing(self):
        _, token, _ = self.principal()
        wrong = token[:-64] + secrets.token_hex(32)
        for shown in (wrong, new_token()[0]):
            with self.assertRaises(HelloRefused) as raised:
                self.connect(token=shown)
            self.assertEqual(raised.exception.reply.status, "UNAUTHENTICATED")

    def test_connections_end_with_their_token(self):
        principal, token, told = self.principal()
        connection = self.connect(token=token)
        left = self.administer("token_revoke", {"token_id": told["token_id"], "after_ms": 0})
        self.assertEqual((left["principal_id"], left.get("tokens", [])), (principal, []))
        connection.join()
        self.assertEqual(connection.goaway["reason"], "access_ended")
        with self.assertRaises(HelloRefused):
            self.connect(token=token)

    def test_sent_again_it_is_the_same_token_and_a_third_is_too_many(self):
        principal, _, told = self.principal()
        again = self.administer("token_create", {"principal_id": principal, "life_ms": 60_000, **told})
        self.assertEqual((again["repeated"], len(again["tokens"])), (True, 1))
        self.administer("token_create", {"principal_id": principal, "life_ms": 0, **new_token()[1]})
        third = {"principal_id": principal, "life_ms": 0, **new_token()[1]}
        self.assertEqual(self.anybody.call("token_create", third).status, "LIMIT")

    def test_who_is_disabled_is_nobody_until_he_is_not(self):
        principal, token, _ = self.principal({"verbs": ["read"]})
        connection = self.connect(token=token)
        self.administer("principal_update", {"principal_id": principal, "expected": "0", "disabled": True})
        connection.join()
        self.assertEqual(connection.goaway["reason"], "access_ended")
        with self.assertRaises(HelloRefused):
            self.connect(token=token)
        self.administer("principal_update", {"principal_id": principal, "expected": "0", "disabled": False})
        self.assertEqual(self.connect(token=token).call("server_status", {}).status, "OK")


if __name__ == "__main__":
    unittest.main()
