"""Neutron's reference IPAM driver on PostgreSQL, each client a process of its own."""

import json
import random

from room import Failed
from systems import FILLS, POOL, Case, Measured
from systems import postgres

NAME = "neutron"
TITLE = "Neutron IPAM driver"
REQUIREMENTS = ["neutron==26.0.5", "neutron-lib==3.20.0", "psycopg2-binary==2.9.10"]
SETTINGS = {
    "driver": "neutron.ipam.drivers.neutrondb_ipam, called in the process: no API, no ports, no messages",
    "packages": " ".join(REQUIREMENTS),
    "database": "the PostgreSQL of this comparison, with its settings",
    "load": "each client a process; the driver's own allocate and deallocate",
}
UNEQUAL = ("Only the driver works: a port of a real Neutron costs far more. It reads all allocations of a subnet for each new "
           "one. Its subnet isn't read from Neutron's own tables, which would cost one query more.")
INNER, OUTER, ADDRESSES = (f"{n}2d8b3a7-5a3c-4c1e-9f0d-6b7e2f1c9a40" for n in "abc")
TABLES = """
CREATE TABLE ipamsubnets (id varchar(36) PRIMARY KEY, neutron_subnet_id varchar(36));
CREATE INDEX ON ipamsubnets (neutron_subnet_id);
CREATE TABLE ipamallocationpools (id varchar(36) PRIMARY KEY, ipam_subnet_id varchar(36) NOT NULL
  REFERENCES ipamsubnets (id) ON DELETE CASCADE, first_ip varchar(64) NOT NULL, last_ip varchar(64) NOT NULL);
CREATE TABLE ipamallocations (ip_address varchar(64) NOT NULL, status varchar(36),
  ipam_subnet_id varchar(36) NOT NULL REFERENCES ipamsubnets (id) ON DELETE CASCADE,
  PRIMARY KEY (ip_address, ipam_subnet_id));
"""


class System:
    def prepare(self, tools):
        self.database = postgres.System()
        self.database.prepare(tools)
        self.python = tools.packages.python("neutron", REQUIREMENTS)
        self.script = tools.here / "neutron_load.py"

    def cases(self, job):
        return {
            "allocate": [Case("allocate", 1), Case("allocate", 4)],
            "churn": [Case("churn", 1, fill=fill) for fill in FILLS],
            "offered": [],
        }[job]

    def measure(self, room, case, seconds):
        self.database.serve(room)
        live = round((case.fill or 0) * POOL)
        self.database.sql(room, TABLES)
        self.fill(room, live)
        call = [self.python, "-I", self.script, room.folder, OUTER, case.job, case.connections,
                seconds]
        found = json.loads(room.run(call).splitlines()[-1])
        held = int(self.database.sql(room, "SELECT count(*) FROM ipamallocations"))
        expected = live + found["held"]
        if held != expected or found["twice"]:
            raise Failed(f"Neutron: {held} rows, not {expected}; {found['twice']} given twice")
        return Measured(found["rate"], found["p50_us"], found["p99_us"],
                        checked=f"{found['operations']} operations, {held} rows, none given twice",
                        notes=f"{found['retries']} tries were repeated")

    def fill(self, room, live):
        rows = []
        for n in random.Random(1).sample(range(2, POOL - 1), live):
            rows.append(f"('10.1.{n >> 8}.{n & 255}', 'ALLOCATED', '{INNER}')")
        text = (f"INSERT INTO ipamsubnets VALUES ('{INNER}', '{OUTER}');"
                f"INSERT INTO ipamallocationpools VALUES ('{ADDRESSES}', '{INNER}', '10.1.0.2', '10.1.255.254');")
        for start in range(0, len(rows), 2_000):
            text += "INSERT INTO ipamallocations VALUES " + ",".join(rows[start:start + 2_000]) + ";"
        room.path("fill.sql").write_text(text)
        room.run([self.database.programs["psql"], "-h", room.folder, "-U", "bench", "-d", "postgres",
                  "-v", "ON_ERROR_STOP=1", "-q1f", room.path("fill.sql")],
                 env=self.database.environment)
        self.database.sql(room, "VACUUM ANALYZE ipamallocations")
