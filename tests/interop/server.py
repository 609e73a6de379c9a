"""A real server for a test: starts the binary, waits until it is ready, ends what it started."""

import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import uuid

from addrd.asking import subnet
from addrd.connection import Connection

READY_S_MAX = 300
READY_POLL_S = 0.02
PROJECT = pathlib.Path(__file__).resolve().parents[2]


def binary():
    """ADDRD_BINARY, or what was built last."""
    if given := os.environ.get("ADDRD_BINARY"):
        return str(pathlib.Path(given).resolve())
    built = [path for kind in ("release", "debug") if (path := PROJECT / "target" / kind / "addrd").exists()]
    if not built:
        raise FileNotFoundError("no addrd in target/release or target/debug: build it, or set ADDRD_BINARY")
    return str(max(built, key=lambda path: path.stat().st_mtime))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process of the server, and the directory that outlives it until `close`."""

    def __init__(self, *settings):
        self._settings = [part for setting in settings for part in ("--set", setting)]
        self._home = pathlib.Path(tempfile.mkdtemp(prefix="addrd-interop-"))
        self.address = ("127.0.0.1", free_port())
        self._http_port = free_port()
        self._process = None
        self.start()

    def start(self):
        """Starts it on the data that are there, and waits until it is ready."""
        listen, http_listen = (f"127.0.0.1:{port}" for port in (self.address[1], self._http_port))
        command = [binary(), "serve", "--data", str(self._home / "data"), "--listen", listen, "--http", http_listen]
        command += self._settings
        with open(self._home / "output", "ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self._home,
            )
        deadline = time.monotonic() + READY_S_MAX
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server isn't ready; exit code {self._process.poll()}\n{self.output()}")
            time.sleep(READY_POLL_S)

    def _ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._http_port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def output(self):
        return (self._home / "output").read_text(encoding="utf-8", errors="replace")[-4_000:]

    def kill(self):
        """Ends it without a word, as kill -9 does."""
        self._process.kill()
        self._process.wait()

    def terminate(self):
        """Asks it to end, and returns at once."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self):
        """Its exit code."""
        return self._process.wait()

    def close(self):
        if self._process and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self._home)


class ServerCase(unittest.TestCase):
    """Tests that share one server; each has networks of its own."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def connect(self, **hello):
        connection = Connection(self.server.address, **hello)
        self.addCleanup(connection.close)
        return connection

    def ok(self, call, opcode, body, network):
        """The body of the reply, which must be OK."""
        reply = call(opcode, body, network)
        self.assertEqual(reply.status, "OK", reply.body)
        return reply.body

    def network(self, call, *cidrs, **more):
        """A new network with these subnets: its id, and theirs, of which the first is the highest."""
        network = str(uuid.uuid4())
        self.ok(call, "network_create", {}, network)
        subnets = sorted((str(uuid.uuid4()) for _ in cidrs), reverse=True)
        for number, cidr in zip(subnets, cidrs):
            self.ok(call, "subnet_create", subnet(number, cidr, **more), network)
        return network, *subnets
