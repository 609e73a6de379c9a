"""addrd as shipped, loaded by `addrd bench` over loopback TCP."""

import json

from room import Failed, answers, free_port, until
from systems import CHURN, POOL, SHAPES, Measured, allocate_cases, churn_cases, offered_cases

NAME = "addrd"
TITLE = "addrd"
SETTINGS = {
    "server": "addrd serve: every setting as shipped, so an answer waits for fsync",
    "load": "addrd bench, one thread",
}
UNEQUAL = "Owners are 16 random bytes; an owner keeps at most one address for a key, and a repeat is recognised."

RATES = (1_000, 4_000, 16_000, 50_000, 100_000, 200_000, 400_000)


class System:
    def prepare(self, tools):
        self.binary = tools.addrd()
        SETTINGS["version"] = tools.version(self.binary, "--version")

    def cases(self, job):
        return {
            "allocate": allocate_cases(SHAPES),
            "churn": churn_cases(*CHURN),
            "offered": offered_cases(16, 128, RATES),
        }[job]

    def measure(self, room, case, seconds):
        port = free_port()
        process = room.start([self.binary, "serve", "--data", room.path("data"),
                              "--listen", f"127.0.0.1:{port}", "--http", ""])
        until(lambda: answers(port), process)
        call = [self.binary, "--server", f"127.0.0.1:{port}", "--output", "json"]
        words = ["bench", "--keep", "--connections", case.connections,
                 "--in-flight", case.in_flight, "--duration", seconds]
        if case.job == "churn":
            words += ["--live", round(case.fill * POOL), "--fill", case.fill]
        else:
            words += ["--workload", "allocate"]
        if case.offered:
            words += ["--rate", case.offered]
        found = json.loads(room.run([*call, *words]))
        if found["errors"]:
            raise Failed(f"addrd bench had {found['errors']} errors: {found['errors_by_status']}")
        checked = self.check(room, call, case, found)
        latency = found["latency_us"]
        return Measured(found["operations_per_second"], latency["p50"], latency["p99"],
                        checked=checked)

    def check(self, room, call, case, found):
        """No address has two holders: all that is held if that is little, else the count."""
        if case.job == "churn":
            lines = room.run([*call[:-1], "jsonl", "--limit", 0, "list"]).splitlines()
            held = [json.loads(line)["address"] for line in lines]
            if len(set(held)) != len(held) or not held:
                raise Failed(f"{len(held)} allocations, {len(set(held))} addresses")
            return f"{len(held)} allocations have as many addresses"
        usage = json.loads(room.run([*call, "usage", "--totals"]))
        held = sum(int(family["allocated"]) for row in usage for family in row["totals"])
        # Requests in flight at the end may have been done too.
        most = found["operations"] + case.connections * case.in_flight
        if not found["operations"] <= held <= most:
            raise Failed(f"{found['operations']} answers, but {held} addresses are held")
        return f"{found['operations']} answers, {held} addresses held"
