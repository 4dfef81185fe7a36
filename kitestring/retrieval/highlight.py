"""The places in a text that have words of a question."""

from __future__ import annotations

import re

WORD = re.compile(r"\w+", re.UNICODE)
SHORTEST = 3
SUFFIXES = ("ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "ly", "s", "y", "e")
COMMON = frozenset(
    re.findall(
        r"\w+",
        "a about after all also an and any are as at be been but by can could did do does for from had has have how i "
        "if in into is it its me my no not of off on one or our out so some such than that the their them then there "
        "these they this to too up us was we were what when where which who why will with would you your",
    )
)


def highlights(question: str, text: str) -> list[tuple[int, int]]:
    """The spans of `text`, as offsets of characters, whose words the question has in the same or a similar form."""
    words = stems(question)
    return [match.span() for match in WORD.finditer(text) if stem(match[0]) in words] if words else []


def stems(text: str) -> frozenset[str]:
    """The stems of the words that carry meaning."""
    words = (word.casefold() for word in WORD.findall(text))
    return frozenset(stem(word) for word in words if len(word) >= SHORTEST and word not in COMMON)


def stem(word: str) -> str:
    """A word without the usual English endings, so that `exports` finds `exported`."""
    word = word.casefold()
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= SHORTEST:
            return word.removesuffix(suffix)
    return word
