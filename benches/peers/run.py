#!/usr/bin/env python3
"""The same job on addrd and on what else does it, in turn on one machine: take an address of a pool,
durably, and record who holds it.

Beside addrd: Redis, PostgreSQL, Kea, Neutron's reference IPAM driver, and ceilings (an echo server,
append or overwrite + fdatasync). What is missing is unpacked from Debian's packages or installed from
PyPI into target/peers; the system is not changed. README.md beside this file says what is compared,
what isn't equal and what is left behind (nothing). Kea needs root. Rounds alternate between the
systems, the table has medians; every measurement goes into a JSON file as soon as it is made.

    cargo build --release && python3 benches/peers/run.py
    python3 benches/peers/run.py --only addrd,redis --jobs allocate --rounds 5 --seconds 10
    python3 benches/peers/run.py --report --json figures.json --plots docs/plots
"""

import argparse
import dataclasses
import datetime
import itertools
import json
import os
import pathlib
import platform
import subprocess
import sys

import plots
import report
from packages import Packages
from room import INTERRUPTION, Failed, Room
from systems import addrd, disk, echo, kea, neutron, overwrite, postgres, redis

SYSTEMS = {one.NAME: one for one in (addrd, redis, postgres, kea, neutron, echo, disk, overwrite)}
JOBS = {
    "allocate": "allocate only, as fast as answers come, by number of clients",
    "churn": "take and give back, by how full a pool of 65,536 addresses is",
    "offered": "allocate only, so many a second are offered: how long answers take",
}
HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
# Of what is offered; a system that answers less has no more to show at higher rates.
REACHED = 0.9


class Tools:
    """What systems ask for in order to be prepared."""

    here = HERE

    def __init__(self, options):
        self.packages = Packages(options.installed)
        self.options = options

    def addrd(self):
        return self.built(self.options.addrd, ["--bin", "addrd"])

    def echo(self):
        return self.built(self.options.echo, ["-p", "addrd-client", "--example", "framed_echo"])

    def built(self, path, what):
        path = pathlib.Path(path).absolute()
        if not os.access(path, os.X_OK):
            raise Failed(f"there is no {path}: cargo build --release {' '.join(what)}")
        return str(path)

    def version(self, program, flag, environment=None):
        done = subprocess.run([program, flag], capture_output=True, text=True, check=False,
                              env=environment or self.packages.environment())
        return done.stdout.strip().splitlines()[0]


def names(text, known, what):
    chosen = text.split(",")
    for name in chosen:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is no {what}: {', '.join(known)}")
    return chosen


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__.rsplit("\n\n", 1)[0], epilog=__doc__.rsplit("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: names(text, SYSTEMS, "system"),
                        default=list(SYSTEMS), metavar="SYSTEM,..",
                        help=f"of {', '.join(SYSTEMS)} [default: all]")
    parser.add_argument("--jobs", type=lambda text: names(text, JOBS, "job"), default=list(JOBS),
                        metavar="JOB,..", help="; ".join(f"{k}: {v}" for k, v in JOBS.items()))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--json", type=pathlib.Path, default=TOP / "target/peers/figures.json",
                        metavar="FILE", help="measurements [default: target/peers/figures.json]")
    parser.add_argument("--append", action="store_true", help="more rounds into the same file")
    parser.add_argument("--report", action="store_true", help="measure nothing: table and plots of the file")
    parser.add_argument("--plots", type=pathlib.Path, metavar="FOLDER", help="write SVG files there")
    parser.add_argument("--addrd", default=TOP / "target/release/addrd", metavar="PROGRAM")
    parser.add_argument("--echo", default=TOP / "target/release/examples/framed_echo", metavar="PROGRAM")
    parser.add_argument("--installed", default=TOP / "target/peers", metavar="FOLDER",
                        help="where missing programs are put")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    return options


def machine():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), {memory:.0f} GiB, "
            f"Linux {platform.release()}")


def commit():
    done = subprocess.run(["git", "-C", TOP, "rev-parse", "--short", "HEAD"], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip()


def say(text):
    print(text, file=sys.stderr, flush=True)


def prepare(options):
    """The systems that can be measured, and why the others can't."""
    tools, ready, absent = Tools(options), {}, {}
    for name in options.only:
        try:
            ready[name] = SYSTEMS[name].System()
            say(f"{SYSTEMS[name].TITLE}: preparing")
            ready[name].prepare(tools)
        except Failed as fault:
            del ready[name]
            absent[name] = str(fault)
            say(f"{name} is left out: {fault}")
    return ready, absent


def measure(name, system, case, options, number):
    load = os.getloadavg()[0]
    record = {"system": name, **dataclasses.asdict(case), "round": number, "seconds": options.seconds,
              "at": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
              "load": round(load, 2)}
    try:
        with Room() as room:
            record |= dataclasses.asdict(system.measure(room, case, options.seconds))
    except Failed as fault:
        record["failed"] = str(fault)
    said = record.get("failed") or f"{record['rate']:,.1f}/s, p99 {record['p99_us'] or 0:,.0f} us"
    say(f"round {number}, {name}, {report.described(record)}: {said} (load {load:.1f})")
    return record


def all_rounds(ready, options, book):
    first = 1 + max((record["round"] for record in book["measurements"]), default=0)
    for number in range(first, first + options.rounds):
        for job in options.jobs:
            listed = [[(name, case) for case in system.cases(job)] for name, system in ready.items()]
            exhausted = set()
            # In turn: the first case of each system, then the second of each.
            for name, case in (pair for row in itertools.zip_longest(*listed) for pair in row if pair):
                if case.offered and (name, case.fill) in exhausted:
                    continue
                record = measure(name, ready[name], case, options, number)
                if case.offered and record.get("rate", 0) < REACHED * case.offered:
                    exhausted.add((name, case.fill))
                book["measurements"].append(record)
                save(options.json, book)


def save(path, book):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(book, indent=1) + "\n")
    part.rename(path)


def opened(options):
    if options.append or options.report:
        try:
            return json.loads(options.json.read_text())
        except FileNotFoundError:
            if options.report:
                raise Failed(f"there is no {options.json}: nothing was measured") from None
    return {"machine": machine(), "measurements": []}


def main(arguments):
    options = parse(arguments)
    book = opened(options)
    absent = {}
    if not options.report:
        ready, absent = prepare(options)
        if not ready:
            return 1
        book["commit"] = commit()
        book.setdefault("systems", {}).update({
            name: {"title": SYSTEMS[name].TITLE, "settings": SYSTEMS[name].SETTINGS,
                   "unequal": SYSTEMS[name].UNEQUAL} for name in ready})
        try:
            all_rounds(ready, options, book)
        except KeyboardInterrupt:
            say(f"\nended; what was measured is in {options.json}")
            return 130
    print(report.text(book, absent))
    if options.plots:
        for path in plots.write(book, options.plots):
            say(f"wrote {path}")
    failed = [record for record in book["measurements"] if "failed" in record]
    return 1 if failed or absent else 0


if __name__ == "__main__":
    INTERRUPTION.listen()
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except Failed as fault:
        sys.exit(str(fault))
