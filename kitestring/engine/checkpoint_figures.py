"""The figures that saved checkpoints cover: records that were delivered and are not read again, however the sync ends.

A stream's own figures run ahead of these: they count records since the last checkpoint, and those read twice after an
error. Summed over attempts of which one was killed, only the figures here are right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kitestring.engine.result import COUNTS, StreamResult


class Coverage:
    """The number of covered records of each stream, and their figures as a sync saves them.

    Call `cover` for a checkpoint when all before it is durable, `end` for a partition when its last record was read
    (it counts when its stream is closed). `take` returns the figures that changed since the last call.
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
        """A checkpoint covers this many more records; all of them are durable."""
        self._covered.update(records)
        self._changed.update(key for key in records if key in self._streams)

    def end(self, records: Mapping[str, int]) -> None:
        """A partition has ended this many records after its last checkpoint."""
        self._rest.update(records)

    def repeat(self, records: Mapping[str, int]) -> None:
        """This many records are read a second time, after an error."""
        self._repeated.update(records)

    def add(self, key: str) -> None:
        """All written records of a stream count at once: they stay, though a later attempt adds them again."""
        self._added.add(key)
        self._changed.add(key)

    def close(self, key: str) -> None:
        """A stream has succeeded: the records of its partitions count."""
        self._covered[key] += self._rest.pop(key, 0)
        self._closed.add(key)
        self._changed.add(key)

    def take(self) -> dict[str, dict[str, Any]]:
        """The figures that changed, by stream: `read`, the counts of outcomes, `bytes`, and `status` (`running` until
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

    Records that are not covered were read last, and most likely written. `repeated` were read twice: where both
    versions were in one batch, one superseded the other.
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
