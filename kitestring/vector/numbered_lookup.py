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
    have no gap, since a store deletes what `tails` gives, in this order."""
    by_key: dict[str, list[Stored]] = {}
    wanted = {ref.key: (0, ref.count + MORE_CHUNKS) for ref in refs if not ref.former}
    while wanted:
        for stored in fetch([(key, number) for key, (first, end) in wanted.items() for number in range(first, end)]):
            by_key.setdefault(stored.key, []).append(stored)
        last = {key: max((chunk.number or 0 for chunk in by_key.get(key, ())), default=-1) for key in wanted}
        wanted = {key: (end, 4 * end) for key, (_, end) in wanted.items() if last[key] == end - 1}
    return by_key


def tails(chunks: Sequence[Stored], find: Callable[[Sequence[Ref]], dict[str, list[Stored]]]) -> list[Stored]:
    """These chunks and all that follow them in their records, the last first: what is left after a crash has no gap,
    and is found again. A page of a scan may hold a part of a record; what follows an obsolete chunk is obsolete too."""
    first: dict[str, int] = {}
    count: dict[str, int] = {}
    for chunk in chunks:
        number = chunk.number or 0
        first[chunk.key] = min(number, first.get(chunk.key, number))
        count[chunk.key] = max(number + 1, count.get(chunk.key, 0))
    rows = {chunk.row: chunk for chunk in chunks}
    for key, group in find([Ref(key, "", "", count[key]) for key in first]).items():
        rows |= {chunk.row: chunk for chunk in group if (chunk.number or 0) >= first[key]}
    return sorted(rows.values(), key=lambda chunk: -(chunk.number or 0))
