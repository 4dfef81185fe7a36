"""Smaller pages for an API that refuses large ones: the action `REDUCE_PAGE_SIZE`."""

from __future__ import annotations

import logging
from typing import Any

from kitestring.declarative.keyword import Node, keyword
from kitestring.errors import TransientError

log = logging.getLogger("kitestring.declarative")


class PageRefusedError(TransientError):
    """The API refuses the page: request it again with a smaller size."""


@keyword("PageSizeReduction")
class PageSizeReduction:
    """Divides the page size when the API refuses a page."""

    def __init__(self, node: Node, name: str = "", paginator: Any = None, **_: Any) -> None:
        self.connection, self.name = node.context.connection, name
        self.factor = node.number("reduction_factor", 2) or 2
        self.least = node.integer("minimum_page_size", 1) or 1
        self.most = node.integer("max_attempts", 5) or 5
        self.pause_s = node.number("backoff_seconds", 0.5) or 0.0
        self.retries = node.integer("retries_at_minimum_page_size", 0) or 0
        self.advice = str(node.get("failure_message", ""))
        policy = node.get("reset_policy", "NEVER")
        if policy not in ("NEVER", "AFTER_SUCCESSFUL_PAGE"):
            raise node.error(f"is {policy!r}, NEVER or AFTER_SUCCESSFUL_PAGE is expected", "reset_policy")
        self.restores = policy == "AFTER_SUCCESSFUL_PAGE"
        if self.factor <= 1:
            raise node.error("is not greater than 1", "reduction_factor")
        if self.least < 1:
            raise node.error("is less than 1", "minimum_page_size")
        if not getattr(paginator, "resizable", False):
            raise node.error(
                "needs a DefaultPaginator with a `page_size_option`, CursorPagination or OffsetIncrement with a "
                "`page_size`, and no RequestPath"
            )
        self.size: int = paginator.page_size
        if self.size <= self.least:
            raise node.error(f"is not below the page size {self.size}", "minimum_page_size")

    def begin(self) -> Sizes:
        """The page sizes of one slice."""
        return Sizes(self)


class Sizes:
    """The page size of one slice during its read; None is the paginator's size."""

    def __init__(self, rule: PageSizeReduction) -> None:
        self._rule = rule
        self.size: int | None = None
        self._attempts = 0
        self._repeats = 0

    def reduce(self, reason: str) -> None:
        """Reduce the size and pause, longer with each refusal in a row. Raises at the smallest size."""
        rule = self._rule
        size = self.size or rule.size
        smaller = max(rule.least, int(size // rule.factor))
        if smaller < size:
            self._attempts += 1
            if self._attempts > rule.most:
                raise self._refusal(f"{rule.most} reductions in a row, down to {size}", reason)
            log.info("stream %s: the API refuses a page of %d, requesting %d", rule.name, size, smaller)
            self.size = smaller
            rule.connection.pause(rule.pause_s * self._attempts)
            return
        self._repeats += 1
        if self._repeats > rule.retries:
            raise self._refusal(f"the smallest page of {size}", reason)
        rule.connection.pause(rule.pause_s * self._repeats)

    def page_succeeded(self) -> None:
        """Record that a page was read."""
        self._attempts = self._repeats = 0
        if self._rule.restores:
            self.size = None

    def _refusal(self, what: str, reason: str) -> TransientError:
        because = f": {reason}" if reason else ""
        return TransientError(
            f"stream {self._rule.name}: the API refuses every page, after {what}{because}",
            hint=self._rule.advice or "Try again later, or read less per page: fewer fields, a later start.",
        )
