"""TLS 1.3 with a real server: who is let in and as whom, who isn't, and how a connection ends."""

import hashlib
import pathlib
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest
import uuid

from addrd.asking import allocate, listing, objects
from addrd.connection import Connection, HelloRefused
from addrd.secured import PROTOCOL, tls
from addrd.values import NO_ID
from server import Server, ServerCase

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
WEB = "spiffe://example/web"


class Authority:
    """A CA in a folder, by the `openssl` command."""

    def __init__(self, folder, name="ca"):
        self._folder, self._name, self.pem = folder, name, folder / f"{name}.pem"
        self._openssl("req", "-x509", *KEY, "-days", "30", "-subj", f"/CN={name}",
                      "-addext", "keyUsage=critical,keyCertSign", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def _openssl(self, *arguments):
        subprocess.run(("openssl", *arguments), cwd=self._folder, check=True, capture_output=True)

    def sign(self, name, alternative):
        """Certificate and key of somebody with this alternative name."""
        request, key, pem = (f"{name}.{kind}" for kind in ("csr", "key", "pem"))
        self._openssl("req", *KEY, "-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}",
                      "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.pem.name, "-CAkey", f"{self._name}.key",
                      "-days", "30", "-copy_extensions", "copy", "-out", pem)
        return self._folder / pem, self._folder / key


def new_token():
    """A token, its id, and what of it the server is told."""
    token_id, secret = secrets.token_hex(8), secrets.token_bytes(32)
    return f"addrd_{token_id}_{secret.hex()}", {"token_id": token_id, "hash": hashlib.sha256(secret).hexdigest()}


class Secured(ServerCase):
    """A server that wants a certificate of everybody, and knows the operator by a token."""

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="addrd-tls-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.authority = Authority(folder)
        certificate, key = cls.authority.sign("server", "IP:127.0.0.1")
        cls.web = tls(cls.authority.pem, *cls.authority.sign("web", f"URI:{WEB}"))
        cls.other = Authority(folder, "other")
        cls.operator_token, _ = new_token()
        operator = folder / "operator.token"
        operator.write_text(cls.operator_token)
        operator.chmod(0o600)
        cls.settings = [
            f"tls_certificate={certificate}", f"tls_key={key}", f"tls_client_ca={cls.authority.pem}",
            "tls_client_required=true", "authentication=true", f"operator_token_file={operator}",
        ]
        cls.server = Server(*cls.settings)
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        self.operator = self.connect(tls=self.web, token=self.operator_token)

    def principal(self, **more):
        """A new principal that may do everything."""
        principal = str(uuid.uuid4())
        grants = [{"verbs": ["read", "allocate", "manage", "release_own", "release_any"]}]
        body = {"principal_id": principal, "grants": grants, **more}
        self.ok(self.operator.call, "principal_create", body, NO_ID)
        self.addCleanup(self.operator.call, "principal_delete", {"principal_id": principal, "expected": "0"}, NO_ID)
        return principal

    def refused(self, context, **hello):
        with self.assertRaises((ssl.SSLError, ConnectionError)) as raised:
            self.connect(tls=context, **hello)
        return str(raised.exception)

    def test_a_certificate_says_who_it_is_until_the_principal_is_another(self):
        with self.assertRaises(HelloRefused) as raised:
            self.connect(tls=self.web)
        self.assertEqual(raised.exception.reply.status, "UNAUTHENTICATED")
        principal = self.principal(certificate_names=[WEB])
        connection = self.connect(tls=self.web)
        self.assertEqual(connection.protocol, PROTOCOL)
        network, _ = self.network(connection.call, "10.0.0.0/16")
        futures = [connection.submit("allocate", allocate(f"web-{number}"), network) for number in range(1_000)]
        addresses = {future.result().body["first"]["address"] for future in futures}
        self.assertEqual(len(addresses), 1_000)
        listed = objects(connection.call, "allocation_list", listing(), network)
        self.assertEqual({each["address"] for each in listed}, addresses)
        self.ok(self.operator.call, "principal_update",
                {"principal_id": principal, "expected": "0", "disabled": True}, NO_ID)
        connection.join()
        self.assertEqual(connection.goaway["reason"], "access_ended")
        self.assertIsNone(connection.lost, "the server says farewell before it closes")

    def test_a_token_says_who_it_is_whatever_the_certificate(self):
        principal = self.principal()
        token, told = new_token()
        body = {"principal_id": principal, "life_ms": 60_000, **told}
        self.ok(self.operator.call, "token_create", body, NO_ID)
        connection = self.connect(tls=self.web, token=token)
        self.network(connection.call, "10.0.0.0/24")
        self.assertEqual(connection.call("principal_list", {"limit": 10}, NO_ID).status, "NOT_ALLOWED")
        with self.assertRaises(HelloRefused):
            self.connect(tls=self.web, token=new_token()[0])

    def test_who_shows_no_certificate_or_a_strangers_is_told_by_an_alert(self):
        ca = self.authority.pem
        said = self.refused(tls(ca), token=self.operator_token)
        self.assertIn("alert certificate required", said)
        stranger = self.other.sign("stranger", f"URI:{WEB}")
        said = self.refused(tls(ca, *stranger), token=self.operator_token)
        self.assertIn("alert", said)

    def test_who_asks_for_another_protocol_alone_is_refused(self):
        own = self.authority.sign("asks", f"URI:{WEB}")
        said = self.refused(tls(self.authority.pem, *own, protocols=("http/1.1",)))
        self.assertIn("alert no application protocol", said)

    def test_a_server_of_another_ca_is_not_believed(self):
        self.assertIn("CERTIFICATE_VERIFY_FAILED", self.refused(tls(self.other.pem)))

    def test_what_is_plain_gets_an_alert_and_no_frame(self):
        with socket.create_connection(self.server.address) as plain:
            plain.sendall(bytes(64))
            said = b""
            while data := plain.recv(1_024):
                said += data
        self.assertEqual(said[:2], b"\x15\x03")

    def test_a_server_that_stops_says_farewell(self):
        server = Server(*self.settings)
        self.addCleanup(server.close)
        with Connection(server.address, tls=self.web, token=self.operator_token) as connection:
            server.terminate()
            connection.join()
            self.assertEqual((connection.goaway["reason"], connection.lost), ("shutdown", None))
        self.assertEqual(server.wait(), 0)


class Plain(ServerCase):
    def test_a_server_without_tls_answers_a_handshake_with_a_frame(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="addrd-tls-"))
        self.addCleanup(shutil.rmtree, folder)
        with self.assertRaises(ssl.SSLError) as raised:
            self.connect(tls=tls(Authority(folder).pem))
        self.assertIn("WRONG_VERSION_NUMBER", str(raised.exception))


if __name__ == "__main__":
    unittest.main()
