"""The load that a stream of change data capture needs before its log is read."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from kitestring.sources.postgres.captured_table import CapturedTable
from kitestring.sources.postgres.catalog import page_plan, table_of
from kitestring.sql.first_load import FirstLoad, Positions
from kitestring.types import Stream

log = logging.getLogger("kitestring.postgres")

MOST_PARTS = 1_000
PART_BYTES = 64 * 1024 * 1024


def needed_load(
    connection: Any, stream: Stream, table: CapturedTable, positions: Positions, confirmed: int | None
) -> FirstLoad | None:
    """The load that a stream needs; None where it is complete."""
    load, low = positions.load(stream.key), positions.low(stream.key)
    if load is not None:
        return load
    if low is not None:
        if stream.write.keep == "all":
            return None
        note = positions.note(stream.key)
        altered, added = table.altered(note), table.added_leaves(note)
        if altered:
            log.warning("%s is read again as a whole: %s", stream.key, altered, extra={"stream": stream.key})
        elif not added:
            return None
    plan = page_plan(connection, table_of(stream), PART_BYTES, MOST_PARTS)
    if low is not None and not altered:  # only the partitions that are new: they may have been filled before
        plan = [part for part in plan if part[0] in added] or [[name, 1, 1] for name in added]
    count = sum(pages for _, _, pages in plan) or 1
    return FirstLoad(low if low is not None else confirmed, count, plan, note=table.note())


def begun(load: FirstLoad, position: int) -> FirstLoad:
    """A load with a snapshot at this position: it has an id, and its log begins there if nothing else is known."""
    return replace(load, id=load.id or str(position), low=position if load.low is None else load.low)
