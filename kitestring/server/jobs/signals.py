"""Wakes workers when a job becomes due: an in-process call on SQLite, also LISTEN and NOTIFY on PostgreSQL. Readers of
a job's events are called in its process alone.

Signals only save time: a worker that misses one finds the job when it polls.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sqlalchemy import Connection, func, select

from kitestring.server.store import Store

log = logging.getLogger("kitestring.jobs")

CHANNEL = "kitestring_jobs"
TICK_S = 1.0
RECONNECT_S = 2.0
JOIN_S = 5.0


class JobSignals:
    """Tells the workers of a store that the queue has changed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._receivers: list[Callable[[], None]] = []
        self._watchers: dict[int, list[Callable[[], None]]] = {}

    def subscribe(self, receiver: Callable[[], None]) -> None:
        """Call `receiver`, from any thread, when a transaction of this process that changed the queue is committed."""
        self._receivers.append(receiver)

    def unsubscribe(self, receiver: Callable[[], None]) -> None:
        if receiver in self._receivers:
            self._receivers.remove(receiver)

    def send(self, db: Connection) -> None:
        """Signal when this transaction of `Store.write` is committed; nothing is sent if it is rolled back."""
        if not self.store.sqlite:
            db.execute(select(func.pg_notify(CHANNEL, "")))
        self.store.after_commit(db, self._wake)

    def watch(self, job_id: int, watcher: Callable[[], None]) -> None:
        """Call `watcher`, from any thread, when a transaction of this process that changed the job is committed."""
        self._watchers.setdefault(job_id, []).append(watcher)

    def unwatch(self, job_id: int, watcher: Callable[[], None]) -> None:
        watchers = self._watchers.get(job_id, [])
        if watcher in watchers:
            watchers.remove(watcher)
        if not watchers:
            self._watchers.pop(job_id, None)

    def changed(self, db: Connection, job_id: int) -> None:
        """Signal the watchers of a job when this transaction is committed. Other processes see it when they poll."""
        if job_id in self._watchers:
            self.store.after_commit(db, lambda: self._call_watchers(job_id))

    def _call_watchers(self, job_id: int) -> None:
        for watcher in list(self._watchers.get(job_id, ())):
            watcher()

    def _wake(self) -> None:
        for receiver in list(self._receivers):
            receiver()


class SignalListener:
    """Receives the signals of all processes on a PostgreSQL connection of its own, and reconnects after a loss.

    `connected` is set while signals arrive. `receiver` is called for each signal, and after each change of `connected`:
    signals may have been missed, and the interval of polling changes.
    """

    def __init__(self, store: Store, receiver: Callable[[], None]) -> None:
        self.store = store
        self.receiver = receiver
        self.connected = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kitestring-signals", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except Exception as error:  # noqa: BLE001 - whatever the driver raises: connect again
                log.warning("job signals are interrupted, workers poll: %s", error)
            if self.connected.is_set():
                self.connected.clear()
                self.receiver()
            self._stopped.wait(RECONNECT_S)

    def _listen(self) -> None:
        pooled = self.store.engine.raw_connection()
        connection = pooled.driver_connection
        assert connection is not None
        pooled.detach()  # it stays open for long: the pool must not count it
        try:
            connection.autocommit = True
            connection.execute(f"LISTEN {CHANNEL}")
            self.connected.set()
            self.receiver()
            while not self._stopped.is_set():
                for _ in connection.notifies(timeout=TICK_S, stop_after=1):
                    self.receiver()
        finally:
            pooled.close()
