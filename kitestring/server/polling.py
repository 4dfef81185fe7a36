"""What looks for work again and again in a thread of its own: the scheduler, the courier."""

from __future__ import annotations

import logging
import threading

from kitestring.errors import KitestringError

log = logging.getLogger("kitestring.server")

JOIN_S = 10.0


class PollingThread:
    """Calls `work` every `look_s` seconds, and at once again while it says that there is more. `start` and `stop` it.

    An error ends no round: the database that is away comes back, and what waits is found then.
    """

    name = "round"

    def __init__(self, look_s: float) -> None:
        self.look_s = look_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def work(self) -> bool:
        """Do what is due; whether there may be more."""
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
                log.warning(f"the {self.name} could not look", extra={"error": error.message})
            except Exception:
                log.exception(f"the {self.name} met an error that nobody foresaw")
