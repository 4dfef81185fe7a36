"""The snapshot in which a sync loads tables: its position in the log is known, and any number of connections see it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from kitestring.errors import TransientError
from kitestring.sources.postgres.replication_method import ChangeDataCapture
from kitestring.sources.postgres.slot import ReplicationObjects
from kitestring.vendors.postgres import PostgresConfig
from kitestring.vendors.postgres.replication import NewSlot, Replication


@dataclass(slots=True)
class Snapshot:
    """The open snapshot in which tables are loaded; `time` is that of the server."""

    replication: Replication
    slot: NewSlot
    time: datetime


class LoadSnapshot:
    """The snapshot of one sync, taken when it is first asked for. It lives as long as its connection stays idle."""

    def __init__(self, config: PostgresConfig, method: ChangeDataCapture) -> None:
        self._config = config
        self._method = method
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._waiting: Replication | None = None
        self.created_slot = False
        """The slot of the connection was not there, and was created with a snapshot."""

    def at(self, objects: ReplicationObjects) -> Snapshot:
        """The snapshot of this sync. The slot is created with it if it is not there."""
        with self._lock:
            snapshot = self._snapshot
        if snapshot is None:
            replication = self._config.open_replication()
            with self._lock:
                self._waiting = replication  # so that a sync that is stopped does not wait for it
            try:
                snapshot = self._take(replication, objects)
            except BaseException:
                replication.close()
                raise
            with self._lock:
                self._snapshot, self._waiting = snapshot, None
        return snapshot

    def _take(self, replication: Replication, objects: ReplicationObjects) -> Snapshot:
        (now,) = replication.query("SELECT (extract(epoch FROM now()) * 1000000)::int8 AS now")
        is_new = objects.status() is None
        name = self._method.replication_slot if is_new else f"kitestring_load_{time.time_ns():x}"
        try:
            slot = replication.create_slot(name, not is_new, self._method.initial_waiting_seconds)
        except TimeoutError:
            raise TransientError(
                f"{self._config.place} waited {self._method.initial_waiting_seconds} seconds for {objects.blocker()}: "
                "the first load begins when it has ended",
                hint="End the transaction, or raise `initial_waiting_seconds`.",
            ) from None
        self.created_slot = self.created_slot or is_new
        return Snapshot(replication, slot, datetime.fromtimestamp(int(now["now"] or 0) / 1e6, UTC))

    def close(self) -> None:
        """Let the snapshot go, also while it is waited for."""
        with self._lock:
            snapshot, waiting = self._snapshot, self._waiting
            self._snapshot = self._waiting = None
        for replication in (snapshot.replication if snapshot is not None else None, waiting):
            if replication is not None:
                replication.close()
