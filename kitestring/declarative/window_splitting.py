"""`RequestWindowSplitting`: split a time window that the API refuses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from kitestring.declarative.datetime_format import parse_duration
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.slice import Slice
from kitestring.errors import TransientError

log = logging.getLogger("kitestring.declarative")

MOST_CUTS = 20
"""How often a window can be halved: after this a week is less than a second."""


class WindowRefusedError(TransientError):
    """The API refuses the window of a request: split it in two."""


@keyword("RequestWindowSplitting")
class RequestWindowSplitting:
    """Splits a window that the API refuses (the action `SPLIT_REQUEST_WINDOW`) in halves, recursively."""

    def __init__(self, node: Node, name: str = "", cursor: Any = None, **_: Any) -> None:
        self._name, self._cursor = name, cursor
        self._advice = str(node.get("failure_message", ""))
        if not getattr(cursor, "granularity", None):
            raise node.error("needs a DatetimeBasedCursor with a `cursor_granularity`")
        if cursor.client_side:
            raise node.error("cannot be combined with `is_client_side_incremental`: the window is not in the request")
        least = node.get("min_split_window")
        try:
            self._least = parse_duration(least) if least else timedelta()
        except ValueError as error:
            raise node.error(str(error), "min_split_window") from None
        if not isinstance(self._least, timedelta) or (least and self._least <= timedelta()):
            raise node.error(f"is {least!r}, a positive duration without months is expected", "min_split_window")

    def pages(self, part: Slice, read: Callable[[Slice], Iterator[Any]], cuts: int = 0) -> Iterator[Any]:
        """The pages of a slice. If a window is refused after some pages, its halves repeat them."""
        try:
            yield from read(part)
        except WindowRefusedError as error:
            halves = self._cursor.halves(part, self._least) if cuts < MOST_CUTS else []
            if not halves:
                raise TransientError(
                    f"stream {self._name}: the API refuses even the smallest window: {dict(part.cursor_slice)}",
                    hint=self._advice or "Try again later.",
                ) from error
            log.info(
                "stream %s: the API refuses the window %s, reading its halves", self._name, dict(part.cursor_slice)
            )
            for half in halves:
                yield from self.pages(half, read, cuts + 1)
