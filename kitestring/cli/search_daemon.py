"""The search daemon of a project: models and stores stay open between the searches of the command line.

    python -m kitestring.cli.search_daemon PROJECT_FILE HOME

It ends after `KITESTRING_SEARCH_DAEMON_S` without a search, when a client has another environment or version, and when
it holds much memory. One runs for a project: it has a lock. It listens on a socket that only its user can open.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from kitestring.cli import search_channel
from kitestring.cli.global_options import CliContext
from kitestring.cli.search_answer import answer_of, error_answer
from kitestring.cli.search_destination import searchable_destination
from kitestring.errors import KitestringError, TransientError

if TYPE_CHECKING:
    from kitestring.library import DestinationHandle

LOCK_S, LOOK_S, HELLO_S = 10.0, 0.5, 10.0
REFRESH_S = 60.0
"""After so long a connection is opened again: others may change the collection. A model stays in memory."""
EXCLUSIVE_IDLE_S = 2.0
"""A place that one process at a time can open is closed after so long without a search, for other programs: `kitestring
ask` waits for it a little longer (`LOCK_WAIT_S`)."""
MEMORY_MB, TRIES = 1024, 5


@dataclass(eq=False)
class OpenDestination:
    """A destination of the project that is open. Searches take turns."""

    handle: DestinationHandle
    place: str | None
    opened_at: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)
    turn: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False


@dataclass(eq=False)
class Owner:
    """A sync that has a place open and answers searches there."""

    connection: socket.socket
    turn: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, request: Mapping[str, Any]) -> bytes:
        """The line of the answer; empty if the sync has ended."""
        with self.turn, contextlib.suppress(OSError):
            self.connection.settimeout(search_channel.ANSWER_S)
            self.connection.sendall(orjson.dumps(request) + b"\n")
            line = bytearray()
            while not line.endswith(b"\n"):
                part = self.connection.recv(1 << 16)
                if not part:
                    return b""
                line += part
            return bytes(line)
        return b""


class SearchDaemon:
    """Answers searches of one project."""

    def __init__(self, project: Path, idle_s: float) -> None:
        self.project = project
        self.idle_s = idle_s
        self.identity = search_channel.identity()
        self.ended = threading.Event()
        self._listener: socket.socket | None = None
        self._version: tuple[int, int] | None = None
        self._cli = CliContext()
        self._open: dict[str, OpenDestination] = {}
        self._owners: dict[str, Owner] = {}
        self._lock = threading.Lock()
        self._used_at = time.monotonic()
        self._active = 0

    def serve(self, listener: socket.socket) -> None:
        """Answer until there is nothing to do for a while."""
        self._listener = listener
        listener.settimeout(LOOK_S)
        while not self.ended.is_set():
            with contextlib.suppress(OSError):  # nobody came in this time, or it was shut down
                connection, _ = listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()
            self._close_idle()
            if not self._active and time.monotonic() - self._used_at > self.idle_s:
                self.ended.set()
        listener.close()
        for entry in list(self._open.values()):
            with entry.turn, contextlib.suppress(Exception):
                entry.handle.close()

    def _end(self) -> None:
        """Take no more connections."""
        self.ended.set()
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError), self._counted():
            if not of_same_user(connection):
                return
            connection.settimeout(HELLO_S)
            with connection.makefile("rb") as lines:
                request = orjson.loads(lines.readline())
            connection.settimeout(None)
            if not isinstance(request, dict):
                return
            if {name: request.get(name) for name in self.identity} != self.identity:
                self._end()
                connection.sendall(b'{"ended": true}\n')
            elif "own" in request:
                self._give_away(str(request["own"]), connection)
            else:
                connection.sendall(self._search(request) + b"\n")
                if memory_mb() > MEMORY_MB:
                    self._end()

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._active += 1
        try:
            yield
        finally:
            with self._lock:
                self._active -= 1
                self._used_at = time.monotonic()

    def _search(self, request: Mapping[str, Any]) -> bytes:
        """The answer to a search as JSON, without an end of line."""
        for attempt in range(TRIES):
            try:
                entry, is_new = self._opened(request)
                owner = self._owners.get(entry.place or "")
                if owner is not None:
                    line = owner.ask({"text": request["text"], "options": request["options"]})
                    if line:
                        return line[:-1]
                    self._owners.pop(entry.place or "", None)
                with entry.turn:
                    if entry.closed:  # meanwhile, for a sync
                        continue
                    answer = answer_of(entry.handle.connector, request, self._cli.secrets)
                    entry.used_at = time.monotonic()
            except KitestringError as error:
                return error_answer(error, self._cli.secrets)
            if attempt or is_new or not answer.startswith(b'{"error"'):
                return answer
            self._close([entry])  # what was open may be the cause: a server that was restarted
        closed = TransientError("the destination was closed while it was searched", hint="Search again.")
        return error_answer(closed, self._cli.secrets)

    def _opened(self, request: Mapping[str, Any]) -> tuple[OpenDestination, bool]:
        """The destination of a search, and whether it was opened now."""
        with self._lock:
            stale = self._changed()
        self._close(stale)
        with self._lock:
            name = f"{request['destination']}\0{request['connection']}"
            entry = self._open.get(name)
            if entry is not None:
                fresh = entry.place is not None or time.monotonic() - entry.opened_at < REFRESH_S
                if fresh:
                    return entry, False
        if entry is not None:
            self._close([entry])
        with self._lock:
            handle = searchable_destination(self._cli, request["connection"], request["destination"], None)
            entry = OpenDestination(handle, handle.connector.exclusive_place())
            self._open[name] = entry
        return entry, True

    def _changed(self) -> list[OpenDestination]:
        """Read the project file again if it was changed; the destinations of the file before."""
        status = self.project.stat()
        version = (status.st_mtime_ns, status.st_size)
        if version == self._version:
            return []
        stale, self._open = list(self._open.values()), {}
        self._cli = CliContext(project=str(self.project), cwd=self.project.parent)
        self._cli.needed  # noqa: B018 - reads the file, and goes to its folder
        self._version = version
        return stale

    def _give_away(self, place: str, connection: socket.socket) -> None:
        """Close a place for a sync, which answers its searches from now on."""
        self._owners[place] = Owner(connection)
        self._close([entry for entry in list(self._open.values()) if entry.place == place])
        connection.sendall(b"\n")
        while not self.ended.is_set() and self._owners.get(place) is not None:
            owner = self._owners[place]
            if owner.connection is not connection:
                return
            with owner.turn:  # it ends when the sync does
                readable = select.select([connection], [], [], 0)[0]
                if readable and connection.recv(1, socket.MSG_PEEK) == b"":
                    self._owners.pop(place, None)
                    return
            with self._lock:
                self._used_at = time.monotonic()
            time.sleep(LOOK_S / 10)

    def _close_idle(self) -> None:
        now = time.monotonic()
        limit = {entry: self.idle_s if entry.place is None else EXCLUSIVE_IDLE_S for entry in self._open.values()}
        self._close([entry for entry, limit_s in limit.items() if now - entry.used_at > limit_s], busy=False)

    def _close(self, entries: list[OpenDestination], busy: bool = True) -> None:
        """Close these when their searches have ended; without `busy`, only those that none uses."""
        for entry in entries:
            if entry.turn.acquire(blocking=busy):
                try:
                    entry.closed = True
                    with self._lock:
                        self._open = {name: other for name, other in self._open.items() if other is not entry}
                    with contextlib.suppress(Exception):
                        entry.handle.close()
                finally:
                    entry.turn.release()


def of_same_user(connection: socket.socket) -> bool:
    """Whether the other end is a process of this user, where the system says so."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", data)[1] == os.getuid())


