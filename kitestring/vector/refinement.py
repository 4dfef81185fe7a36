"""Filters for a store whose language says less than ours: it narrows, and `filters.matches` decides.

A filter is translated to a condition that every chunk which passes the filter fulfils, and to whether the condition
means the same. If it does not, more chunks are read and those that do not match are dropped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kitestring.filters import And, Filter, Leaf, Not, OneOf, Or, matches

T = TypeVar("T")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Narrowing(Generic[T]):
    """A condition of a store; None: every chunk fulfils it. `exact`: only chunks that pass the filter fulfil it."""

    condition: T | None
    exact: bool

    def untested(self, where: Filter | str | None) -> Filter | None:
        """The filter, if chunks that fulfil the condition have to be tested with it."""
        return None if self.exact or isinstance(where, str) else where


class Language(ABC, Generic[T]):
    """The conditions of a store. A leaf that it cannot express is `Narrowing(None, False)`."""

    @abstractmethod
    def leaf(self, leaf: Leaf, negated: bool) -> Narrowing[T]:
        """The condition of a leaf, or of its opposite: a field that is missing passes only the opposite."""

    @abstractmethod
    def both(self, conditions: Sequence[T]) -> T:
        """All of two or more conditions."""

    @abstractmethod
    def either(self, conditions: Sequence[T]) -> T:
        """Any of two or more conditions."""

    @abstractmethod
    def nothing(self) -> T:
        """A condition that no chunk fulfils."""

    def narrowing(self, tree: Filter, negated: bool = False) -> Narrowing[T]:
        """The condition of a filter. `Not` moves to the leaves, so that a condition never leaves out what passes."""
        match tree:
            case Not(inner):
                return self.narrowing(inner, not negated)
            case And(parts):
                return self._joined([self.narrowing(part, negated) for part in parts], all_of=not negated)
            case Or(parts):
                return self._joined([self.narrowing(part, negated) for part in parts], all_of=negated)
            case OneOf(_, ()):
                return Narrowing(None if negated else self.nothing(), True)
        return self.leaf(tree, negated)

    def _joined(self, parts: Sequence[Narrowing[T]], all_of: bool) -> Narrowing[T]:
        exact = all(part.exact for part in parts)
        conditions = [part.condition for part in parts if part.condition is not None]
        if not all_of and not parts:
            return Narrowing(self.nothing(), True)
        if not conditions or (not all_of and len(conditions) < len(parts)):
            return Narrowing(None, exact)
        if len(conditions) == 1:
            return Narrowing(conditions[0], exact)
        return Narrowing(self.both(conditions) if all_of else self.either(conditions), exact)


def refined(
    fetch: Callable[[int], Sequence[Row]],
    fields: Callable[[Row], Mapping[str, Any]],
    tree: Filter | None,
    limit: int,
) -> list[Row]:
    """The first `limit` rows that match the filter. `fetch(n)` gives the first n rows that fulfil its condition; `tree`
    is None if that is exact."""
    if tree is None:
        return list(fetch(limit))
    most = 4 * limit
    while True:
        rows = fetch(most)
        passing = [row for row in rows if matches(tree, fields(row))]
        if len(passing) >= limit or len(rows) < most:
            return passing[:limit]
        most *= 8
