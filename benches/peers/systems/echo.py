"""The ceiling of the wire: frames as long as an allocation and its reply, without any work."""

import subprocess

from systems import SHAPES, Measured, allocate_cases

NAME = "echo"
TITLE = "ceiling: framed echo"
SETTINGS = {
    "server and load": "benches/peers/framed_echo.rs, one thread each: 96 bytes there, 80 back, loopback TCP",
}
UNEQUAL = "Does nothing and keeps nothing. What any server of such frames can reach at most beside such a load."


class System:
    def prepare(self, tools):
        self.binary = tools.echo()

    def cases(self, job):
        return allocate_cases(SHAPES) if job == "allocate" else []

    def measure(self, room, case, seconds):
        server = room.start([self.binary, "serve"], stdout=subprocess.PIPE)
        room.callback(server.stdout.close)
        port = int(server.stdout.readline())
        out = room.run([self.binary, "load", port, case.connections, case.in_flight, seconds])
        answered, took = out.split()
        rate = int(answered) / float(took)
        # In a closed loop the mean follows from what is in flight.
        mean = case.connections * case.in_flight / rate * 1e6
        return Measured(rate, mean, notes="the mean, not the median")