def memory_mb() -> int:
    from kitestring.server.child.search_calls import memory_mb as used_mb

    return used_mb()


def listening(folder: Path) -> tuple[socket.socket, int] | None:
    """The socket, and the descriptor of the lock that keeps it; None if another daemon runs."""
    os.umask(0o077)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if search_channel.connected(folder.parent) is not None or time.monotonic() > deadline:
                os.close(lock)
                return None
            time.sleep(0.05)
    with search_channel.inside(folder):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(search_channel.SOCKET)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(search_channel.SOCKET)
        os.chmod(search_channel.SOCKET, 0o600)
        listener.listen(64)
    return listener, lock


def main() -> None:
    project, folder = Path(sys.argv[1]), search_channel.folder_of(Path(sys.argv[2]))
    if not search_channel.is_private(folder):
        raise SystemExit(f"{folder} can be changed by other users")
    opened = listening(folder)
    if opened is None:
        return
    daemon = SearchDaemon(project, search_channel.idle_s())
    # The lock goes with the process, the socket before it: a client never waits for a daemon that ends.
    daemon.serve(opened[0])
    with contextlib.suppress(OSError):
        os.unlink(folder / search_channel.SOCKET)
    os._exit(0)  # a search that hangs does not keep it


if __name__ == "__main__":
    main()
