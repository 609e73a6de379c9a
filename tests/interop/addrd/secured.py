"""TLS 1.3 below a connection (SPEC.md section 4, "TLS"): whom to believe, what to show, and a stream that is read and
written by two threads."""

import ssl
import threading

PROTOCOL = "addrd/1"
RECORD_BYTES = 16_384


def tls(ca, certificate=None, key=None, protocols=(PROTOCOL,)):
    """How to speak: with servers that a CA of the PEM file `ca` signed, showing `certificate` if there is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(ca)
    if certificate:
        context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(list(protocols))
    return context


class Secured:
    """What a connection needs of a socket, inside TLS.

    One thread may send while another receives. TLS itself is for one thread at a time, but nobody waits for a socket
    while holding it: else a peer that waits for us to read would be waited for to read.
    """

    def __init__(self, plain, context, server_name):
        self._plain, self._sending, self._turn = plain, threading.Lock(), threading.Lock()
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=server_name)
        self._shake_hands()

    def _shake_hands(self):
        is_done = False
        while not is_done:
            try:
                self._tls.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                pass
            self._plain.sendall(self._goes.read())
            if not is_done:
                self._take(self._plain.recv(RECORD_BYTES))

    def _take(self, data):
        if data:
            self._came.write(data)
        else:
            self._came.write_eof()

    @property
    def protocol(self):
        """The protocol that the server chose of those that were named."""
        return self._tls.selected_alpn_protocol()

    def sendall(self, data):
        # Records leave in the order in which they were made.
        with self._sending:
            with self._turn:
                self._tls.write(data)
                records = self._goes.read()
            self._plain.sendall(records)

    def recv(self, count):
        """The next bytes; none behind the server's farewell (close_notify). An end without one is an error."""
        while True:
            with self._turn:
                try:
                    return self._tls.read(count)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLZeroReturnError:
                    return b""
            data = self._plain.recv(RECORD_BYTES)
            with self._turn:
                self._take(data)

    def shutdown(self, how):
        self._plain.shutdown(how)

    def close(self):
        self._plain.close()
