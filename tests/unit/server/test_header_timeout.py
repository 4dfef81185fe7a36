"""Whoever sends half a request is not waited for without end, and everybody else is answered."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kitestring.server.context import Context
from kitestring.server.http import header_timeout, middleware
from kitestring.server.run import Server
from kitestring.server.settings import Settings

pytestmark = pytest.mark.slow

HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
TOKEN = b"POST /v1/applications/token HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Where a server listens that has little patience."""
    monkeypatch.setattr(header_timeout, "HEADERS_S", 1.0)
    monkeypatch.setattr(middleware, "OPEN_BODY_S", 1.0)
    context = Context.of(Settings(home=home, port=0))
    server = Server(context, work=False)
    server.start()
    yield "127.0.0.1", int(server.url.rpartition(":")[2])
    server.stop()
    context.close()


def until_closed(line: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    data = b""
    while block := line.recv(65536):
        data += block
    return data


@pytest.mark.parametrize("begun", [b"", b"GET /v1/hea", TOKEN + b"X-More: "])
def test_a_request_that_does_not_go_on_is_ended(place: tuple[str, int], begun: bytes) -> None:
    with socket.create_connection(place, timeout=300) as line:
        line.sendall(begun)
        assert until_closed(line) == b""


def test_a_second_request_on_a_connection_has_no_more_time_than_the_first(place: tuple[str, int]) -> None:
    with socket.create_connection(place, timeout=300) as line:
        for _ in range(3):
            line.sendall(HEALTH)
            data = b""
            while not data.endswith(b"Successful operation"):
                data += line.recv(65536)
        line.sendall(HEALTH[:20])
        assert until_closed(line) == b""


@pytest.mark.parametrize("length", [b"Content-Length: 9\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"])
def test_a_body_that_does_not_go_on_is_answered_and_ended(place: tuple[str, int], length: bytes) -> None:
    with socket.create_connection(place, timeout=300) as line:
        line.sendall(TOKEN + length)
        assert until_closed(line).startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 "))
