"""Ships attempt logs to the store, so that other machines can read them.

With SQLite all processes share a data folder, and nothing is shipped. With PostgreSQL each worker may run on its own
machine: an API without the file of a log reads its parts from the store. The log of a worker that died is available up
to its last part.
"""

from __future__ import annotations

import threading
import zlib
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from kitestring.server.jobs.log import Logs
from kitestring.server.polling import PollingThread
from kitestring.server.store.tables import jobs, log_parts

if TYPE_CHECKING:
    from kitestring.server.store import Store

LOOK_S = 2.0
PART_BYTES = 256 * 1024
MOST_BYTES = 16 * 1024 * 1024
"""At most so much of an attempt's log is shipped; the worker's machine has all of it."""


class LogShipper(PollingThread):
    """Ships the logs of a worker's attempts. `begin` and `end` register them; `start` and `stop` it."""

    name = "log shipper"

    def __init__(self, store: Store, logs: Logs, *, look_s: float = LOOK_S) -> None:
        super().__init__(look_s)
        self.store = store
        self.logs = logs
        self._places: dict[tuple[int, int], int] = {}
        self._ended: set[tuple[int, int]] = set()
        self._lock = threading.Lock()

    def begin(self, job_id: int, attempt: int) -> None:
        """Register an attempt that begins to write its log."""
        with self._lock:
            self._places[job_id, attempt] = 0

    def end(self, job_id: int, attempt: int) -> None:
        """Note that an attempt's log is complete."""
        with self._lock:
            if (job_id, attempt) in self._places:
                self._ended.add((job_id, attempt))

    def work(self) -> bool:
        """Ship what was written since; returns whether any log has more."""
        with self._lock:
            looked = [(log, log in self._ended) for log in self._places]
        has_more = False
        for log, ended in looked:
            shipped = self._ship(*log)
            has_more = has_more or shipped
            if ended and not shipped:
                with self._lock:
                    del self._places[log]
                    self._ended.discard(log)
        return has_more

    def stop(self) -> None:
        """Stop, and ship the rest."""
        super().stop()
        while self.work():
            pass

    def _ship(self, job_id: int, attempt: int) -> bool:
        """Ship the next part of a log; False if there is none."""
        place = self._places[job_id, attempt]
        raw = self.logs.raw(job_id, attempt, place, PART_BYTES)
        if place + len(raw) > MOST_BYTES:
            raw = b""
        if not raw:
            return False
        values = {"job_id": job_id, "number": attempt, "place": place, "size": len(raw), "body": zlib.compress(raw)}
        try:
            with self.store.write() as db:
                if db.execute(select(jobs.c.id).where(jobs.c.id == job_id)).first() is None:  # removed meanwhile
                    raw = b""
                else:
                    db.execute(insert(log_parts).values(**values, at_ms=self.store.now_ms(db)))
        except IntegrityError:  # it was stored the last time, and the answer was lost
            pass
        self._places[job_id, attempt] = place + len(raw)
        return bool(raw)
