"""An HTTP proxy in front of an S3 store that does on purpose what networks and stores do by chance.

Requests pass through it byte for byte, so signatures stay good. A fault hits a share of the requests, drawn
with a fixed seed, a number of times at most; of several, the first that is drawn.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
_HOP = {"connection", "keep-alive", "transfer-encoding"}

KINDS = (
    "slow_down",  # 503, the store sees nothing
    "latency",  # half a second more
    "reset",  # the connection is cut before the store sees anything
    "cut_upload",  # half of the body reaches the store, then both connections are cut
    "cut_download",  # half of the answer's body, then the connection is cut
    "lost_reply",  # the store did it, the answer is lost
    "keys_kept",  # a DELETE of many keys is answered with 200 and an error for each; the store sees nothing
)


def _kept(body: bytes) -> bytes:
    keys = re.findall(rb"<Key>(.*?)</Key>", body)
    errors = (b"<Error><Key>%s</Key><Code>InternalError</Code></Error>" % key for key in keys)
    return b'<?xml version="1.0" encoding="UTF-8"?><DeleteResult>%s</DeleteResult>' % b"".join(errors)


@dataclass(frozen=True)
class Fault:
    """Of requests whose method is `method` ("" for all), `share` are hit, `times` at most."""

    kind: str
    share: float = 1.0
    times: int = 1 << 30
    method: str = ""

    def fits(self, method: str, path: str, body: int) -> bool:
        """Whether a request can be hit at all."""
        useless = self.kind == "cut_upload" and body < 2
        useless |= self.kind == "keys_kept" and "?delete" not in path
        return not useless and self.method in ("", method)


class Proxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, endpoint: str, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        url = urlsplit(endpoint)
        self.upstream = (str(url.hostname), int(url.port or 80))
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        self._faults: tuple[Fault, ...] = ()
        self._draw, self._lock = random.Random(seed), threading.Lock()
        self._hits: Counter[Fault] = Counter()

    def inject(self, *faults: Fault) -> None:
        with self._lock:
            self._faults, self._hits = faults, Counter()

    def heal(self) -> int:
        """No more faults; returns how many there were."""
        with self._lock:
            self._faults = ()
            return self._hits.total()

    def choose(self, method: str, path: str, body: int) -> str:
        """The kind of fault that this request meets, "" for none."""
        with self._lock:
            for fault in self._faults:
                if not fault.fits(method, path, body) or self._hits[fault] >= fault.times:
                    continue
                if self._draw.random() < fault.share:
                    self._hits[fault] += 1
                    return fault.kind
        return ""

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is gone is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def handle_expect_100(self) -> bool:
        return super().handle_expect_100()

    def _pass(self) -> None:
        body = self._body()
        kind = self.server.choose(self.command, self.path, len(body))
        if kind == "reset":
            return self._cut()
        if kind == "slow_down":
            return self._answer(503, {"Content-Type": "application/xml"}, _SLOW_DOWN)
        if kind == "keys_kept":
            return self._answer(200, {"Content-Type": "application/xml"}, _kept(body))
        if kind == "latency":
            time.sleep(0.5)
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=60)
        with contextlib.closing(upstream):
            self._send(upstream, body[: len(body) // 2] if kind == "cut_upload" else body)
            if kind == "cut_upload":
                upstream.close()
                return self._cut()
            reply = upstream.getresponse()
            data = reply.read()
            if kind == "lost_reply":
                return self._cut()
            headers = {k: v for k, v in reply.getheaders() if k.lower() not in _HOP}
            self._answer(reply.status, headers, data, len(data) // 2 if kind == "cut_download" else None)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, upstream: http.client.HTTPConnection, body: bytes) -> None:
        """The client's own headers, its Content-Length too: a truncated body is short of it."""
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {*_HOP, "expect"}:
                upstream.putheader(name, value)
        if "Transfer-Encoding" in self.headers:
            upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders()
        upstream.send(body)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command != "HEAD" and "content-length" not in {h.lower() for h in headers} and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self._cut()

    def _cut(self) -> None:
        """RST, as a machine that died sends."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


@contextlib.contextmanager
def proxy(endpoint: str, seed: int = 20260110) -> Iterator[Proxy]:
    found = Proxy(endpoint, seed)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.shutdown()
        found.server_close()
