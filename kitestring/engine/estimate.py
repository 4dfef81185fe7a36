"""A dry run: reads what a sync would read, writes nothing, and estimates what the destination would do."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kitestring.destination import Destination, Estimates
from kitestring.engine.dedup import Abilities, deduplicate
from kitestring.engine.reader import Ended, Read, Reader
from kitestring.engine.selection import Selection, routes
from kitestring.engine.state import MemoryStates, StateStore
from kitestring.errors import KitestringError
from kitestring.source import Source


@dataclass(slots=True)
class StreamEstimate:
    """`read` records and `nbytes`, of these `deleted`; `figures` are the destination's (chunks, tokens, cost_usd)."""

    read: int = 0
    deleted: int = 0
    nbytes: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    sampled: bool = False
    error: KitestringError | None = None


@dataclass(slots=True)
class Estimate:
    """The estimate of a sync, by stream."""

    streams: dict[str, StreamEstimate]

    def total(self, name: str) -> float:
        return sum(stream.figures.get(name, 0) for stream in self.streams.values())

    def as_dict(self) -> dict[str, Any]:
        return {
            name: {
                "read": stream.read,
                "deleted": stream.deleted,
                "bytes": stream.nbytes,
                "sampled": stream.sampled,
                **stream.figures,
                **({"error": stream.error.message} if stream.error else {}),
            }
            for name, stream in self.streams.items()
        }


def estimate(
    source: Source,
    destination: Destination,
    streams: Sequence[Selection | str] | None = None,
    *,
    states: StateStore | None = None,
    connection: str = "default",
    prefix: str = "",
    namespace: str | None = None,
    sample: int | None = None,
    cancel: threading.Event | None = None,
) -> Estimate:
    """Read as a sync would, from the saved states, and sum up `Estimates.estimate`. `sample`: about so many records."""
    saved = (states or MemoryStates()).load(connection)
    chosen = {r.read.key: r for r in routes(source.discover(), streams, destination, prefix, namespace)}
    begin = {k: s for k, s in saved.items() if k not in chosen or chosen[k].read.incremental}
    result = Estimate({key: StreamEstimate() for key in chosen})
    reader = Reader(source, [route.read for route in chosen.values()], begin)
    reader.start()
    try:
        while not reader.done and not (cancel and cancel.is_set()):
            item = reader.get(0.2)
            if isinstance(item, Ended):
                for key in item.streams:
                    result.streams[key].error = item.error
            if not isinstance(item, Read) or item.batch is None:
                continue
            figures, route = result.streams[item.stream], chosen[item.stream]
            if sample is not None and figures.read >= sample:
                figures.sampled = True
                if all(other.sampled for other in result.streams.values()):
                    break
                continue
            abilities = Abilities.of(destination)
            settled = deduplicate(route.written, route.mapped(item.batch, abilities.deletes).batch, abilities)
            figures.read += len(item.batch)
            figures.nbytes += item.batch.nbytes
            figures.deleted += len(settled.deletes) + sum(map(len, settled.marks)) + settled.dropped
            if isinstance(destination, Estimates) and len(settled.batch):
                for name, value in destination.estimate(route.written, settled.batch).items():
                    figures.figures[name] = figures.figures.get(name, 0) + value
    finally:
        reader.stop()
        source.close()
        destination.close()
    return result
