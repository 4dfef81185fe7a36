"""The channel to the search daemon of a project: a Unix socket in a folder that only its user can open."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

IDLE = "KITESTRING_SEARCH_DAEMON_S"
IDLE_S = 300.0
SOCKET = "search.sock"
START_S, ANSWER_S, RELEASE_S, LOOK_S = 20.0, 330.0, 5.0, 1.0
TRIES, PAUSE_S = 4, 0.1
VOLATILE = ("_", "PWD", "OLDPWD", "SHLVL", "TERM", "COLUMNS", "LINES", "LS_COLORS", "WINDOWID", "TMUX_PANE")
"""Variables that differ between terminals and change no search."""
VOLATILE_PREFIXES = ("SSH_", "TERM_", "VTE_", "XDG_SESSION", "PYTEST_", "COV_")


def idle_s(environment: Mapping[str, str] = os.environ) -> float:
    """The seconds after which an unused daemon ends; 0: there is none."""
    try:
        return max(0.0, float(environment.get(IDLE) or IDLE_S))
    except ValueError:
        return IDLE_S


def folder_of(home: Path) -> Path:
    return home / "search"


def identity() -> dict[str, str]:
    """What a daemon shares with its clients: the program, and the environment, from which secrets come."""
    from kitestring import __version__

    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in VOLATILE and not name.startswith(VOLATILE_PREFIXES)
    }
    digest = hashlib.sha256(json.dumps(variables, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()
    return {"program": f"{__version__} {sys.executable} {Path(__file__).stat().st_mtime_ns}", "environment": digest}


def is_private(folder: Path) -> bool:
    """Whether only this user can put a socket there."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def connected(home: Path) -> socket.socket | None:
    """A connection to the daemon; None if none runs."""
    with contextlib.suppress(OSError), inside(folder_of(home)):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(SOCKET)
        except OSError:
            connection.close()
            raise
        return connection
    return None


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Go to a folder: the address of a socket has at most about 100 characters."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def exchange(connection: socket.socket, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer to a request; None if the daemon has ended without one."""
    import orjson

    line = b""
    with connection, contextlib.suppress(ConnectionError):
        connection.settimeout(ANSWER_S)
        connection.sendall(orjson.dumps(request) + b"\n")
        line = connection.makefile("rb").readline()
    answer = orjson.loads(line) if line.endswith(b"\n") else None
    return answer if isinstance(answer, dict) else None
