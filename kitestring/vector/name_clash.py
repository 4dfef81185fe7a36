"""Streams that have the same name in a vector store and so cannot share a collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, islice, pairwise

from kitestring.errors import ConfigError
from kitestring.types import Stream
from kitestring.vector.digest import digest
from kitestring.vector.record_key import stream_id
from kitestring.vector.store import Store

SAMPLE = 64
"""The most rows of an earlier version whose owner is looked up."""

MOST_SPLITS = 10_000
"""The most ways to split a record's id into the values of its primary key."""


def refuse_name_clashes(store: Store, stream: Stream) -> None:
    """`ConfigError` if the collection holds rows of another stream with the same `_ab_stream` value: stream b_c of
    namespace a and stream c of namespace a_b are both a_b_c there.

    The namespace of a row tells its stream; rows of earlier versions have none, and their key tells.
    """
    candidates = list(same_named_streams(stream))
    if not candidates:
        return
    name = stream_id(stream)
    namespace = store.other_namespace(name, stream.namespace or "")
    if namespace is None:
        for row in store.sample(name, SAMPLE):
            if namespace is None and row.namespace is None and row.record_id:
                namespace = owner_of(row.key, row.record_id, stream, candidates)
    if namespace is None:
        return
    other = Stream(name.removeprefix(f"{namespace}_") if namespace else name, namespace=namespace or None)
    raise ConfigError(
        f"the stream {stream.key} would be stored as {name}, and that is the stream {other.key} in this collection",
        hint="Give one of them a prefix, another namespace or another collection.",
        streams=[other.key, stream.key],
    )


def same_named_streams(stream: Stream) -> Iterator[tuple[str, str]]:
    """The namespaces and names of other streams with the same `_ab_stream` value."""
    name = stream_id(stream)
    if stream.namespace:
        yield "", name
    for place, letter in enumerate(name):
        if letter == "_" and 0 < place < len(name) - 1 and name[:place] != stream.namespace:
            yield name[:place], name[place + 1 :]


def owner_of(key: str, record_id: str, stream: Stream, candidates: Sequence[tuple[str, str]]) -> str | None:
    """The namespace of the other stream that a row belongs to, by its key; None if it belongs to this stream, or if
    that is unknown."""
    text = record_id.removeprefix(f"{stream_id(stream)}_")
    if text == record_id:
        return None
    namespaces = [(stream.namespace or "", stream.name), *candidates]
    for values in islice(splits_of(text, max(1, len(stream.primary_key))), MOST_SPLITS):
        for number, (namespace, name) in enumerate(namespaces):
            if digest("record", namespace, name, *values) == key:
                return namespace if number else None
    return None


def splits_of(text: str, parts: int) -> Iterator[list[str]]:
    """Every way to split a text at underscores into this many parts."""
    pieces = text.split("_")
    for places in combinations(range(1, len(pieces)), parts - 1):
        yield ["_".join(pieces[a:b]) for a, b in pairwise((0, *places, len(pieces)))]
