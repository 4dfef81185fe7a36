"""Between read and write: collects records into batches, and decides when each is due."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator

from kitestring.batch import Batch
from kitestring.engine.pending import Covering, Pending, Step

LOOK_EVERY_S = 0.2
FLUSH_AGE_S = 5.0
FIRST_FLUSH_AGE_S = 1.0
"""The first records of a stream wait less, so that a sync that is killed early has a checkpoint to resume from."""


class Intake:
    """The records that wait to be written, by stream, and the checkpoints that streams share.

    A batch is due when it is full or old, or when all waiting records together are too many. Push each step of an
    iterator to the writer before you ask for the next.
    """

    def __init__(
        self, streams: Iterable[str], batch_rows: int, batch_bytes: int, max_delay_s: float | None = None
    ) -> None:
        self.batch_bytes = batch_bytes
        self.pending = {key: Pending(key, batch_rows, batch_bytes) for key in streams}
        self._flush_age_s = FLUSH_AGE_S if max_delay_s is None else min(max_delay_s, FLUSH_AGE_S)
        self._number = 0
        """The number of batches taken: it orders them against the checkpoints that streams share."""
        self._shared: deque[tuple[int, Covering]] = deque()
        """By number: each waits until all batches before it are durable."""
        self._shared_number = 0
        self._latest = ""
        self._flushed: set[str] = set()
        self._looked_at = 0.0

    def add(self, batch: Batch) -> Iterator[Step]:
        """Add a batch; yields the batches that are full."""
        self._number += 1
        self._latest = batch.stream
        pending = self.pending[batch.stream]
        while not pending.joins(batch):
            yield self._take(pending)
        for step in pending.add(batch, self._number, self._shared_number):
            self._flushed.add(step.stream)
            yield step

    def complete(self, checkpoint: Covering) -> bool:
        """Keep a checkpoint behind the waiting records of its stream; False where none wait."""
        pending = self.pending[checkpoint[0]]
        if pending:
            pending.complete(checkpoint)
        return bool(pending)

    def share(self, checkpoint: Covering) -> None:
        """Keep a checkpoint behind all batches of all streams. It forces no write."""
        self._shared_number = self._number
        self._shared.append((self._number, checkpoint))

    def durable(self, in_flight: Iterable[Step]) -> list[Covering]:
        """The shared checkpoints with nothing waiting before them, neither here nor among these steps."""
        if not self._shared:
            return []
        numbers = [*(step.number for step in in_flight), *(pending.number for pending in self.pending.values())]
        oldest, ready = min(numbers, default=math.inf), []
        while self._shared and self._shared[0][0] < oldest:
            ready.append(self._shared.popleft()[1])
        return ready

    @property
    def blocked(self) -> bool:
        """True while an earlier shared checkpoint waits: then the last one waits too."""
        return len(self._shared) > 1

    def flush(self, stream: str) -> Iterator[Step]:
        """All waiting records of a stream."""
        pending = self.pending[stream]
        while pending:
            yield self._take(pending)

    def take_due(self) -> Iterator[Step]:
        """The batches that are due now."""
        if self._latest and self.pending[self._latest].full:
            yield self._take(self.pending[self._latest])
        now = time.monotonic()
        if now - self._looked_at > LOOK_EVERY_S:
            self._looked_at = now
            for key, pending in self.pending.items():
                longest_s = self._flush_age_s if key in self._flushed else min(self._flush_age_s, FIRST_FLUSH_AGE_S)
                if pending and pending.age_s > longest_s:
                    yield self._take(pending)
            if sum(pending.nbytes for pending in self.pending.values()) > 2 * self.batch_bytes:
                yield self._take(max(self.pending.values(), key=lambda pending: pending.nbytes))

    def _take(self, pending: Pending) -> Step:
        self._flushed.add(pending.stream)
        return pending.take(self._shared_number)
