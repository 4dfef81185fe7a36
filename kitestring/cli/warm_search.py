"""The client of the search daemon: `kitestring search` without loading model and store each time.

The daemon (`search_daemon.py`) listens on a Unix socket in the project's home, in a folder that only its user can
open. It starts with the first search. Whatever goes wrong with it, the search runs in this process instead.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitestring.cli.search_answer import answer_of
from kitestring.cli.search_channel import (
    ANSWER_S,
    LOOK_S,
    PAUSE_S,
    RELEASE_S,
    SOCKET,
    START_S,
    TRIES,
    connected,
    exchange,
    folder_of,
    identity,
    idle_s,
    is_private,
)
from kitestring.home_folder import private

if TYPE_CHECKING:
    from kitestring.destination import Destination


def search(home: Path, project: Path, request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The daemon's answer, `{"hits": …}` or `{"error": …}`; None if there can be none."""
    if not idle_s() or not hasattr(socket, "AF_UNIX"):
        return None
    with contextlib.suppress(OSError, ValueError):
        if not is_private(make_private(folder_of(home))):
            return None
        for _ in range(TRIES):  # one that ends may still take connections for a moment
            connection = connected(home) or started(home, project)
            if connection is None:
                return None
            answer = exchange(connection, {**request, **identity()})
            if answer is not None and not answer.get("ended"):
                return answer
            time.sleep(PAUSE_S)
    return None


def make_private(folder: Path) -> Path:
    private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def started(home: Path, project: Path) -> socket.socket | None:
    """Start a daemon, and connect to it. Several clients may do so at once: one daemon stays."""
    with (folder_of(home) / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kitestring.cli.search_daemon", str(project), str(home)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        connection = connected(home)
        if connection is not None:
            return connection
        if process.poll() not in (None, 0):
            return None
        time.sleep(0.02)
    return None


# -- a sync that writes where one process at a time can open ---------------------------------------------------------


@contextlib.contextmanager
def owner_of_place(home: Path, destination: Destination) -> Iterator[None]:
    """While a sync has a place open that one process at a time can open, it answers the searches of the daemon, which
    closes the place first."""
    place = destination.exclusive_place() if hasattr(socket, "AF_UNIX") else None
    if place is None or not idle_s():
        yield
        return
    owner = PlaceOwner(home, place, destination)
    owner.start()
    try:
        yield
    finally:
        owner.end()


class PlaceOwner:
    """Offers a destination to the daemon, if one runs or starts meanwhile."""

    def __init__(self, home: Path, place: str, destination: Destination) -> None:
        self._home = home
        self._place = place
        self._destination = destination
        self._ended = threading.Event()
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, name="search-owner", daemon=True)

    def start(self) -> None:
        """Have the daemon close the place; returns when it has."""
        self._connection = self._offered()
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(ANSWER_S)
        self._destination.close()  # a search may have opened it again after the sync

    def _offered(self) -> socket.socket | None:
        with contextlib.suppress(OSError):
            folder = folder_of(self._home)
            if not folder.exists() or not is_private(folder):
                return None
            # In a thread of a sync, the working folder is not this one's to change.
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(RELEASE_S)
                connection.connect(str(folder / SOCKET))
                connection.sendall(json.dumps({"own": self._place, **identity()}).encode() + b"\n")
                if connection.recv(1) != b"\n":
                    raise OSError("the daemon has ended")
                connection.settimeout(None)
            except OSError:
                connection.close()
                raise
            return connection
        return None

    def _serve(self) -> None:
        while not self._ended.is_set():
            if self._connection is None:
                self._connection = self._offered()
            connection = self._connection
            if connection is not None:
                with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
                    for line in lines:
                        connection.sendall(answer_of(self._destination, json.loads(line)) + b"\n")
                self._connection = None
            self._ended.wait(LOOK_S)
