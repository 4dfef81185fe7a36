"""Tracks the open connections of a session, so that closing it ends a read that waits for a silent server."""

from __future__ import annotations

import contextlib
import socket
import weakref
from typing import Any, TypeAlias, TypeVar

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

Connections: TypeAlias = "weakref.WeakSet[HTTPConnection]"
Manager = TypeVar("Manager", bound=urllib3.PoolManager)


def track_connections(manager: Manager, connections: Connections) -> Manager:
    """The same manager; its new connections are added to `connections`."""

    class Http(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            connections.add(self)

    class Https(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            connections.add(self)

    class HttpPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Https

    manager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}
    return manager


PROBES = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6))
"""Seconds of silence before the first probe, seconds between probes, and the number of probes without an answer."""


def keep_alive_options() -> list[tuple[int, int, int]]:
    """Socket options that make the system probe idle connections, where it supports them."""
    options = [(socket.IPPROTO_TCP, getattr(socket, name), n) for name, n in PROBES if hasattr(socket, name)]
    return [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *options]


def hang_up(connections: Connections) -> None:
    """End all reads and writes; threads that wait in one get an error at once."""
    for connection in list(connections):
        sock: Any = connection.sock
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown: it removes the TLS state while a thread still reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
