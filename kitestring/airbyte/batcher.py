"""Collects records of many streams into batches, with the states between them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from kitestring.batch import Batch
from kitestring.types import Checkpoint, Record, State

RUN_ROWS = 5_000
RUN_BYTES = 2 * 1024 * 1024
RUN_AGE_S = 0.25
SHARED_EVERY_S = 2.0
SHARED_EVERY_ROWS = 10_000


class Batcher:
    """Rows by stream key until they fill a batch. A state follows the rows it covers and precedes later ones.

    Of the states that come meanwhile, the last one replaces the others. A state that several streams share makes the
    engine write all waiting rows, so it is passed on every few seconds or thousands of records, and at the end.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self.rows: dict[str, list[Record]] = {key: [] for key in keys}
        self.count = 0
        self.nbytes = 0
        self.since = time.monotonic()
        self._states: dict[str, tuple[State, int]] = {}
        self._shared: tuple[State, dict[str, int]] | None = None
        self._skipped: State | None = None
        self._shared_at = 0.0
        self._shared_rows = SHARED_EVERY_ROWS

    def state(self, key: str, state: State) -> None:
        """This state covers the stream's rows so far."""
        self._states[key] = (state, len(self.rows[key]))

    def shared(self, state: State) -> None:
        """This state covers the rows of all streams so far."""
        self._shared = (state, {key: len(rows) for key, rows in self.rows.items()})

    @property
    def ready(self) -> bool:
        if self.count >= RUN_ROWS or self.nbytes >= RUN_BYTES:
            return True
        waiting = self.count or self._states or self._shared
        return bool(waiting) and time.monotonic() - self.since > RUN_AGE_S

    def take(self, last: bool = False) -> Iterator[Batch | Checkpoint]:
        """All waiting rows and states; every checkpoint follows the rows it covers."""
        size = self.nbytes / max(1, self.count)
        shared, self._shared = self._shared, None
        self._shared_rows += self.count
        if shared is not None:
            state, covered = shared
            for key, count in covered.items():
                yield from self._stream(key, count, size)
            recent = self._shared_rows < SHARED_EVERY_ROWS and time.monotonic() - self._shared_at < SHARED_EVERY_S
            self._skipped = state if recent else None
            if not recent:
                self._shared_at, self._shared_rows = time.monotonic(), 0
                yield Checkpoint(state)
        for key, rows in self.rows.items():
            yield from self._stream(key, len(rows), size)
        if last and self._skipped is not None:
            yield Checkpoint(self._skipped)
            self._skipped = None
        self.count = self.nbytes = 0
        self.since = time.monotonic()

    def _stream(self, key: str, upto: int, size: float) -> Iterator[Batch | Checkpoint]:
        """The first `upto` rows of a stream, with its own state where that is among them."""
        rows = self.rows[key]
        state, covered = self._states.get(key, (None, 0))
        if state is not None and covered <= upto:
            del self._states[key]
            if covered:
                yield Batch(key, rows=rows[:covered], nbytes=int(size * covered) + 1)
            yield Checkpoint(state, stream=key)
        else:
            covered = 0
        if upto > covered:
            yield Batch(key, rows=rows[covered:upto], nbytes=int(size * (upto - covered)) + 1)
        if state is not None and key in self._states:
            self._states[key] = (state, self._states[key][1] - upto)
        del rows[:upto]
