"""The positions of one separator in a part of a text."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Protocol

from kitestring.vector.split.separators import Separator

SeparatorMatch = tuple[int, int]
"""The end of the text before a separator, and the start of the text after it."""


class SeparatorMatches(Protocol):
    def last(self, low: int, high: int) -> SeparatorMatch | None:
        """The last match with `low < end <= high`."""

    def next(self, low: int, limit: int) -> SeparatorMatch:
        """The first match with `end > low`; the end of the part (`limit`) if there is none."""


class LiteralMatches:
    """A fixed text, searched on demand: a chunk costs two searches, however many separators it holds."""

    def __init__(self, text: str, separator: Separator, b: int) -> None:
        self.text = text
        self.literal = separator.literal
        self.skip = 0 if separator.keep else len(separator.literal)
        self.b = b

    def last(self, low: int, high: int) -> SeparatorMatch | None:
        place = self.text.rfind(self.literal, low + 1, min(high + len(self.literal), self.b))
        return None if place < 0 else (place, place + self.skip)

    def next(self, low: int, limit: int) -> SeparatorMatch:
        place = self.text.find(self.literal, low + 1, self.b)
        return (limit, limit) if place < 0 else (place, place + self.skip)


class PatternMatches:
    """A pattern, searched once for the whole part. The separator belongs to the text after it."""

    def __init__(self, places: list[int]) -> None:
        self.places = places

    def last(self, low: int, high: int) -> SeparatorMatch | None:
        index = bisect_right(self.places, high) - 1
        return (self.places[index],) * 2 if index >= 0 and self.places[index] > low else None

    def next(self, low: int, limit: int) -> SeparatorMatch:
        index = bisect_right(self.places, low)
        return (self.places[index],) * 2 if index < len(self.places) else (limit, limit)


def find_separator(separator: Separator, text: str, a: int, b: int) -> SeparatorMatches | None:
    """The matches of a separator in `text[a:b]`, or None if there is none."""
    if separator.pattern is None:
        return LiteralMatches(text, separator, b) if text.find(separator.literal, a, b) >= 0 else None
    places = [match.start() for match in separator.pattern.finditer(text, a, b) if match.end() > match.start()]
    places = places[bisect_left(places, a + 1) :]
    return PatternMatches(places) if places else None
