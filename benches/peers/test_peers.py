"""What the comparison itself promises, without any of the systems: ratios of medians, failures that
are no figures, an address given twice that is found, and nothing that is left behind.

    python3 -B -m unittest discover -s benches/peers -p 'test_*.py'
"""

import argparse
import os
import pathlib
import signal
import tempfile
import unittest
import xml.dom.minidom

import plots
import report
import run
from room import INTERRUPTION, Failed, Interruption, Room
from systems import kea


def record(system, rate, **other):
    return {"system": system, "job": "allocate", "connections": 1, "in_flight": 1, "fill": None,
            "offered": None, "round": 1, "seconds": 1, "at": "2026-01-01T00:00:00+00:00", "load": 1.0,
            "rate": rate, "p50_us": 1.0, "p99_us": 2.0, "lost": 0.0, "checked": "", "notes": "", **other}


def book(*records):
    names = {one["system"] for one in records}
    about = {name: {"title": name, "settings": {"a": "<b>"}, "unequal": ""} for name in sorted(names)}
    return {"machine": "m", "commit": "c", "systems": about, "measurements": list(records)}


class Reports(unittest.TestCase):
    def test_a_ratio_is_that_of_the_medians(self):
        found = book(*(record("addrd", rate) for rate in (900, 1_000, 9_000)),
                     *(record("redis", rate) for rate in (1, 250, 300)))
        row = [line for line in report.text(found, {}).splitlines() if line.startswith("| redis |")][0]
        self.assertEqual(row.split("|")[2:4], [" 250 ", " 4.0 "])

    def test_what_failed_is_told_and_is_no_figure(self):
        failed = {key: value for key, value in record("redis", 0).items() if key != "rate"}
        found = book(record("addrd", 1_000), {**failed, "failed": "held twice"})
        self.assertEqual([row["system"] for row in report.medians(found)], ["addrd"])
        self.assertIn("FAILED: redis, allocate, 1 x 1: held twice", report.text(found, {"kea": "no root"}))
        self.assertIn("Not measured: kea: no root", report.text(found, {"kea": "no root"}))

    def test_a_rate_that_was_not_reached_does_not_count(self):
        offered = [record("kea", rate, job="offered", offered=offer, lost=lost)
                   for offer, rate, lost in ((1_000, 999, 0.0), (2_000, 1_940, 0.03), (4_000, 3_000, 0.01))]
        rows = report.medians(book(*offered))
        self.assertEqual(report.best(rows, "kea", {"offered"})["offered"], 1_000)

    def test_plots_are_well_formed(self):
        found = book(*(record("addrd", rate, job="churn", fill=fill)
                       for fill, rate in ((0.01, 1), (0.5, 10**6))),
                     *(record("kea", rate, job="offered", offered=rate, p99_us=None) for rate in (10, 10**5)))
        found["systems"]["addrd"]["title"] = "a < b & c"
        with tempfile.TemporaryDirectory() as folder:
            written = plots.write(found, pathlib.Path(folder))
            self.assertEqual(len(written), 2)
            for path in written:
                xml.dom.minidom.parse(str(path))


class Checks(unittest.TestCase):
    def lease(self, *rows):
        with Room() as room:
            lines = [f"10.1.0.1,{client},,{seconds},9,1,0,0,,0,\n" for client, seconds in rows]
            room.path("leases.csv").write_text(kea.HEADER + "".join(lines))
            return kea.System().check(room, 0)

    def test_a_lease_that_two_clients_have_is_found(self):
        self.assertIn("3 leases", self.lease(("a", 60), ("a", 60), ("a", 0), ("b", 60)))
        with self.assertRaises(Failed):
            self.lease(("a", 60), ("b", 60))

    def test_an_unknown_name_is_refused_with_those_that_there_are(self):
        with self.assertRaisesRegex(argparse.ArgumentTypeError, "'oracle' is no system: addrd, redis"):
            run.names("redis,oracle", run.SYSTEMS, "system")


class Rooms(unittest.TestCase):
    def test_nothing_is_left_when_something_goes_wrong(self):
        with self.assertRaises(Failed):
            with Room() as room:
                process = room.start(["sleep", "60"])
                raise Failed("on the way")
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertFalse(room.folder.exists())

    def test_a_program_that_fails_says_what_it_said(self):
        with Room() as room, self.assertRaisesRegex(Failed, "ended with 3: broken"):
            room.run(["sh", "-c", "echo broken >&2; exit 3"])

    def test_an_interruption_waits_while_a_process_is_started(self):
        one, seen = Interruption(), []
        before = signal.signal(signal.SIGTERM, one.come)
        try:
            with self.assertRaises(KeyboardInterrupt):
                with one.held():
                    os.kill(os.getpid(), signal.SIGTERM)
                    seen.append("started")
            # A second one doesn't disturb the end.
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, before)
        self.assertEqual(seen, ["started"])
        self.assertFalse(INTERRUPTION.has_come)


if __name__ == "__main__":
    unittest.main()
