"""What happened to a captured table that its log does not say, or says by halves: each is a suspicion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kitestring.sources.postgres.captured_table import CapturedTable
from kitestring.sources.postgres.change_log import Followed
from kitestring.sql.changes import Altered, Event, Reached, Truncated
from kitestring.types import Checkpoint, Stream, Suspicion


def doubts_of(stream: Stream, table: CapturedTable, note: Mapping[str, Any], publication: str) -> list[str]:
    """What the catalog shows, beside the note of the last sync."""
    sentences = []
    if stream.write.keep == "latest" and (leaves := table.departed_leaves(note)):
        sentences.append(departed_sentence(stream.key, leaves))
    if table.may_lack_changes(note):
        sentences.append(
            f"the publication {publication} was altered since the last sync: changes of {stream.key} that it left out "
            "meanwhile are in no log; if it left out any, refresh the stream"
        )
    return sentences


def departed_sentence(stream: str, leaves: Sequence[str]) -> str:
    return (
        f"{len(leaves)} partitions of {stream} are gone since the last sync ({', '.join(leaves[:5])}): the log does "
        "not say which rows went with them, so they are still at the destination; refresh the stream"
    )


def with_rewrites(
    events: Iterable[Event], rewritten: Iterable[str], end: int, followed: Mapping[str, Followed]
) -> Iterator[Event]:
    """Events, and a suspicion for each of these streams whose rows were all rewritten, unless the log says why."""
    unexplained = dict.fromkeys(key for key in rewritten if key in followed)
    for event in events:
        if isinstance(event, Truncated | Altered):
            unexplained.pop(event.stream, None)
        yield event
        if isinstance(event, Reached) and event.position >= end:
            for key in unexplained:
                yield Suspicion(rewritten_sentence(key), stream=key)
                yield Checkpoint({"note": followed[key].table.note()}, stream=key)
            unexplained = {}


def rewritten_sentence(stream: str) -> str:
    return (
        f"all rows of {stream} were rewritten since the last sync, and the log does not say why: if the table was "
        "unlogged for a while (ALTER TABLE … SET UNLOGGED), what changed meanwhile is in no log: refresh the stream"
    )
