"""Filters that people write in a store's own language, checked to stay inside the brackets they are put into.

A filter is joined with others: `(_ab_stream == "tickets") and (…)`. A text that closes its bracket would undo the
other conditions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitestring.errors import ConfigError, ConnectorError

if TYPE_CHECKING:
    from kitestring.filters import Filter

PAIRS = {")": "(", "]": "[", "}": "{"}
MOST_LEVELS = 64


@dataclass(frozen=True, slots=True)
class Lexer:
    """The tokens of a language besides brackets: strings, and what else may be in a filter. Anything else is refused:
    comments, and a string that does not end. `hint` says how to write a string."""

    title: str
    string: re.Pattern[str]
    rest: re.Pattern[str]
    hint: str

    def confined(self, text: str) -> str:
        """The text, which is one expression wherever it is put. `ConfigError` for one that would end early."""
        open_brackets: list[str] = []
        at = 0
        while at < len(text):
            sign = text[at]
            token = self.string.match(text, at) or self.rest.match(text, at)
            if token is not None and token.end() > at:
                at = token.end()
                continue
            if sign in PAIRS.values():
                open_brackets.append(sign)
                if len(open_brackets) > MOST_LEVELS:
                    raise refusal(text, at, f"more than {MOST_LEVELS} brackets in each other", "Write it flatter.")
            elif sign in PAIRS:
                if not open_brackets or open_brackets.pop() != PAIRS[sign]:
                    raise refusal(text, at, f"{sign} without its bracket", "Each bracket needs its pair.")
            else:
                what = "a string that does not end" if sign in "\"'`" else f"the sign {sign}"
                raise refusal(text, at, f"{what}, or an escape that {self.title} does not have", self.hint)
            at += 1
        if open_brackets:
            raise refusal(text, len(text), f"no end of {open_brackets[-1]}", "Each bracket needs its pair.")
        return text


@contextmanager
def explained(where: Filter | str | None, message: str, hint: str = "") -> Iterator[None]:
    """Raise an error of a store that was asked with a text as one of the filter. `hint` says how to write it; without
    one the store's own is kept."""
    try:
        yield
    except (ConfigError, ConnectorError) as error:
        if not isinstance(where, str):
            raise
        raise ConfigError(f"{message}: {error.message}", hint=hint or error.hint) from error


def refusal(text: str, at: int, what: str, hint: str) -> ConfigError:
    return ConfigError(
        f"the filter has {what}, at character {at + 1} of {len(text)}", hint=f"Correct the filter (`where`). {hint}"
    )
