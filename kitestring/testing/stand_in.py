"""The base of the vendor stand-ins: a loopback HTTP server that plays an API, keeps a journal and fails on demand.

A stand-in subclasses `StandIn` and marks its answers with `@route`:

    class Weather(StandIn):
        @route("GET", "/days/{day}")
        def day(self, call: Call, day: str) -> Any:
            return {"day": day, "celsius": 21}

    with Weather(faults=Faults(seed=7, server_error=0.1)) as weather:
        Session(base_url=weather.url).get("/days/monday")
"""

from __future__ import annotations

import random
import re
import socket
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from typing import Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

FaultKind = Literal["rate_limit", "server_error", "drop", "slow", "truncated", "not_json"]
KINDS: tuple[FaultKind, ...] = ("rate_limit", "server_error", "drop", "slow", "truncated", "not_json")
HTML_PAGE = b"<!doctype html><html><head><title>Maintenance</title></head><body><h1>Back soon</h1></body></html>"


@dataclass(slots=True)
class Call:
    """One request as it came in, and the status it was answered with (0 while open, or where the line was cut)."""

    method: str
    path: str
    params: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)
    status: int = 0
    fault: FaultKind | None = None

    def param(self, name: str, default: str = "") -> str:
        return self.params[name][-1] if name in self.params else default

    def json(self) -> Any:
        return orjson.loads(self.body) if self.body else None

    def line(self) -> str:
        """`GET /path?a=1&b=2`, parameters sorted: for golden files."""
        query = "&".join(f"{k}={v}" for k in sorted(self.params) for v in self.params[k])
        return f"{self.method} {self.path}" + (f"?{query}" if query else "")


