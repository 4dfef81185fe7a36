"""The catalog of MariaDB while tables are altered: for a moment it lacks a table, or its key, that is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sized
from typing import TypeVar

T = TypeVar("T", bound=Sized)

MOST_READS = 6
PAUSE_S = 0.02


def settled(read: Callable[[], tuple[T, bool]]) -> T:
    """The tables that `read` returns, as soon as it says that they are whole. Where they never are (a view of a dropped
    table, a user without rights to a column, many tables that are altered all the time), those with the most."""
    most, is_whole = read()
    for _ in range(MOST_READS - 1):
        if is_whole:
            break
        pause()
        catalog, is_whole = read()
        if is_whole or len(catalog) >= len(most):
            most = catalog
    return most


def pause() -> None:
    """Wait for longer than a table is away. Of all tables, it is not known which are missing: two lists have to agree
    that were not read in the same such moment."""
    time.sleep(PAUSE_S)


def is_whole(
    before: Iterable[str],
    after: Iterable[str],
    described: Collection[str],
    keyed: Iterable[str],
    with_key: Collection[str],
) -> bool:
    """Whether parts of a catalog that were read one after the other agree: the tables before and after the others,
    those with columns, those whose columns say that they have a key, and those with a key."""
    first = {*before}
    return first == {*after} and first <= {*described} and first & {*keyed} <= {*with_key}
