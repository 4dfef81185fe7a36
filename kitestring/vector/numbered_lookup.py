"""The chunks of records in a store that finds rows by id only: their ids have the numbers 0, 1, 2, …"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kitestring.vector.store import Ref, Stored

MORE_CHUNKS = 1
"""Chunks that are looked up beyond those a record has now, since a longer text had more; if it is there, others too."""


def numbered_chunks(
    refs: Sequence[Ref], fetch: Callable[[list[tuple[str, int]]], Iterable[Stored]]
) -> dict[str, list[Stored]]:
    """The chunks by key. `fetch` gives those of the wanted keys and numbers that are there. The numbers of a record
    have no gap, since a store deletes in the order of `last_first`."""
    by_key: dict[str, list[Stored]] = {}
    wanted = {ref.key: (0, ref.count + MORE_CHUNKS) for ref in refs if not ref.former}
    while wanted:
        for stored in fetch([(key, number) for key, (first, end) in wanted.items() for number in range(first, end)]):
            by_key.setdefault(stored.key, []).append(stored)
        last = {key: max((chunk.number or 0 for chunk in by_key.get(key, ())), default=-1) for key in wanted}
        wanted = {key: (end, 4 * end) for key, (_, end) in wanted.items() if last[key] == end - 1}
    return by_key


def last_first(chunks: Sequence[Stored]) -> list[Stored]:
    """The last chunks of each record first: what is left after a crash has no gap, and is found again."""
    return sorted(chunks, key=lambda chunk: -(chunk.number or 0))
