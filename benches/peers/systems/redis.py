"""Redis: a Lua script takes an address from a list and records who holds it.

Loaded by redis-benchmark, which has no open loop: at an offered rate by one of our own, which
writes the requests that are due every millisecond and counts replies by their bytes.
"""

import collections
import re
import selectors
import socket
import time

from room import Failed, answers, free_port, until
from systems import (CHURN, POOL, SHAPES, Measured, allocate_cases, churn_cases, offered_cases,
                     quantile)

NAME = "redis"
TITLE = "Redis"
SERVER = ["--appendonly", "yes", "--appendfsync", "always", "--save", "",
          "--auto-aof-rewrite-percentage", "0"]
SETTINGS = {
    "server": " ".join(SERVER).replace("--save  ", "--save '' "),
    "take": "Lua by EVALSHA: LPOP free, HSETNX holders ADDRESS OWNER",
    "churn": "Lua by EVALSHA: an owner that holds an address gives it back, one that holds none takes one",
    "load": "redis-benchmark, one thread; at offered rates an open loop in Python",
}
UNEQUAL = ("One list and one hash, so one pool; no subnets, limits, revisions or repeats. An answer waits for fsync "
           "of the append-only file, as addrd's does.")

TAKE = """
local a = redis.call('LPOP', KEYS[1])
if not a then return redis.error_reply('exhausted') end
if redis.call('HSETNX', KEYS[2], a, ARGV[1]) == 0 then return redis.error_reply('twice') end
return a
"""
# Owner to address: who holds it is recorded, and the next request of the owner finds it.
TOGGLE = """
local a = redis.call('HGET', KEYS[2], ARGV[1])
if a then
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('RPUSH', KEYS[1], a)
  return a
end
a = redis.call('LPOP', KEYS[1])
if not a then return redis.error_reply('exhausted') end
redis.call('HSET', KEYS[2], ARGV[1], a)
return a
"""
# Operations a second that size a closed run by count; only how long it takes depends on them.
EXPECTED = {(1, 1): 3_000, (64, 1): 45_000, (8, 16): 80_000, (16, 16): 120_000, (16, 128): 170_000}
RATES = (1_000, 4_000, 16_000, 50_000, 100_000, 150_000)
# 10.0.0.0 as a number. All of the /8 have nine digits, so replies have one length.
FIRST = 167_772_160
REPLY = b"$9\r\n167772160\r\n"


class System:
    def prepare(self, tools):
        names = ["redis-server", "redis-cli", "redis-benchmark"]
        self.programs = tools.packages.need(["redis-server", "redis-tools"], names)
        self.environment = tools.packages.environment()
        SETTINGS["version"] = tools.version(self.programs["redis-server"], "--version")

    def cases(self, job):
        return {
            "allocate": allocate_cases(SHAPES),
            "churn": churn_cases(*CHURN),
            "offered": offered_cases(16, 128, RATES),
        }[job]

    def measure(self, room, case, seconds):
        port = free_port()
        process = room.start([self.programs["redis-server"], "--port", port, "--bind", "127.0.0.1",
                              "--dir", room.folder, *SERVER], env=self.environment)
        until(lambda: answers(port), process)
        # A port that listens is not yet one that has read its file.
        until(lambda: self.cli(room, port, "PING") == "PONG", process)
        if case.job == "churn":
            return self.churn(room, port, case, seconds)
        rate = case.offered or EXPECTED[(case.connections, case.in_flight)]
        requests = round(rate * seconds)
        self.fill(room, port, [("RPUSH", "free", numbers(0, requests + 4_096))])
        sha = self.cli(room, port, "SCRIPT", "LOAD", TAKE)
        if case.job == "offered":
            found = open_loop(port, sha, case, seconds)
        else:
            found = self.benchmark(room, port, case, requests, 10**9, sha, "free", "holders")
        held = int(self.cli(room, port, "HLEN", "holders"))
        # redis-benchmark sends whole pipelines, so a few more than it was told.
        if not requests <= held < requests + case.connections * case.in_flight:
            raise Failed(f"Redis recorded {held} holders of {requests} addresses that it gave")
        found.checked = f"{requests} answers asked for, {held} holders; HSETNX refuses a second"
        return found

    def churn(self, room, port, case, seconds):
        live = round(case.fill * POOL)
        # Of twice as many owners, half hold an address, the same half never for long.
        holders = [word for n in range(live) for word in (f"{n:012}", str(FIRST + n))]
        self.fill(room, port, [("RPUSH", "free", numbers(live, POOL)), ("HSET", "holders", holders)])
        sha = self.cli(room, port, "SCRIPT", "LOAD", TOGGLE)
        requests = round(EXPECTED[(case.connections, case.in_flight)] * seconds)
        found = self.benchmark(room, port, case, requests, 2 * live, sha, "free", "holders")
        addresses = self.cli(room, port, "HVALS", "holders").split()
        addresses += self.cli(room, port, "LRANGE", "free", "0", "-1").split()
        if sorted(addresses) != list(numbers(0, POOL)):
            raise Failed("an address of Redis is held twice, or lost")
        found.checked = f"each of {POOL} addresses is free or has one holder"
        return found

    def cli(self, room, port, *words):
        call = [self.programs["redis-cli"], "-p", port, *words]
        return room.run(call, env=self.environment, allowed=(0, 1)).strip()

    def fill(self, room, port, commands):
        """Through the bulk form of the protocol, a thousand words a command."""
        path = room.path("fill")
        with open(path, "wb") as file:
            for name, key, words in commands:
                words = list(words)
                for start in range(0, len(words), 1_000):
                    part = [name, key, *words[start:start + 1_000]]
                    file.write(encoded(part))
        with open(path, "rb") as file:
            room.run([self.programs["redis-cli"], "-p", port, "--pipe"], stdin=file,
                     env=self.environment)

    def benchmark(self, room, port, case, requests, owners, sha, *keys):
        out = room.run([
            self.programs["redis-benchmark"], "-p", port, "-c", case.connections,
            "-P", case.in_flight, "-n", requests, "-r", owners, "--csv", "--precision", 3,
            "EVALSHA", sha, len(keys), *keys, "__rand_int__",
        ], env=self.environment)
        row = re.findall(r'"([0-9.]+)"', out.strip().splitlines()[-1])
        # Test, rate, then ms: mean, least, p50, p95, p99, most.
        rate, _, _, p50, _, p99, _ = map(float, row[-7:])
        return Measured(rate, p50 * 1_000, p99 * 1_000)


