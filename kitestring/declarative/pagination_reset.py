"""`PaginationReset`: reads a slice again from its first page, or behind its last record."""

from __future__ import annotations

from typing import Any

from kitestring.declarative.keyword import Node, keyword


@keyword("PaginationReset")
class PaginationReset:
    """Restarts a slice on the action `RESET_PAGINATION` or at a limit: from its start, or after the last record."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.action = node.need("action")
        if self.action not in ("RESET", "SPLIT_USING_CURSOR"):
            raise node.error(f"is {self.action!r}, RESET or SPLIT_USING_CURSOR is expected", "action")
        limits: PaginationResetLimits | None = node.child("limits", "PaginationResetLimits")
        self.limit = limits.records if limits is not None else None


@keyword("PaginationResetLimits")
class PaginationResetLimits:
    """The number of records after which a slice restarts: a part of `PaginationReset`."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.records = node.integer("number_of_records")
