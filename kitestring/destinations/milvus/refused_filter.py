"""An error about a filter quotes what a person wrote, and not the conditions that it was joined with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kitestring.errors import ConfigError

BEFORE = re.compile(r'(?:\(_ab_stream == "(?:[^"\\]|\\.)*"\) and )?\($')
AFTER = re.compile(r'\)(?: and \(_ab_stream == "(?:[^"\\]|\\.)*"\))?(?: and not \([^)]*\))?')
COLUMN = re.compile(r"(column |line 1:)(\d+)")
UNDERLINE = re.compile(r" \^+(?=\W|$)")


@contextmanager
def quoting_only(where: Any) -> Iterator[None]:
    """An error about a filter quotes what a person wrote, and not the conditions that it was joined with."""
    try:
        yield
    except ConfigError as error:
        if not isinstance(where, str) or "_ab_stream" not in error.message:
            raise
        raise ConfigError(without_ours(error.message, where), hint=error.hint, **error.fields) from error


def without_ours(message: str, where: str) -> str:
    """The message of Milvus about a joined filter, on one line, as if the filter were this one alone."""
    typed = " ".join(where.split())
    start = message.find(f"({typed})") + 1
    if start == 0 and "(_ab_stream" in message:  # it is shortened
        return message.partition("(_ab_stream")[0].rstrip(" :")
    before = BEFORE.search(message[:start])
    after = AFTER.match(message, start + len(typed))
    if before is None or after is None:
        return message
    shift = len(before[0])
    rest = f"{message[: before.start()]}{typed}{message[after.end() :]}"
    return UNDERLINE.sub("", COLUMN.sub(lambda match: f"{match[1]}{max(int(match[2]) - shift, 0)}", rest))
