"""Kea's DHCPv4 server with its lease file, loaded by perfdhcp through a pair of links between two
network namespaces. A lease is four messages: discover, offer, request, acknowledge.
"""

import json
import os
import random
import re
import shutil
import time

from report import LOST_MAX
from room import Failed, until
from systems import FILLS, POOL, Case, Measured

NAME = "kea"
TITLE = "Kea DHCPv4"
CONFIG = {
    "interfaces-config": {"interfaces": ["peer-s"], "dhcp-socket-type": "udp"},
    "lease-database": {"type": "memfile", "persist": True, "lfc-interval": 0},
    # On two cores, which the load shares, two threads answered less.
    "multi-threading": {"enable-multi-threading": False},
    "expired-leases-processing": {"reclaim-timer-wait-time": 0, "flush-reclaimed-timer-wait-time": 0},
    "valid-lifetime": 86_400,
    "host-reservation-identifiers": ["hw-address"],
    "reservations-global": False, "reservations-in-subnet": False,
    "loggers": [{"name": "kea-dhcp4", "severity": "ERROR",
                 "output_options": [{"output": "stderr"}]}],
}
SETTINGS = {
    "server": "lease file (memfile, persist), lfc-interval 0, one thread, no reservations, log ERROR",
    "load": f"perfdhcp, one thread, one relay, offered rates; counts as reached with at most {LOST_MAX:.1%} of the exchanges lost",
}
UNEQUAL = ("The lease file is written and never synced, so its answers survive a crash of the server and no loss of "
           "power; a lease is two round trips of UDP.")

# Leases a second that are offered in turn; those of a job end when too many are lost.
RATES = (1_000, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000, 16_000)
FILL_RATES = (1_000, 2_000, 4_000, 8_000)
HEADER = ("address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,"
          "user_context\n")
# 10.0.0.0 as a number; the server and the relay are outside the pools.
FIRST = 167_772_160
SERVER, RELAY = "10.255.255.1", "10.0.0.1"


class System:
    def prepare(self, tools):
        if os.geteuid() != 0 or not shutil.which("ip"):
            raise Failed("Kea is measured in network namespaces: that needs root and ip (iproute2)")
        names = ["kea-dhcp4", "perfdhcp"]
        self.programs = tools.packages.need(["kea-dhcp4-server", "kea-admin"], names)
        self.environment = tools.packages.environment()
        SETTINGS["version"] = "Kea " + tools.version(self.programs["kea-dhcp4"], "-v",
                                                     self.environment)

    def cases(self, job):
        return {
            "allocate": [],
            "churn": [Case("churn", 1, fill=fill, offered=rate)
                      for fill in FILLS for rate in FILL_RATES],
            "offered": [Case("offered", 1, offered=rate) for rate in RATES],
        }[job]

    def measure(self, room, case, seconds):
        server, client = room.namespaces()
        for name, link, address in ((server, "peer-s", SERVER), (client, "peer-c", RELAY)):
            room.run(["ip", "-n", name, "addr", "add", f"{address}/8", "dev", link])
            room.run(["ip", "-n", name, "link", "set", link, "up"])
        live, pool = 0, "10.16.0.0/12"
        if case.fill:
            live, pool = round(case.fill * POOL), "10.1.0.0/16"
        config = {**CONFIG, "subnet4": [{"id": 1, "subnet": "10.0.0.0/8",
                                         "pools": [{"pool": pool}]}]}
        config["lease-database"] = {**CONFIG["lease-database"], "name": str(room.path("leases.csv"))}
        room.path("kea.conf").write_text(json.dumps({"Dhcp4": config}))
        self.fill(room, live)
        environment = {**self.environment, "KEA_PIDFILE_DIR": str(room.folder),
                       "KEA_LOCKFILE_DIR": str(room.folder)}
        process = room.start(["ip", "netns", "exec", server, self.programs["kea-dhcp4"],
                              "-c", room.path("kea.conf")], env=environment)
        until(lambda: self.listens(process.pid), process)
        words = ["-F", case.offered] if case.job == "churn" else []
        out = room.run([
            "ip", "netns", "exec", client, self.programs["perfdhcp"], "-4", "-g", "single",
            "-l", RELAY,
            "-r", case.offered, *words, "-R", 2**24 - 1, "-p", seconds, "-W", 500_000,
            "-b", "mac=02:01:00:00:00:00", SERVER,
        ], env=self.environment, allowed=(0, 3))
        return self.read(room, live, out, seconds)

    def fill(self, room, live):
        """Leases at random places of the pool: those that were given back lie anywhere too."""
        ends = int(time.time()) + 86_400
        with open(room.path("leases.csv"), "w", encoding="ascii") as file:
            file.write(HEADER)
            for n in random.Random(1).sample(range(POOL), live):
                place = FIRST + 65_536 + n
                address = ".".join(str(place >> shift & 255) for shift in (24, 16, 8, 0))
                mac = ":".join(f"{n >> shift & 255:02x}" for shift in (24, 16, 8, 0))
                file.write(f"{address},0a:0a:{mac},,86400,{ends},1,0,0,,0,\n")

    def listens(self, pid):
        """Whether a socket of its namespace has the port of DHCP."""
        with open(f"/proc/{pid}/net/udp", encoding="ascii") as file:
            return any(line.split()[1].endswith(":0043") for line in list(file)[1:])

    def check(self, room, live):
        """Reads the lease file as the log that it is: a lease begins only where none is."""
        holders, begun = {}, 0
        with open(room.path("leases.csv"), encoding="ascii") as file:
            for row in list(file)[1:]:
                address, client, _, seconds, *_ = row.split(",")
                if seconds == "0":
                    holders.pop(address, None)
                    continue
                if holders.setdefault(address, client) != client:
                    raise Failed(f"Kea gave {address} to {client} and to {holders[address]}")
                begun += 1
        return f"{begun - live} leases written, none where another client had one"

    def read(self, room, live, out, seconds):
        """What perfdhcp counted."""
        parts = re.split(r"\*\*\*Statistics for: ", out)
        by = {part.split("*")[0].strip(): part for part in parts[1:]}

        def number(part, name):
            found = re.search(rf"{name}:\s*([0-9.]+)", by.get(part, ""))
            return float(found[1]) if found else 0.0

        sent = number("DISCOVER-OFFER", "sent packets")
        done = number("REQUEST-ACK", "received packets")
        if not sent:
            raise Failed(f"perfdhcp sent nothing: {out[-400:]}")
        lost = max(0.0, 1 - done / sent)
        mean = number("DISCOVER-OFFER", "avg delay") + number("REQUEST-ACK", "avg delay")
        # Its own rate also counts the time that it waits for stragglers.
        return Measured(done / seconds, mean * 1_000, None, lost=lost,
                        checked=self.check(room, live),
                        notes="both delays' means, not the median")
