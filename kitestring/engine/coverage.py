"""The figures that saved checkpoints cover: what was delivered and is not read again, however the sync ends.

A stream's own figures run ahead of these: they count what was read and written since the last checkpoint, and what was
read twice after an error. Added up over attempts of which one was killed, only the figures here are right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kitestring.engine.result import COUNTS, StreamResult


class Coverage:
    """How many records of each stream are covered, and the figures of these as a sync saves them.

    `cover` what a checkpoint stands for when all before it is durable; `end` a partition when its last record was read,
    which counts when its stream is closed. `take` gives the figures that changed since the last call.
    """

    def __init__(self, streams: Mapping[str, StreamResult]) -> None:
        self._streams = streams
        self._covered: Counter[str] = Counter()
        self._rest: Counter[str] = Counter()
        self._repeated: Counter[str] = Counter()
        self._added: set[str] = set()
        self._closed: set[str] = set()
        self._changed: set[str] = set()

    def cover(self, records: Mapping[str, int]) -> None:
        """A checkpoint covers so many records more; all of them are durable."""
        self._covered.update(records)
        self._changed.update(key for key in records if key in self._streams)

    def end(self, records: Mapping[str, int]) -> None:
        """A partition has ended, so many records after its last checkpoint."""
        self._rest.update(records)

    def repeat(self, records: Mapping[str, int]) -> None:
        """So many records are read a second time, after an error."""
        self._repeated.update(records)

    def add(self, key: str) -> None:
        """All that was written of a stream counts at once: it stays, though a later attempt adds it once more."""
        self._added.add(key)
        self._changed.add(key)

    def close(self, key: str) -> None:
        """A stream has ended well: what its partitions gave counts."""
        self._covered[key] += self._rest.pop(key, 0)
        self._closed.add(key)
        self._changed.add(key)

    def take(self) -> dict[str, dict[str, Any]]:
        """The figures that changed, by stream: `read`, what became of it, `bytes`, and the `status` (`running` before
        the end)."""
        changed, self._changed = self._changed, set()
        saved = {}
        for key in changed:
            figures = self._streams[key]
            records = figures.accounted if key in self._added else self._covered[key]
            records = 0 if figures.discarded else records
            status = figures.status.value if key in self._closed else "running"
            saved[key] = {"status": status, **covered(figures, records, self._repeated[key])}
        return saved


def covered(figures: StreamResult, records: int, repeated: int = 0) -> dict[str, int]:
    """The figures of the first `records` records of a stream; they add up to that.

    What is not covered was read last, and most likely written; `repeated` are those that were read twice: one version
    has superseded the other where both were in one batch.
    """
    counts = {name: int(getattr(figures, name)) for name in COUNTS}
    surplus = max(figures.accounted - records, 0)
    repeated = min(surplus, repeated)
    for excess, names in ((repeated, ("superseded", *COUNTS)), (surplus - repeated, COUNTS)):
        for name in names:
            part = min(excess, counts[name])
            counts[name] -= part
            excess -= part
    total = sum(counts.values())
    return {"read": total, **counts, "bytes": figures.nbytes * total // max(figures.read, total, 1)}
