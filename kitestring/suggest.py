"""The one did-you-mean: known names that are near to a misspelled one."""

from __future__ import annotations

from collections.abc import Iterable


def near_names(name: str, names: Iterable[str], count: int, cutoff: float) -> list[str]:
    """At most `count` names with a similarity of at least `cutoff` (0 to 1), the nearest first."""
    import difflib

    return difflib.get_close_matches(name, list(names), n=count, cutoff=cutoff)


def nearest_name(name: str, names: Iterable[str]) -> str:
    """The most similar name; an empty text if none is near."""
    return next(iter(near_names(name, names, 1, 0.6)), "")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a sentence: `; did you mean NAME?`, or nothing."""
    near = nearest_name(name, names)
    return f"; did you mean {near}?" if near else ""
