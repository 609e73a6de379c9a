"""Layouts of principals and tokens (SPEC.md section 9, principal_create to token_revoke), and the token of HELLO."""

import re

from .layout import Layout, Tag
from .managers import MANAGER_BYTES_MAX
from .parts import RESERVED, list_request, page, revision
from .values import (
    NO_ID, Fault, Flags, Id, ListOf, Name, Number, Reader, Reserved, Setting, ShortText, Text, boolean,
)

GRANTS_MAX = 64
CERTIFICATE_NAMES_MAX = 8
UNIX_USERS_MAX = 8
TOKENS_MAX = 2
LIFE_MS_MOST = 315_360_000_000
NO_END = (1 << 64) - 1
SECRET_BYTES = 32
VERBS = ("read", "allocate", "release_own", "release_any", "manage", "administer")


class Hex:
    """So many bytes, in JSON hex digits in lower case."""

    def __init__(self, size):
        self.size = size

    def read(self, reader, field):
        return reader.take(self.size, field).hex()

    def write(self, value):
        return bytes.fromhex(value)


class Token:
    """The id of a token and its secret; in JSON its text."""

    TEXT = re.compile("addrd_([0-9a-f]{16})_([0-9a-f]{64})")

    def read(self, reader, field):
        token_id = Hex(8).read(reader, field)
        return f"addrd_{token_id}_{Hex(SECRET_BYTES).read(reader, field)}"

    def write(self, value):
        return b"".join(bytes.fromhex(part) for part in self.TEXT.fullmatch(value).groups())


class Verbs:
    """A bit each, at least one."""

    def read(self, reader, field):
        bits = reader.number(1, field)
        if not bits or bits >> len(VERBS):
            raise Fault("UNSUPPORTED", field)
        return [verb for bit, verb in enumerate(VERBS) if bits >> bit & 1]

    def write(self, value):
        return bytes([sum(1 << VERBS.index(verb) for verb in value)])


class Grant:
    """A project or all, verbs, and a manager or any."""

    def read(self, reader, field):
        project, verbs = Id().read(reader, "project_id"), Verbs().read(reader, "verbs")
        manager = reader.take(reader.number(1, "manager"), "manager")
        grant = {"verbs": verbs}
        if project != NO_ID:
            grant["project_id"] = project
        if manager:
            grant["manager"] = Text(MANAGER_BYTES_MAX).read(Reader(manager), "manager")
        return grant

    def write(self, value):
        manager = value.get("manager", "").encode("utf-8")
        return Id().write(value.get("project_id")) + Verbs().write(value["verbs"]) + bytes([len(manager)]) + manager


class TokenShown:
    """What others may know of a token."""

    def read(self, reader, field):
        token = {"token_id": Hex(8).read(reader, field), "age_ms": reader.number(8, field)}
        left = reader.number(8, field)
        return token if left == NO_END else token | {"time_left_ms": left}

    def write(self, value):
        left = value.get("time_left_ms", NO_END)
        return Hex(8).write(value["token_id"]) + value["age_ms"].to_bytes(8, "big") + left.to_bytes(8, "big")


class Life(Number):
    """How long a token is good for, ms; 0 = until it is revoked."""

    def __init__(self):
        super().__init__(8, most=LIFE_MS_MOST)

    def read(self, reader, field):
        number = super().read(reader, field)
        if 0 < number < 1_000:
            raise Fault("OUT_OF_RANGE", field)
        return number


def lists():
    return {
        3: ("grants", ListOf(Grant(), GRANTS_MAX)),
        4: ("certificate_names", ListOf(ShortText(), CERTIFICATE_NAMES_MAX)),
        5: ("unix_users", ListOf(Number(4), UNIX_USERS_MAX)),
    }


def attributes(base, wrap=lambda kind: kind):
    named = {1: ("name", Name()), 2: ("description", Text())} | lists()
    return {base + number: Tag(name, wrap(kind)) for number, (name, kind) in named.items()}


NAME = {0x8001: Tag("name", Name())}
REVISED = (("principal_id", Id(zero=False)), ("expected", revision()))
REQUESTS = {
    "principal_create": Layout(("principal_id", Id(zero=False)), tail=attributes(0x8000)),
    "principal_get": Layout(("principal_id", Id()), tail=NAME),
    "principal_list": list_request({0x8002: Tag("name_prefix", Text(63))}),
    "principal_update": Layout(*REVISED, tail=attributes(0x8000, Setting) | {0x8006: Tag("disabled", boolean())}),
    "principal_delete": Layout(*REVISED),
    "token_create": Layout(
        ("principal_id", Id(zero=False)), ("token_id", Hex(8)), ("hash", Hex(32)), ("life_ms", Life()),
    ),
    "token_revoke": Layout(("token_id", Hex(8)), ("after_ms", Number(8, most=LIFE_MS_MOST))),
}

PRINCIPAL = Layout(
    ("principal_id", Id()), ("revision", revision()), (None, Flags(2, "repeated", "disabled")), (RESERVED, Reserved(6)),
    tail=attributes(0x0000) | {0x0006: Tag("tokens", ListOf(TokenShown(), TOKENS_MAX))},
)
REPLIES = {
    name: ("principal", PRINCIPAL)
    for name in ("principal_create", "principal_get", "principal_update", "token_create", "token_revoke")
} | {"principal_list": ("principals", page(PRINCIPAL)), "principal_delete": ("empty", Layout())}
