"""A client that survives its connections: one session, repeats on its successor (SPEC.md sections 5 and 13).

A caller has at most one operation of an owner under way: what was sent behind an operation and answered before it isn't
sent again, so that repeating the first one would undo the second.
"""

import threading
import time
import uuid
from concurrent.futures import Future

from .connection import Connection, HelloRefused, NotApplied
from .values import NO_ID

CONNECT_WAIT_S = 0.05
CONNECT_TRIES_MAX = 2_400
RETRY_WAIT_S_MAX = 1.0


class Pending:
    """A request until it has its final reply."""

    def __init__(self, number, opcode, body, network):
        self.number, self.opcode, self.body, self.network = number, opcode, body, network
        self.future, self.tries = Future(), 0


class Lane:
    """All operations of some owners, on one connection at a time.

    Requests are small: as many as the credit allows fit the buffers of a socket.
    """

    def __init__(self, address, session=None, epoch=0):
        self._address, self.session, self.epoch = address, session or str(uuid.uuid4()), epoch
        self._changed = threading.Condition()
        self._pending, self._number, self._closing = {}, 0, False
        self.connections, self.repeats = 0, 0
        with self._changed:
            self._connect()

    def submit(self, opcode, body, network=NO_ID):
        """The future has the final reply: `later` and `unknown` are repeated, and so is what had none."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or len(self._pending) < self._connection.hello["credit"])
            if self._closing:
                raise NotApplied("the lane is closed")
            self._number += 1
            pending = self._pending[self._number] = Pending(self._number, opcode, body, network)
            self._send(pending)
        return pending.future

    def call(self, opcode, body, network=NO_ID):
        return self.submit(opcode, body, network).result()

    def _send(self, pending):
        """What can't be sent stays pending: the next connection takes it."""
        connection = self._connection
        self.repeats += pending.tries > 0
        pending.tries += 1
        try:
            sent = connection.submit(pending.opcode, pending.body, pending.network)
        except NotApplied:
            return
        sent.add_done_callback(lambda answer: self._answered(pending, answer))

    def _answered(self, pending, answer):
        if answer.exception():
            return
        reply = answer.result()
        if reply.status_class in ("later", "unknown"):
            advised = reply.body["retry_after_ms"] / 1_000
            wait = min(max(advised, 0.01 * 2 ** pending.tries), RETRY_WAIT_S_MAX)
            threading.Timer(wait, self._again, [pending, pending.tries]).start()
            return
        with self._changed:
            del self._pending[pending.number]
            self._changed.notify_all()
        pending.future.set_result(reply)

    def _again(self, pending, tries):
        """A new connection may have taken it meanwhile."""
        with self._changed:
            if not self._closing and pending.tries == tries:
                self._send(pending)

    def _ended(self, connection):
        """Runs on the thread of the connection that ended: nobody submits until its successor has it all."""
        with self._changed:
            replaced = connection.goaway and connection.goaway["reason"] == "session_replaced"
            if self._closing or replaced or connection.fault:
                self._give_up(connection.fault or NotApplied("the session was replaced or closed"))
                return
            try:
                self._connect()
            except (HelloRefused, OSError) as refused:
                self._give_up(refused)
                return
            for pending in list(self._pending.values()):
                self._send(pending)

    def _connect(self):
        for _ in range(CONNECT_TRIES_MAX):
            self.epoch += 1
            try:
                hello = {"session": self.session, "epoch": self.epoch}
                self._connection = Connection(self._address, on_end=self._ended, **hello)
                self.connections += 1
                return
            except HelloRefused as refused:
                if refused.reply.status_class != "later" and refused.reply.status != "SESSION_STALE":
                    raise
            except OSError:
                pass
            time.sleep(CONNECT_WAIT_S)
        raise ConnectionError("the server can't be reached")

    def _give_up(self, why):
        self._closing = True
        for pending in self._pending.values():
            pending.future.set_exception(why)
        self._pending.clear()
        self._changed.notify_all()

    def close(self):
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            connection = self._connection
        connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
