"""A thread that polls for work: the scheduler, the notification sender, log shipping."""

from __future__ import annotations

import logging
import threading

from kitestring.errors import KitestringError

log = logging.getLogger("kitestring.server")

JOIN_S = 10.0


class PollingThread:
    """Calls `work` every `look_s` seconds, and again at once while it returns True. `start` and `stop` it.

    An error does not end the thread: when the database is back, the waiting work is found.
    """

    name = "polling thread"

    def __init__(self, look_s: float) -> None:
        self.look_s = look_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def work(self) -> bool:
        """Do what is due. Returns whether there may be more."""
        raise NotImplementedError

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name=f"kitestring-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def _loop(self) -> None:
        while not self._stop.wait(self.look_s):
            try:
                while self.work() and not self._stop.is_set():
                    pass
            except KitestringError as error:
                log.warning(f"the {self.name} could not look for work", extra={"error": error.message})
            except Exception:
                log.exception(f"unexpected error in the {self.name}")
