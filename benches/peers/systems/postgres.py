"""PostgreSQL: a row for each address, taken with FOR UPDATE SKIP LOCKED. Loaded by pgbench."""

import os
import re
import signal

from room import Failed, until
from systems import POOL, Measured, allocate_cases, churn_cases, offered_cases, quantile

NAME = "postgres"
TITLE = "PostgreSQL"
SERVER = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
    "shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min",
    "wal_compression": "lz4", "max_connections": "300", "listen_addresses": "''",
    "autovacuum_naptime": "1s",
}
TAKE = """UPDATE addresses SET owner = :owner WHERE address = (
  SELECT address FROM addresses WHERE owner IS NULL LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING address;
"""
GIVE = "UPDATE addresses SET owner = NULL WHERE owner = :owner RETURNING address;\n"
SETTINGS = {
    "server": ", ".join(f"{name}={value}" for name, value in SERVER.items()),
    "table": "address int8 primary key, owner int8 unique; partial index on free ones; fillfactor 70; "
             "autovacuum after 1,000 dead rows, without delay",
    "take": " ".join(TAKE.split()),
    "give back": GIVE.strip(),
    "load": "pgbench, prepared statements, Unix socket, one thread; a commit is an operation",
}
UNEQUAL = "Statements are not pipelined: pgbench waits for each. An answer waits for fsync of the log."

# Rows of an allocate-only run; more than it can take.
ROOM = 1_000_000
CLIENTS = (1, 16, 64, 128)
RATES = (250, 500, 1_000, 2_000, 4_000)


class System:
    def prepare(self, tools):
        names = ["postgres", "initdb", "pgbench", "psql"]
        self.programs = tools.packages.need(["postgresql"], names)
        self.environment = tools.packages.environment()
        SETTINGS["version"] = tools.version(self.programs["postgres"], "--version")
        # It refuses to run as root: as nobody then.
        self.user = 65_534 if os.geteuid() == 0 else None

    def cases(self, job):
        return {
            "allocate": allocate_cases((clients, 1) for clients in CLIENTS),
            "churn": churn_cases(64),
            "offered": offered_cases(64, 1, RATES),
        }[job]

    def serve(self, room):
        """A new server; what psql and pgbench need to reach it."""
        room.give(self.user)
        options = {"env": self.environment, "user": self.user}
        room.run([self.programs["initdb"], "-D", room.path("data"), "-U", "bench", "-A", "trust",
                  "--no-sync", "--locale=C", "-E", "UTF8"], **options)
        settings = [word for name, value in SERVER.items()
                    for word in ("-c", f"{name}={value.strip(chr(39))}")]
        process = room.start([self.programs["postgres"], "-D", room.path("data"),
                              "-k", room.folder, *settings], stop=signal.SIGINT, **options)
        until(lambda: room.path(".s.PGSQL.5432").exists() and self.is_ready(room), process)

    def is_ready(self, room):
        try:
            return self.sql(room, "SELECT 1") == "1"
        except Failed:
            return False

    def sql(self, room, text):
        return room.run([self.programs["psql"], "-h", room.folder, "-U", "bench", "-d", "postgres",
                         "-v", "ON_ERROR_STOP=1", "-qAtc", text], env=self.environment).strip()

    def measure(self, room, case, seconds):
        self.serve(room)
        pool, live = ROOM, 0
        if case.job == "churn":
            pool, live = POOL, round(case.fill * POOL)
        self.sql(room, f"""
            CREATE TABLE addresses (address int8 PRIMARY KEY, owner int8) WITH (fillfactor = 70,
              autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0,
              autovacuum_vacuum_cost_delay = 0);
            INSERT INTO addresses SELECT 167772160 + n,
              CASE WHEN n < {live} THEN n END FROM generate_series(0, {pool} - 1) AS n;
            CREATE UNIQUE INDEX ON addresses (owner) WHERE owner IS NOT NULL;
            CREATE INDEX ON addresses (address) WHERE owner IS NULL;
            """)
        # VACUUM and CHECKPOINT are no part of a transaction.
        self.sql(room, "VACUUM ANALYZE addresses")
        self.sql(room, "CHECKPOINT")
        if case.job == "churn":
            # Each client has owners of its own, so none is given two addresses by two clients.
            each = max(1, live // case.connections)
            script = f"\\set owner :client_id * {each} + random(0, {each} - 1)\n" + GIVE + TAKE
        else:
            script = "\\set owner random(1, 9000000000000000)\n" + TAKE
        room.path("job.sql").write_text(script)
        words = ["-R", case.offered] if case.offered else []
        out = room.run([
            self.programs["pgbench"], "-h", room.folder, "-U", "bench", "-n", "-M", "prepared",
            "-f", room.path("job.sql"), "-c", case.connections, "-j", 1, "-T", seconds,
            "-l", "--log-prefix", room.path("times"), *words, "postgres",
        ], env=self.environment)
        statements = 2 if case.job == "churn" else 1
        rate = float(re.search(r"tps = ([0-9.]+)", out)[1]) * statements
        done = int(re.search(r"transactions actually processed: (\d+)", out)[1])
        failed = int(re.search(r"failed transactions: (\d+)", out)[1])
        times = sorted(int(line.split()[2]) / statements for path in room.folder.glob("times.*")
                       for line in path.read_text().splitlines())
        return Measured(rate, quantile(times, 0.5), quantile(times, 0.99),
                        checked=self.check(room, case, live, done, failed))

    def check(self, room, case, live, done, failed):
        held = int(self.sql(room, "SELECT count(owner) FROM addresses"))
        expected = live if case.job == "churn" else done
        # A statement that found no row is a transaction too.
        if failed or held != expected:
            raise Failed(f"PostgreSQL: {failed} failed, {held} addresses held, not {expected}")
        return f"{done} transactions, {held} addresses held; the keys are unique"
