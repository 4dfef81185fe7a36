"""Logs for those who sit at other machines: a worker forwards what its attempts log to the store, part by part.

With SQLite all processes share a data folder, and nothing is forwarded. With PostgreSQL each worker may be on a machine
of its own: an API that has not got a log's file reads its parts. Of a worker that died the log is there up to its last
part.
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
"""So much of an attempt's log is forwarded at the most; the worker's machine has all of it."""


class LogShipper(PollingThread):
    """Forwards the logs of a worker's attempts. `begin` and `end` say which there are; `start` it, and `stop` it."""

    name = "log shipper"

    def __init__(self, store: Store, logs: Logs, *, look_s: float = LOOK_S) -> None:
        super().__init__(look_s)
        self.store = store
        self.logs = logs
        self._places: dict[tuple[int, int], int] = {}
        self._ended: set[tuple[int, int]] = set()
        self._lock = threading.Lock()

    def begin(self, job_id: int, attempt: int) -> None:
        """An attempt writes its log from now on."""
        with self._lock:
            self._places[job_id, attempt] = 0

    def end(self, job_id: int, attempt: int) -> None:
        """An attempt's log is whole."""
        with self._lock:
            if (job_id, attempt) in self._places:
                self._ended.add((job_id, attempt))

    def work(self) -> bool:
        """Forward what was written since; whether any log has more."""
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
        """Stop, and forward what is left."""
        super().stop()
        while self.work():
            pass

    def _ship(self, job_id: int, attempt: int) -> bool:
        """Forward the next part of a log; False when there is none."""
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
        except IntegrityError:  # it was kept the last time, and the answer was lost
            pass
        self._places[job_id, attempt] = place + len(raw)
        return bool(raw)
