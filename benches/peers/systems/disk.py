"""The ceiling of the disk: append as many bytes as addrd's journal takes for all that is in flight,
fdatasync, and only then the next.
"""

import os
import time

from systems import SHAPES, Measured, allocate_cases, quantile

NAME = "disk"
TITLE = "ceiling: append + fdatasync"
# Of a plain IPv4 allocation in the journal (docs/disk-format.md), and of what opens a batch.
RECORD_BYTES, BATCH_BYTES = 42, 96
SETTINGS = {
    "load": f"one file, growing: {BATCH_BYTES} bytes and {RECORD_BYTES} for each that is in flight, then fdatasync",
}
UNEQUAL = ("One sync after another, each for everything that is in flight. A server whose syncs hold fewer is below it; one that "
           "writes while it syncs can be above it.")


class System:
    def prepare(self, tools):
        pass

    def cases(self, job):
        return allocate_cases(SHAPES) if job == "allocate" else []

    def open(self, room):
        return os.open(room.path("journal"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def place(self, file, length):
        """Before each write of so many bytes."""

    def measure(self, room, case, seconds):
        each = case.connections * case.in_flight
        data = os.urandom(BATCH_BYTES + RECORD_BYTES * each)
        file = self.open(room)
        times, began, now = [], time.perf_counter(), time.perf_counter()
        try:
            while now - began < seconds:
                self.place(file, len(data))
                os.write(file, data)
                os.fdatasync(file)
                times.append(time.perf_counter() - now)
                now += times[-1]
        finally:
            os.close(file)
        rate = len(times) * each / (now - began)
        times.sort()
        return Measured(rate, quantile(times, 0.5) * 1e6, quantile(times, 0.99) * 1e6,
                        notes=f"{len(times) / (now - began):.0f} syncs/s")
