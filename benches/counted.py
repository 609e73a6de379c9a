#!/usr/bin/env python3
"""What the hot paths cost in instructions and in blocks of memory, counted by valgrind.

Times are too noisy for a comparison with yesterday, counts aren't: the same program counts the same whatever else the
machine does. Fails if a path costs more than benches/counted.json says and the tolerance allows, so a change that makes
it dearer says so by changing that file; also if it costs much less, so that what was gained isn't lost unseen.

Needs valgrind and the bench: cargo build --profile counted --bench counted

    python3 benches/counted.py              counts and compares
    python3 benches/counted.py --write      counts and writes the file anew
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

OPERATIONS = 1024
FEW, MANY = 8, 40
# For other compilers and libraries; a path that lost its fast way costs far more.
TOLERANCE = 0.10
TABLE = pathlib.Path(__file__).with_name("counted.json")


def count(command, pattern):
    """The number that a run under valgrind prints."""
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(pattern, done.stderr)
    if done.returncode or not found:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return int(found[1].replace(",", ""))


def difference(tool, pattern, binary, path):
    """What one drain costs: many drains less few, so nothing else that the program does is counted."""
    few, many = (count([*tool, binary, path, str(drains)], pattern) for drains in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def measure(binary, path):
    callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    memcheck = ["valgrind", "--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"]
    return {
        "instructions_an_operation": round(
            difference(callgrind, r"Collected : ([\d,]+)", binary, path) / OPERATIONS, 1
        ),
        "blocks_a_drain": difference(memcheck, r"total heap usage: ([\d,]+) allocs", binary, path),
    }


def newest():
    made = pathlib.Path("target/counted/deps").glob("counted-*")
    programs = [path for path in made if path.suffix == ""]
    if not programs:
        sys.exit("no bench: cargo build --profile counted --bench counted")
    return str(max(programs, key=lambda path: path.stat().st_mtime))


def compare(path, now, known):
    """What is wrong with a path."""
    was, instructions = known["instructions_an_operation"], now["instructions_an_operation"]
    if instructions > was * (1 + TOLERANCE):
        yield f"{path}: {instructions} instructions an operation, not {was}"
    if instructions < was * (1 - TOLERANCE):
        yield f"{path}: only {instructions} instructions an operation in place of {was}; keep that: --write"
    if now["blocks_a_drain"] > known["blocks_a_drain"]:
        yield f"{path}: {now['blocks_a_drain']} blocks of memory a drain, not {known['blocks_a_drain']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write what was counted into counted.json")
    parser.add_argument("--binary", help="the bench (default: the newest in target/counted)")
    arguments = parser.parse_args()
    known = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    binary = arguments.binary or newest()
    now = {path: measure(binary, path) for path in ("decode", "apply", "encode", "record")}
    print(json.dumps(now, indent=2))
    if arguments.write:
        TABLE.write_text(json.dumps(now, indent=2) + "\n")
        return
    wrong = [line for path, cost in now.items() for line in compare(path, cost, known[path])]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
