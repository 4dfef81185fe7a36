"""Rate limits that all jobs of all workers share: a token bucket for each key, in the store.

A key names the account: `zendesk_support:example.zendesk.com`, `openai:HASH OF THE KEY`. A child leases several tokens
at a time from its parent; the parent takes them out of the bucket and answers how long to wait.

For at most `calls` in any window of `per_s` seconds the capacity of the bucket is a tenth of them. It is refilled so
slowly that capacity and refill together never exceed `calls`, even if a lease is used up to a twentieth of the window
after it was granted (see `child/shared_rate_limit.py`). Below ten calls the capacity is one, and calls are even.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from kitestring.server.store import Store
from kitestring.server.store.tables import quotas


class TokenBuckets:
    """The token buckets of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a child's request `{"key", "calls", "per_s", "amount"}` with `{"wait_s"}`."""
        wait_s = self.take(
            str(message["key"]), float(message["calls"]), float(message["per_s"]), float(message["amount"])
        )
        return {"wait_s": wait_s}

    def take(self, key: str, calls: float, per_s: float, amount: float = 1.0) -> float:
        """Take `amount` tokens; returns the seconds to wait before using them. First come, first served."""
        capacity = max(1.0, calls / 10)
        per_second = (calls - capacity) / (per_s * 1.05) if capacity > 1 else calls / per_s
        amount = min(amount, calls)
        with self.store.write() as db:
            now = self.store.now_ms(db)
            level, at_ms = self._level(db, key, capacity, now)
            # A negative level is a promise: later callers wait behind it.
            level = min(capacity, level + max(0, now - at_ms) / 1000 * per_second) - amount
            db.execute(update(quotas).where(quotas.c.key == key).values(level=level, at_ms=max(now, at_ms)))
        return max(0.0, -level / per_second)

    def _level(self, db: Connection, key: str, capacity: float, now: int) -> tuple[float, int]:
        query = select(quotas.c.level, quotas.c.at_ms).where(quotas.c.key == key).with_for_update()
        row = db.execute(query).one_or_none()
        if row is None:
            try:
                with db.begin_nested():
                    db.execute(insert(quotas).values(key=key, level=capacity, at_ms=now))
                return capacity, now
            except IntegrityError:  # another process was faster
                row = db.execute(query).one()
        return float(row.level), int(row.at_ms)
