"""One connection: HELLO, credit, replies in any order, GOAWAY (SPEC.md sections 4 to 6). It never connects again."""

import socket
import threading
from concurrent.futures import Future
from typing import NamedTuple

from .frames import Splitter, decode_reply, encode_request, reply_length
from .secured import Secured
from .tables import DEFAULT_PROJECT, status_class
from .values import NO_ID, Fault

RECEIVE_BYTES = 65_536


class Reply(NamedTuple):
    """The answer to one request."""

    opcode: str
    status: str
    form: str
    body: dict

    @property
    def status_class(self):
        return status_class(self.status)


class HelloRefused(Exception):
    """The server said no to HELLO, and closed."""

    def __init__(self, reply):
        super().__init__(f"{reply.status}: {reply.body}")
        self.reply = reply


class NotApplied(Exception):
    """The request was not sent, or the server said that it never read it: it may be sent elsewhere."""


class Unanswered(Exception):
    """The connection ended before the reply: the outcome is unknown."""


def hello_body(session=NO_ID, epoch=0, **more):
    """The body of HELLO; `more` are its other fields."""
    body = {"version_min": 1, "version_max": 1, "features": 0, "epoch": str(epoch), "session": session}
    return body | {"client": "interop/1"} | more


def request(opcode, request_id, body, network=NO_ID, timeout_ms=0, project=DEFAULT_PROJECT, **more):
    """The bytes of a request; `more` are other members of its header."""
    header = {
        "opcode": opcode, "request_id": str(request_id), "timeout_ms": timeout_ms, "project": project,
        "network": network,
    }
    return encode_request(header | more, body)


class Connection:
    """A connection that HELLO was answered on.

    Any thread may submit. Holding `reading` keeps the connection from taking any reply, so that all requests stay
    without one. `on_end` is called once, when no more replies can come. `tls` is what `secured.tls` gives.
    """

    def __init__(self, address, on_end=None, tls=None, **hello):
        self._socket = socket.create_connection(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self._secure(tls, address[0])
        self._splitter, self._on_end = Splitter(reply_length), on_end
        self._sending, self._changed, self.reading = threading.Lock(), threading.Condition(), threading.Lock()
        self._waiting, self._last_id, self._ended = {}, 1, False
        self.goaway, self.error, self.fault, self.lost, self.told = None, None, None, None, []
        self.hello = self._greet(hello)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _secure(self, tls, server_name):
        try:
            self._socket = Secured(self._socket, tls, server_name)
        except BaseException:
            self._socket.close()
            raise

    @property
    def protocol(self):
        """Of TLS: the one that the server chose of those that were named."""
        return self._socket.protocol

    def _greet(self, hello):
        try:
            self._socket.sendall(request("hello", 1, hello_body(**hello)))
            frames = []
            while not frames:
                data = self._socket.recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("closed before HELLO was answered")
                frames = self._splitter.feed(data)
            header, form, body = decode_reply(frames[0])
            if header["status"] != "OK":
                raise HelloRefused(Reply("hello", header["status"], form, body))
        except BaseException:
            self._socket.close()
            raise
        return body

    @property
    def waiting(self):
        """How many requests have no reply yet."""
        return len(self._waiting)

    def submit(self, opcode, body, network=NO_ID, timeout_ms=0, **header):
        """Sends a request as soon as there is credit; the future has a `Reply`, or says why there is none."""
        future = Future()
        with self._sending:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self.waiting < self.hello["credit"])
                if self._closing:
                    raise NotApplied("the connection is closing")
                self._last_id += 1
                self._waiting[self._last_id] = future
            future.request_id = self._last_id
            try:
                self._socket.sendall(request(opcode, self._last_id, body, network, timeout_ms, **header))
            except OSError:
                self.cut()
        return future

    def call(self, opcode, body, network=NO_ID, timeout_ms=0, **header):
        """Sends a request and waits for its reply."""
        return self.submit(opcode, body, network, timeout_ms, **header).result()

    @property
    def _closing(self):
        return self._ended or self.goaway is not None

    def _read(self):
        try:
            while data := self._socket.recv(RECEIVE_BYTES):
                with self.reading:
                    for frame in self._splitter.feed(data):
                        self._take(*decode_reply(frame))
        except OSError as error:
            self.lost = error
        except Fault as fault:
            self.fault = fault
        finally:
            self._end()

    def _take(self, header, form, body):
        if header["opcode"] == "error":
            self.error = body
        elif header["opcode"] == "goaway":
            self._leave(body)
        elif header["opcode"] in ("events", "watch_end"):
            with self._changed:
                self.told.append((header["opcode"], body))
                self._changed.notify_all()
        else:
            with self._changed:
                future = self._waiting.pop(int(header["request_id"]), None)
                self._changed.notify_all()
            if future is None:
                raise Fault("MALFORMED", "request_id")
            future.set_result(Reply(header["opcode"], header["status"], form, body))

    def next_told(self):
        """The next frame of a watch, as (operation, body)."""
        with self._changed:
            self._changed.wait_for(lambda: self.told or self._ended)
            if not self.told:
                raise Unanswered("the connection ended")
            return self.told.pop(0)

    def _leave(self, goaway):
        """Nothing new is sent; what was sent behind the last request that was read is known not to be applied."""
        with self._changed:
            self.goaway = goaway
            unread = [number for number in self._waiting if number > int(goaway["last_request_id"])]
            futures = [self._waiting.pop(number) for number in unread]
            self._changed.notify_all()
        for future in futures:
            future.set_exception(NotApplied("not read before GOAWAY"))

    def _end(self):
        with self._changed:
            self._ended = True
            futures, self._waiting = list(self._waiting.values()), {}
            self._changed.notify_all()
        self._socket.close()
        for future in futures:
            future.set_exception(Unanswered("the connection ended"))
        if self._on_end:
            self._on_end(self)

    def cut(self):
        """Ends both directions at once, whatever is under way."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def join(self):
        """Waits until the connection has ended."""
        self._reader.join()

    def close(self):
        self.cut()
        if threading.current_thread() is not self._reader:
            self.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