@dataclass(slots=True)
class Answer:
    """A response: bytes as they are, anything else as JSON."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            self.headers.setdefault("Content-Type", "text/plain; charset=utf-8")
            return self.body.encode()
        self.headers.setdefault("Content-Type", "application/json; charset=utf-8")
        return orjson.dumps(self.body)


class Faults:
    """How often which fault happens: shares of all calls, drawn from `seed`, and a queue for what must happen next.

    `on` limits the shares to paths that match. `retry_after_s` goes into the 429's header, `slow_s` is the delay of a
    slow answer.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        rate_limit: float = 0.0,
        server_error: float = 0.0,
        drop: float = 0.0,
        slow: float = 0.0,
        truncated: float = 0.0,
        not_json: float = 0.0,
        retry_after_s: int = 1,
        slow_s: float = 0.2,
        on: str = "",
    ) -> None:
        self.shares: dict[FaultKind, float] = {
            "rate_limit": rate_limit,
            "server_error": server_error,
            "drop": drop,
            "slow": slow,
            "truncated": truncated,
            "not_json": not_json,
        }
        self.retry_after_s = retry_after_s
        self.slow_s = slow_s
        self._on = re.compile(on)
        self._random = random.Random(seed)
        self._next: deque[tuple[FaultKind, re.Pattern[str]]] = deque()
        self._lock = threading.Lock()

    def next(self, kind: FaultKind, times: int = 1, on: str = "") -> None:
        """Let the next `times` calls to a path that matches `on` fail in this way."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is not one of {', '.join(KINDS)}")
        with self._lock:
            self._next.extend([(kind, re.compile(on))] * times)

    def draw(self, path: str) -> FaultKind | None:
        with self._lock:
            for i, (kind, pattern) in enumerate(self._next):
                if pattern.search(path):
                    del self._next[i]
                    return kind
            if not any(self.shares.values()) or not self._on.search(path):
                return None
            at = self._random.random()
            for kind, share in self.shares.items():
                if at < share:
                    return kind
                at -= share
        return None


class Limit:
    """A true rate limit: at most `calls` in any `per_s` seconds on the paths that match; beyond it, 429."""

    def __init__(self, calls: int, per_s: float = 60.0, on: str = "") -> None:
        self.calls = calls
        self.per_s = per_s
        self.on = re.compile(on)
        self._times: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> tuple[bool, int, float]:
        """Whether the call may pass, how many remain, and the seconds until the oldest leaves the window."""
        with self._lock:
            now = time.monotonic()
            while self._times and now - self._times[0] >= self.per_s:
                self._times.popleft()
            allowed = len(self._times) < self.calls
            if allowed:
                self._times.append(now)
            reset_s = self._times[0] + self.per_s - now if self._times else 0.0
            return allowed, self.calls - len(self._times), reset_s


class Quota(Limit):
    """`calls` calls, then refusals until `per_s` seconds after the first of them, and so on: unlike a `Limit` it runs
    out also for a client that is slow."""

    def __init__(self, calls: int, per_s: float = 60.0, on: str = "") -> None:
        super().__init__(calls, per_s, on)
        self._used = 0
        self._until: float | None = None

    def take(self) -> tuple[bool, int, float]:
        with self._lock:
            now = time.monotonic()
            if self._until is not None and now >= self._until:
                self._used, self._until = 0, None
            allowed = self._used < self.calls
            if allowed:
                self._used += 1
            elif self._until is None:
                self._until = now + self.per_s
            return allowed, self.calls - self._used, self.per_s if self._until is None else self._until - now


Method = TypeVar("Method", bound=Callable[..., Any])


def route(verb: str, path: str) -> Callable[[Method], Method]:
    """Answer this verb on this path; `{name}` matches one segment and becomes an argument, `.json` may follow."""

    def mark(method: Method) -> Method:
        marks = getattr(method, "__routes__", [])
        method.__routes__ = [*marks, (verb, path)]  # type: ignore[attr-defined]
        return method

    return mark


class StandIn:
    """A vendor's API on 127.0.0.1. Starts with `start()` or as a context manager; `close()` frees the port."""

    name: ClassVar[str] = "stand-in"
    clock_ahead_s: float = 0.0
    """How far the clock of this server is ahead, in the `Date` of its answers."""

    def __init__(
        self,
        *,
        port: int = 0,
        faults: Faults | None = None,
        limits: tuple[Limit, ...] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.limits = limits
        self.requests: list[Call] = []
        self._tls = tls
        self._port = port
        self._routes = list(self._compiled())
        self._server: _Server | None = None
        self._closing = threading.Event()

    # What a stand-in may override

    def authorize(self, call: Call) -> Answer | None:
        """The refusal of a call without the right credentials, or None."""
        return None

    def refuse(self, status: int, message: str) -> Answer:
        """An error in the vendor's own form."""
        return Answer(status, {"error": message})

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        """The headers with which the vendor reports a limit."""
        return {"X-RateLimit-Limit": str(limit.calls), "X-RateLimit-Remaining": str(remaining)}

    def rate_limited(self, wait_s: float) -> Answer:
        """The answer beyond a limit."""
        answer = self.refuse(429, "Too many requests")
        answer.headers["Retry-After"] = str(ceil(wait_s))
        return answer

    # The server

    def start(self) -> Self:
        if self._server is None:
            self._closing.clear()
            self._server = _Server(("127.0.0.1", self._port), self, self._tls)
            thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name=self.name, daemon=True)
            thread.start()
        return self

    def close(self) -> None:
        if self._server is not None:
            self._closing.set()
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError("the stand-in is not started")
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def connections(self) -> int:
        """How many connections were opened since the start."""
        return self._server.opened if self._server else 0

    def calls(self, path: str = "", method: str = "") -> list[Call]:
        """The journal: calls whose path matches a regular expression."""
        pattern = re.compile(path)
        return [c for c in list(self.requests) if pattern.search(c.path) and method in ("", c.method)]

    def answer(self, call: Call) -> Answer:
        """The answer to a call, as if no fault happened."""
        headers: dict[str, str] = {}
        for limit in self.limits:
            if limit.on.search(call.path):
                allowed, remaining, reset_s = limit.take()
                headers.update(self.rate_headers(limit, remaining, reset_s))
                if not allowed:
                    refused = self.rate_limited(reset_s)
                    refused.headers = {**headers, **refused.headers}
                    return refused
        answer = self.authorize(call) or self._routed(call)
        answer.headers = {**headers, **answer.headers}
        return answer

    def _routed(self, call: Call) -> Answer:
        other_verb = False
        for verb, pattern, method in self._routes:
            match = pattern.fullmatch(call.path)
            if match is None:
                continue
            if verb != call.method:
                other_verb = True
                continue
            answer = method(call, **{k: unquote(v) for k, v in match.groupdict().items()})
            return answer if isinstance(answer, Answer) else Answer(200, answer)
        return self.refuse(405, "Method not allowed") if other_verb else self.refuse(404, "Not found")

    def _compiled(self) -> Iterator[tuple[str, re.Pattern[str], Callable[..., Any]]]:
        for parent in type(self).__mro__:
            for attribute, member in vars(parent).items():
                for verb, path in getattr(member, "__routes__", ()):
                    text = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+?)", re.escape(path))
                    yield verb, re.compile(text + r"(?:\.json)?"), getattr(self, attribute)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], stand_in: StandIn, tls: ssl.SSLContext | None) -> None:
        self.stand_in = stand_in
        self.opened = 0
        self._open: set[socket.socket] = set()
        self._tls = tls
        super().__init__(address, _Exchange)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._tls is not None:
            # The handshake happens in the connection's own thread, at its first read.
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self.opened += 1
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Cut the connections that clients keep alive."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | ssl.SSLError | TimeoutError):
            super().handle_error(request, client_address)


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def handle_call(self) -> None:
        stand_in = self.server.stand_in
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        call = Call(
            self.command,
            parts.path,
            parse_qs(parts.query, keep_blank_values=True),
            {k.lower(): v for k, v in self.headers.items()},
            self.rfile.read(length) if length else b"",
        )
        stand_in.requests.append(call)
        call.fault = fault = stand_in.faults.draw(call.path)
        if fault == "drop":
            self.close_connection = True
            return
        if fault == "slow":
            stand_in._closing.wait(stand_in.faults.slow_s)
        if fault == "rate_limit":
            answer = stand_in.rate_limited(stand_in.faults.retry_after_s)
        elif fault == "server_error":
            answer = stand_in.refuse(503, "Service unavailable")
        elif fault == "not_json":
            answer = Answer(200, HTML_PAGE, {"Content-Type": "text/html"})
        else:
            answer = stand_in.answer(call)
        call.status = answer.status
        content = answer.content()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name in answer.headers):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault == "truncated":
            content = content[: len(content) // 2]
            self.close_connection = True
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_call

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.server.stand_in.clock_ahead_s)

    def version_string(self) -> str:
        return self.server.stand_in.name

    def log_message(self, format: str, *args: Any) -> None:
        """The journal keeps the calls; standard error stays free."""


def serve(stand_in: StandIn) -> None:
    """Run until Ctrl-C; prints the address on a line of its own, for users and for other processes."""
    with stand_in:
        try:
            sys.stdout.write(stand_in.url + "\n")
            sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.stderr.write(f"{len(stand_in.requests)} requests\n")