def numbers(start, end):
    return (str(FIRST + n) for n in range(start, end))


def encoded(words):
    parts = [f"*{len(words)}\r\n"] + [f"${len(word)}\r\n{word}\r\n" for word in words]
    return "".join(parts).encode()


def open_loop(port, sha, case, seconds):
    """Latency from the intended start, whatever the server does. A request is counted with its
    millisecond, so this costs by the tick and not by the request."""
    lines = []
    selector = selectors.DefaultSelector()
    for _ in range(case.connections):
        line = socket.create_connection(("127.0.0.1", port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(line, selectors.EVENT_READ, (line, collections.deque(), [b""]))
        lines.append(selector.get_key(line).data)
    total, sent, answered = round(case.offered * seconds), 0, 0
    # Up to the owner, of twelve digits.
    head = encoded(["EVALSHA", sha, "2", "free", "holders", "0" * 12])[:-len("0" * 12 + "\r\n")]
    took = []
    began = time.perf_counter()
    turn = 0
    while answered < total:
        now = time.perf_counter() - began
        if now > seconds + 30:
            raise Failed(f"Redis has answered {answered} of {total} requests 30 s after the last")
        due = min(total, int(now * case.offered) + 1)
        if due > sent:
            # The requests of a tick go by way of several lines, in turn.
            share = max(1, (due - sent) // case.connections)
            while sent < due:
                count = min(share, due - sent)
                line, waiting, _ = lines[turn % case.connections]
                turn += 1
                line.sendall(b"".join(
                    [head + b"%012d\r\n" % n for n in range(sent, sent + count)]))
                # The middle of those that were due within the tick.
                waiting.append([(sent + count / 2) / case.offered, count])
                sent += count
        for key, _ in selector.select(0.0005 if sent < total else 0.05):
            line, waiting, rest = key.data
            data = rest[0] + line.recv(1 << 20)
            count = len(data) // len(REPLY)
            if data[:1] not in (b"$", b"") or data[:count * len(REPLY):len(REPLY)].strip(b"$"):
                raise Failed(f"Redis answered {data[:100]!r}")
            rest[0] = data[count * len(REPLY):]
            answered += count
            now = time.perf_counter() - began
            while count:
                first = waiting[0]
                taken = min(count, first[1])
                took.append((now - first[0], taken))
                first[1] -= taken
                count -= taken
                if not first[1]:
                    waiting.popleft()
    rate = answered / (time.perf_counter() - began)
    for line, *_ in lines:
        line.close()
    selector.close()
    each = sorted(late for late, count in took for _ in range(count))
    return Measured(rate, quantile(each, 0.5) * 1e6, quantile(each, 0.99) * 1e6)
