#!/usr/bin/env python3
"""addrd beside Redis, in one run on one machine: durable allocations a second.

Redis runs as its users would for this job: append-only file, fsync always, a Lua script that takes
an address from a list and records its owner. addrd runs as shipped. Both answer only when the
change is on disk. Rounds alternate, medians are printed with their ratio.

Needs redis-server and redis-benchmark (Debian package redis-server) and a release build of addrd.
It uses loopback addresses and temporary folders only, and ends what it started.

    python3 benches/peers/beside_redis.py --rounds 3 --seconds 10 --output json
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SHAPES = [(64, 1), (16, 16), (16, 128), (64, 128)]
SCRIPT = (
    "local a = redis.call('LPOP', KEYS[1]) "
    "if not a then return redis.error_reply('exhausted') end "
    "redis.call('HSET', KEYS[2], a, ARGV[1]) return a"
)
START_SECONDS_MAX = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{process.args[0]} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"{process.args[0]} does not listen on port {port}")


class Server:
    """A server process in a temporary folder, ended when the block is left."""

    def __init__(self, arguments, folder, port):
        self.port = port
        self.process = subprocess.Popen(
            arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(port, self.process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=120)


def redis_server(folder):
    port = free_port()
    return Server(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes",
         "--appendfsync", "always", "--save", "", "--dir", folder],
        folder, port,
    )


def redis_cli(port, *words):
    result = subprocess.run(
        ["redis-cli", "-p", str(port), *words], check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


def fill_list(port, count):
    """Puts `count` addresses into the list through the bulk form of the protocol."""
    pipe = subprocess.Popen(
        ["redis-cli", "-p", str(port), "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    for start in range(0, count, 1000):
        words = ["RPUSH", "free", *(str(167772160 + i) for i in range(start, min(start + 1000, count)))]
        text = f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)
        pipe.stdin.write(text.encode())
    pipe.stdin.close()
    if pipe.wait() != 0:
        raise SystemExit("redis-cli --pipe failed")


def redis_round(connections, in_flight, requests):
    with tempfile.TemporaryDirectory() as folder, redis_server(folder) as server:
        fill_list(server.port, requests + 1000)
        sha = redis_cli(server.port, "SCRIPT", "LOAD", SCRIPT)
        result = subprocess.run(
            ["redis-benchmark", "-p", str(server.port), "-c", str(connections), "-P", str(in_flight),
             "-n", str(requests), "-r", "1000000000", "--csv",
             "EVALSHA", sha, "2", "free", "owners", "__rand_int__"],
            check=True, capture_output=True, text=True,
        )
        taken = int(redis_cli(server.port, "HLEN", "owners"))
        if taken < requests:
            raise SystemExit(f"Redis recorded {taken} owners of {requests}")
        return float(result.stdout.strip().splitlines()[-1].split(",")[1].strip('"'))


def addrd_round(binary, connections, in_flight, seconds):
    with tempfile.TemporaryDirectory() as folder:
        port, http = free_port(), free_port()
        arguments = [binary, "serve", "--data", os.path.join(folder, "data"),
                     "--listen", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http}"]
        with Server(arguments, folder, port):
            result = subprocess.run(
                [binary, "--server", f"127.0.0.1:{port}", "--output", "json", "bench",
                 "--workload", "allocate", "--connections", str(connections),
                 "--in-flight", str(in_flight), "--duration", str(seconds), "--keep"],
                check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )
        return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--addrd", default="target/release/addrd")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--output", choices=["table", "json"], default="table")
    options = parser.parse_args()
    binary = os.path.abspath(options.addrd)
    rows = []
    for connections, in_flight in SHAPES:
        redis, addrd = [], []
        requests = 50_000 * options.seconds if in_flight > 1 else 25_000 * options.seconds
        for _ in range(options.rounds):
            redis.append(redis_round(connections, in_flight, requests))
            result = addrd_round(binary, connections, in_flight, options.seconds)
            if result["errors"]:
                raise SystemExit(f"addrd bench had {result['errors']} errors")
            addrd.append(result["operations_per_second"])
        row = {
            "connections": connections, "in_flight": in_flight,
            "redis": statistics.median(redis), "addrd": statistics.median(addrd),
        }
        row["ratio"] = row["addrd"] / row["redis"]
        rows.append(row)
        print(f"{connections} x {in_flight} done", file=sys.stderr)
    if options.output == "json":
        json.dump(rows, sys.stdout, indent=2)
        print()
        return
    print("| connections x in flight | Redis/s | addrd/s | ratio |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['connections']} x {row['in_flight']} | {row['redis']:,.0f} "
              f"| {row['addrd']:,.0f} | {row['ratio']:.1f} |")


if __name__ == "__main__":
    main()
