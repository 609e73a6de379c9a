"""The systems that are compared, one file each: settings at the top, then how the job is done on it.

A system has NAME, TITLE, SETTINGS and UNEQUAL (what to know beside its figures), and a class System
with three methods. `prepare` brings what it needs. `cases` lists what is measured of a job.
`measure` does one case in a room of its own, checks that no address was handed out twice, and
returns a Measured.
"""

import dataclasses

# The addresses of a pool whose fill matters.
POOL = 65_536
FILLS = (0.01, 0.5, 0.9)
# Connections, and requests in flight on each.
SHAPES = ((1, 1), (64, 1), (16, 16), (16, 128))
# Of give and take: so many that the 655 addresses of the emptiest pool are far more.
CHURN = (8, 16)


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing to measure. In flight is what a client has sent and got no answer to."""

    job: str
    connections: int
    in_flight: int = 1
    fill: float | None = None
    offered: int | None = None


@dataclasses.dataclass
class Measured:
    """Operations a second that were answered, and µs that the answers took."""

    rate: float
    p50_us: float | None = None
    p99_us: float | None = None
    lost: float = 0.0
    checked: str = "nothing"
    notes: str = ""


def allocate_cases(shapes):
    return [Case("allocate", *shape) for shape in shapes]


def churn_cases(connections, in_flight=1, fills=FILLS):
    return [Case("churn", connections, in_flight, fill=fill) for fill in fills]


def offered_cases(connections, in_flight, rates):
    return [Case("offered", connections, in_flight, offered=rate) for rate in rates]


def quantile(ordered, part):
    """Of values in order."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
