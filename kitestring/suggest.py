"""The one did-you-mean: known names that are near to a misspelled one."""

from __future__ import annotations

from collections.abc import Iterable


def near_names(word: str, names: Iterable[str], count: int, cutoff: float) -> list[str]:
    """At most `count` names with a likeness to the word of at least `cutoff` (0 to 1), the nearest first."""
    import difflib

    return difflib.get_close_matches(word, list(names), n=count, cutoff=cutoff)


def nearest_name(word: str, names: Iterable[str]) -> str:
    """The name that is most like the word; an empty text if none is near."""
    return next(iter(near_names(word, names, 1, 0.6)), "")


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """The end of a sentence: `; did you mean NAME?`, or nothing."""
    name = nearest_name(word, names)
    return f"; did you mean {name}?" if name else ""
