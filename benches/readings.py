#!/usr/bin/env python3
"""The speed of one server on this machine, as `addrd bench` sees it over loopback.

Runs the release binary as shipped (no --dev) in temporary folders: shapes of load, fill, live
addresses, start after kill -9, bytes an allocation. Each figure is the median of the rounds; the
rounds of all cases alternate, so that a disturbance hits all alike. It judges nothing.

    cargo build --release && python3 benches/readings.py --rounds 3 --seconds 8
    python3 benches/readings.py --cases starts --output json

It uses loopback addresses only and ends what it started.
"""

import argparse
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

SHAPES = [(64, 1), (16, 16), (16, 128), (64, 128)]
READY_SECONDS_MAX = 120
CASES = {
    "shapes": [
        (f"{workload}, {c} x {f}, 100,000 live", ["--workload", workload, "--live", "100000"], c, f)
        for workload in ("churn",)
        for c, f in SHAPES
    ]
    + [("allocate, 16 x 128", ["--workload", "allocate"], 16, 128)],
    "fill": [
        (f"churn, 16 x 128, 100,000 live, {fill} full", ["--live", "100000", "--fill", fill], 16, 128)
        for fill in ("0.01", "0.5", "0.99")
    ],
    "live": [
        (f"churn, 16 x 128, {int(live):,} live", ["--live", live], 16, 128)
        for live in ("100000", "1000000", "10000000")
    ],
    "latency": [
        ("open loop, 200,000/s, 16 x 128, 1,000,000 live",
         ["--live", "1000000", "--rate", "200000"], 16, 128),
        ("one client, one request at a time", ["--live", "1000"], 1, 1),
    ],
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """addrd on a folder, stopped when the block is left."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.address = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.process, self.start_seconds = None, None

    def __enter__(self):
        began = time.monotonic()
        self.process = subprocess.Popen(
            [self.binary, "serve", "--data", self.folder, "--listen", self.address,
             "--http", self.http],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() - began > READY_SECONDS_MAX:
                raise SystemExit(f"the server is not ready after {time.monotonic() - began:.0f} s")
            time.sleep(0.01)
        self.start_seconds = time.monotonic() - began
        return self

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.http}/readyz", timeout=1) as reply:
                return reply.status == 200
        except OSError:
            return False

    def bench(self, *arguments):
        command = [self.binary, "bench", "--server", self.address, "--output", "json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines["VmRSS"].split()[0]) * 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=300)


def load(binary, case, seconds):
    _, arguments, connections, in_flight = case
    with tempfile.TemporaryDirectory(prefix="addrd-reading-") as folder:
        with Server(binary, folder) as server:
            found = server.bench(
                *arguments, "--keep", "--connections", str(connections),
                "--in-flight", str(in_flight), "--duration", str(seconds),
            )
            server.kill()
    latency = found["latency_us"]
    return {
        "operations_per_second": found["operations_per_second"],
        "errors": found["errors"],
        **{name: latency[name] for name in ("p50", "p99", "p9999", "max")},
    }


def starts(binary, live):
    """Start after kill -9 with `live` allocations, and what one takes in memory and on disk."""
    with tempfile.TemporaryDirectory(prefix="addrd-reading-") as folder:
        with Server(binary, folder) as server:
            empty = server.resident_bytes()
            server.bench("--workload", "allocate", "--live", str(live), "--duration", "600", "--keep")
            resident = server.resident_bytes()
            server.kill()
        with Server(binary, folder) as server:
            full_journal = server.start_seconds
        # Stopped in good order: the journal is folded.
        with Server(binary, folder) as server:
            folded = server.start_seconds
            server.kill()
        disk = subprocess.run(["du", "-sb", folder], capture_output=True, text=True, check=True)
    return {
        "live": live,
        "start_after_kill_s": full_journal,
        "start_folded_s": folded,
        "resident_bytes_each": (resident - empty) / live,
        "directory_bytes": int(disk.stdout.split()[0]),
    }


def medians(rounds):
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--binary", default="target/release/addrd")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--cases", default="shapes,fill,live,latency,starts")
    parser.add_argument("--starts-live", type=int, default=10_000_000)
    parser.add_argument("--output", choices=("table", "json"), default="table")
    options = parser.parse_args()
    wanted = options.cases.split(",")
    cases = [case for name in wanted for case in CASES.get(name, [])]
    found = {case[0]: [] for case in cases}
    for number in range(options.rounds):
        for case in cases:
            print(f"round {number + 1}: {case[0]}", file=sys.stderr)
            found[case[0]].append(load(options.binary, case, options.seconds))
    result = {name: medians(rounds) for name, rounds in found.items()}
    if "starts" in wanted:
        print(f"start with {options.starts_live:,} allocations", file=sys.stderr)
        result["starts"] = starts(options.binary, options.starts_live)
    if options.output == "json":
        print(json.dumps(result, indent=2))
        return
    for name, figures in result.items():
        shown = "  ".join(f"{key} {value:,.1f}" for key, value in figures.items())
        print(f"{name:50} {shown}")


if __name__ == "__main__":
    main()
