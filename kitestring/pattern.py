"""Regular expressions that users write, matched under a limit of time.

Python's own `re` may try for hours on forty characters, holds the interpreter meanwhile, and cannot be stopped. The
module `regex` understands the same language, lookarounds and references to groups included, and stops when its time is
over. What `re` refuses is refused here too, and what `regex` alone would understand in another way is rewritten to mean
what it means to `re`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from kitestring.errors import ConfigError

LIMIT_S = 2.0
"""Of processor time, for one search or replacement. A text of megabytes takes a plain expression a tenth of it."""
LONGEST_RESULT = 4_000_000
"""Characters that a replacement may make."""


class PatternError(ConfigError):
    """A regular expression that is none, or that does not come to an end: its fault, not the text's."""


class Pattern:
    """A regular expression. `PatternError` if it is not valid. Safe to share between threads."""

    __slots__ = ("_compiled", "_original", "text")

    def __init__(self, text: str, flags: int = 0) -> None:
        import regex

        self.text = text
        try:
            self._original = re.compile(text, flags)
        except (re.error, RecursionError, OverflowError) as error:
            raise PatternError(
                f"{shortened(text)} is not a regular expression: {error}", hint="Correct it.", pattern=text
            ) from error
        self._compiled: Any = regex.compile(as_re_reads(text), flags & ~re.UNICODE)

    def search(self, text: str) -> Any:
        """The first match anywhere, or None."""
        return self._limited("search", text)

    def match(self, text: str) -> Any:
        """A match at the beginning, or None."""
        return self._limited("match", text)

    def fullmatch(self, text: str) -> Any:
        """A match of the whole text, or None."""
        return self._limited("fullmatch", text)

    def replace(self, text: str, replacement: str) -> str:
        """Every match replaced; `\\1` and `\\g<name>` refer to groups. `ValueError` for a result that is too long."""
        try:
            self._original.sub(replacement, "")
        except (re.error, IndexError) as error:
            raise PatternError(
                f"{shortened(replacement)} cannot replace what {shortened(self.text)} finds: {error}",
                hint="Correct the replacement.",
                pattern=self.text,
            ) from error
        size = len(text)

        def expanded(match: Any) -> str:
            nonlocal size
            part: str = match.expand(replacement)
            size += len(part)
            if size > LONGEST_RESULT:
                raise ValueError(f"the replacement makes more than {LONGEST_RESULT:,} characters")
            return part

        try:
            by = expanded if "\\" in replacement else self._constant(text, replacement)
            result: str = self._compiled.sub(by, text, timeout=LIMIT_S)
        except TimeoutError:
            raise self._slow(text) from None
        return result

    def _constant(self, text: str, replacement: str) -> Any:
        """A replacement without groups: its size is known where the text is short."""
        if len(text) + (len(text) + 1) * len(replacement) <= LONGEST_RESULT:
            return replacement
        size = len(text)

        def counted(_: Any) -> str:
            nonlocal size
            size += len(replacement)
            if size > LONGEST_RESULT:
                raise ValueError(f"the replacement makes more than {LONGEST_RESULT:,} characters")
            return replacement

        return counted

    def _limited(self, method: str, text: str) -> Any:
        try:
            return getattr(self._compiled, method)(text, timeout=LIMIT_S, concurrent=True)
        except TimeoutError:
            raise self._slow(text) from None

    def _slow(self, text: str) -> PatternError:
        return PatternError(
            f"the regular expression {shortened(self.text)} took more than {LIMIT_S:g} s on {len(text)} characters",
            hint="Write it so that a text fits in one way only: no repetition inside a repetition, as in (a+)+, "
            "and no alternatives that fit the same, as in (a|a)*.",
            pattern=self.text,
        )


def shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"


@lru_cache(maxsize=256)
def compiled(text: str) -> Pattern:
    """The pattern of a text, compiled once."""
    return Pattern(text)


def as_re_reads(text: str) -> str:
    """A pattern that `re` takes, so that `regex` takes it for the same.

    `{` that begins no repetition and `[` in a set are plain characters to `re`; `regex` knows approximate matching
    (`{e<=1}`) and sets of names (`[:alpha:]`).
    """
    parts: list[str] = []
    place, in_set = 0, False
    while place < len(text):
        sign = text[place]
        if sign == "\\":
            parts.append(text[place : place + 2])
            place += 2
            continue
        if in_set:
            parts.append("\\[" if sign == "[" else sign)
            in_set = sign != "]"
        elif sign == "[":
            first = re.match(r"\[\^?\]?", text[place:])
            assert first is not None
            parts.append(first.group())
            place += len(first.group()) - 1
            in_set = True
        elif sign == "{" and not re.match(r"\{(\d+(,\d*)?|,\d*)\}", text[place:]):
            parts.append("\\{")
        else:
            parts.append(sign)
        place += 1
    return "".join(parts)
