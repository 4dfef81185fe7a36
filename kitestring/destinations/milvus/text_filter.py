"""Filters that people write in Milvus's own language, checked to stay inside the brackets they are put into.

A filter is joined with others: `(_ab_stream == "tickets") and (…)`. A text that closes its bracket would undo the
other conditions. Only what both lexers, the server's (`Plan.g4`) and Lite's, read in one way is passed on: strings
with escapes that both have, and brackets in pairs. Neither has comments.
"""

from __future__ import annotations

import re

from kitestring.errors import ConfigError

TOKEN = re.compile(
    r"""
    (?P<string>
        "(?:[^"\\\r\n]|\\(?:["'\\?abfnrtv]|[0-7]{1,3}|x[0-9A-Fa-f]+|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}))*"
      | '(?:[^'\\\r\n]|\\(?:["'\\?abfnrtv]|[0-7]{1,3}|x[0-9A-Fa-f]+|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}))*'
    )
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<rest>[^"'\\()\[\]{}]+)
    """,
    re.VERBOSE,
)
PAIRS = {")": "(", "]": "[", "}": "{"}
MOST_LEVELS = 64


def confined(text: str) -> str:
    """The text, which is one expression wherever it stands. `ConfigError` for one that would end early."""
    open_brackets: list[str] = []
    at = 0
    while at < len(text):
        token = TOKEN.match(text, at)
        if token is None:
            sign = text[at]
            what = "a string that does not end" if sign in "\"'" else f"the sign {sign}"
            raise refusal(
                text, at, f"{what}, or an escape that Milvus does not have", 'Write a backslash as \\\\, " as \\".'
            )
        if token["open"]:
            open_brackets.append(token["open"])
            if len(open_brackets) > MOST_LEVELS:
                raise refusal(text, at, f"more than {MOST_LEVELS} brackets in each other", "Write it flatter.")
        elif token["close"] and (not open_brackets or open_brackets.pop() != PAIRS[token["close"]]):
            raise refusal(text, at, f"{token['close']} without its bracket", "Brackets stand in pairs.")
        at = token.end()
    if open_brackets:
        raise refusal(text, len(text), f"no end of {open_brackets[-1]}", "Brackets stand in pairs.")
    return text


def refusal(text: str, at: int, what: str, hint: str) -> ConfigError:
    return ConfigError(
        f"the filter has {what}, at character {at + 1} of {len(text)}", hint=f"Correct the filter (`where`). {hint}"
    )
