"""The connectors that a search process keeps open between its calls, each by the digest of its configuration."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kitestring.destination import Destination
from kitestring.json_codec import ANY_DEPTH, dumps
from kitestring.server.child.call import ActionCall
from kitestring.server.child.connector_setup import build_connector

REFRESH_S = 60.0
"""After so long a connector is opened again: its secrets may be references, and others may change the collection. The
model of an embedder stays in memory."""
EXCLUSIVE_IDLE_S = 5.0
"""A file that one process at a time can open is closed after so long without a call: another program that syncs into
it waits for twice this time."""


@dataclass(slots=True, eq=False)
class OpenConnector:
    """A connector, and the calls that use it. `stale`: no new call gets it, and the last one closes it."""

    connector: Any
    digest: str
    path: str | None
    opened_at: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)
    users: int = 0
    stale: bool = False


class OpenConnectors:
    """Opens a connector with the first call that needs it, and closes it `idle_s` after the last. Thread-safe.

    A call says which destination it reads (`destination_id`) and as of which job (`generation`; None: a job is
    writing). If the configuration, what the connector may use, or the generation is another one, the old connector is
    closed. `report` gets the paths that are held, after each change.
    """

    def __init__(self, idle_s: float, report: Callable[[], None]) -> None:
        self.idle_s = idle_s
        self._report = report
        self._lock = threading.Lock()
        self._current: dict[str, OpenConnector] = {}
        self._open: set[OpenConnector] = set()
        self._calls: Counter[str] = Counter()
        self._released: dict[str, int] = {}

    # -- the paths of places that one process at a time can open -------------------------------------------------------

    def held(self) -> list[str]:
        """The paths that are open here, or that a running call may open."""
        with self._lock:
            return sorted({entry.path for entry in self._open if entry.path} | {*+self._calls})

    def begin(self, path: str) -> None:
        """A call has arrived that may open this path."""
        with self._lock:
            self._calls[path] += 1

    def end(self, path: str) -> None:
        """Such a call has ended."""
        with self._lock:
            self._calls[path] -= 1

    def release(self, path: str, order: int) -> None:
        """Close this path: now, or when the calls that arrived before `order` have ended."""
        with self._lock:
            self._released[path] = order
            unused = self._retire(lambda entry: entry.path == path)
        self._close(unused)
        self._report()

    # -- connectors ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def opened(self, call: ActionCall, kind: str) -> Iterator[Any]:
        """The connector of a call. After an error it is closed, since it may be the cause."""
        entry = self._take(call, kind)
        try:
            yield entry.connector
        except BaseException:
            entry.stale = True
            raise
        finally:
            self._give_back(entry, call)

    def close_idle(self) -> None:
        """Close what no call has used for a while."""
        now = time.monotonic()

        def idle(entry: OpenConnector) -> bool:
            limit_s = self.idle_s if entry.path is None else min(self.idle_s, EXCLUSIVE_IDLE_S)
            return not entry.users and now - entry.used_at > limit_s

        with self._lock:
            unused = self._retire(idle)
        if unused:
            self._close(unused)
            self._report()

    def close(self) -> None:
        """Close everything, whether it is used or not."""
        with self._lock:
            entries = list(self._open)
        self._close(entries)

    def _take(self, call: ActionCall, kind: str) -> OpenConnector:
        key, digest = str(call.request.get("destination_id")), digest_of(call.request, kind)
        with self._lock:
            entry = self._usable(key, digest)
        if entry is not None:
            call.reused = True
            return entry
        connector, _ = build_connector(call, kind, call.request[kind])
        path = connector.exclusive_place() if isinstance(connector, Destination) else None
        new = OpenConnector(connector, digest, path, users=1)
        new.stale = call.request.get("generation") is None
        with self._lock:
            self._open.add(new)
            before = self._current.pop(key, None)
            unused = [] if before is None else self._retire(lambda entry: entry is before)
            if not new.stale:
                self._current[key] = new
        self._close(unused)
        return new

    def _usable(self, key: str, digest: str) -> OpenConnector | None:
        entry = self._current.get(key)
        if entry is None or entry.stale or entry.digest != digest:
            return None
        if entry.path is None and time.monotonic() - entry.opened_at > REFRESH_S:
            return None
        entry.users += 1
        return entry

    def _give_back(self, entry: OpenConnector, call: ActionCall) -> None:
        with self._lock:
            entry.users -= 1
            entry.used_at = time.monotonic()
            if entry.path is not None and self._released.get(entry.path, -1) > call.order:
                entry.stale = True
            unused = self._retire(lambda each: each is entry) if entry.stale else []
        self._close(unused)

    def _retire(self, applies: Callable[[OpenConnector], bool]) -> list[OpenConnector]:
        """Offer these to no new call; those that no call uses."""
        unused = []
        for entry in self._open:
            if applies(entry):
                entry.stale = True
                if not entry.users:
                    unused.append(entry)
        for key in [key for key, entry in self._current.items() if entry.stale]:
            del self._current[key]
        return unused

    def _close(self, entries: list[OpenConnector]) -> None:
        for entry in entries:
            with contextlib.suppress(Exception):
                entry.connector.close()
        with self._lock:
            self._open.difference_update(entries)


def digest_of(request: Mapping[str, Any], kind: str) -> str:
    """Of the configuration, of what the connector may use of the machine, and of the last job that wrote there."""
    parts = [request[kind], request.get("machine"), request.get("references"), request.get("generation")]
    return hashlib.sha256(dumps(parts, levels=ANY_DEPTH)).hexdigest()
