"""A continuous sync in a thread of a test, and what it has stored so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from capturing import plain

from kitestring.engine import Continuous, Progress, Result, Selection, WindowEnd, sync


def wait_for(look: Callable[[], Any]) -> Any:
    """The first answer that is true."""
    deadline = time.monotonic() + 300
    while not (answer := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return answer


class Running:
    """A continuous sync in a thread. `copy`: its source, destination and states."""

    def __init__(self, copy: Any, *streams: str, **settings: Any) -> None:
        self.copy = copy
        self.progress = Progress()
        self.windows: list[WindowEnd] = []
        self.results: list[Result] = []
        self.stop = threading.Event()
        self.continuous = Continuous(self.stop, on_window=self.windows.append, **{"window_s": 3600, **settings})
        self.selections = [Selection(stream, "incremental") for stream in streams] or None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        source, copy = self.copy.source(), self.copy

        def window() -> Result:
            return sync(
                source,
                copy.destination,
                self.selections,
                states=copy.states,
                progress=self.progress,
                only_incremental=True,
            )

        self.results.append(self.continuous.run(source, self.progress, window))

    def stored(self, stream: str = "public.t") -> list[dict[str, Any]]:
        return [plain(row) for row in self.copy.destination.stored.get(stream, [])]

    def end(self) -> Result:
        self.stop.set()
        self.thread.join(300)
        assert not self.thread.is_alive()
        return self.results[0]
