"""A stand-in for Stripe: its lists, newest first, with their paging, filters, limits and errors.

For people: `python -m kitestring.testing.stripe --port 8080` prints its address; the key is sk_test_larkspur. Facts:
docs.stripe.com/api (pagination, errors) and docs.stripe.com/rate-limits, read 2026-11.
"""

from __future__ import annotations

import argparse
from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, END
from kitestring.testing.help_desk.texts import FIRST_NAMES
from kitestring.testing.stand_in import Answer, Call, Faults, Limit, StandIn, route, serve

Json = dict[str, Any]

KEY = "sk_test_larkspur"
COUNTS = {
    "customers": 230, "products": 12, "prices": 20, "coupons": 3, "subscriptions": 110, "invoices": 120, "charges": 205,
    "payment_intents": 205, "refunds": 6, "disputes": 4, "payouts": 9, "balance_transactions": 330, "events": 250,
}  # fmt: skip


class StripeStandIn(StandIn):
    """Stripe on 127.0.0.1. `forbidden` names lists that the key may not read."""

    name: ClassVar[str] = "Stripe stand-in"

    def __init__(
        self,
        *,
        forbidden: tuple[str, ...] = (),
        port: int = 0,
        faults: Faults | None = None,
        limits: tuple[Limit, ...] = (),
    ) -> None:
        super().__init__(port=port, faults=faults, limits=limits)
        self.forbidden = forbidden
        self.now = END
        # Oldest first; lists turn them round.
        self.rows = {kind: [self._object(kind, n) for n in range(count)] for kind, count in COUNTS.items()}

    @property
    def config(self) -> Json:
        """A configuration of the source `stripe` that reads this server."""
        return {"client_secret": KEY, "account_id": "acct_larkspur", "start_date": "2025-01-01T00:00:00Z",
                "base_url": self.url, "call_rate_limit": 60_000}  # fmt: skip

    def add(self, kind: str) -> Json:
        """One more, now."""
        self.now += 60
        made = {**self._object(kind, len(self.rows[kind])), "created": self.now}
        self.rows[kind].append(made)
        return made

    # The vendor's manners

    def authorize(self, call: Call) -> Answer | None:
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return self.refuse(401, "Invalid API Key provided.")
        if any(piece in call.path for piece in self.forbidden):
            return self.refuse(403, "The provided key does not have the required permissions.")
        return None

    def refuse(self, status: int, message: str) -> Answer:
        kind = "api_error" if status >= 500 else "invalid_request_error"
        more = {"code": "rate_limit"} if status == 429 else {}
        return Answer(status, {"error": {"type": kind, "message": message, **more}})

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        return {}

    def rate_limited(self, wait_s: float) -> Answer:
        return self.refuse(429, "Request rate limit exceeded.")

    @route("GET", "/v1/{kind}")
    def list_of(self, call: Call, kind: str) -> Any:
        if kind not in self.rows:
            return self.refuse(404, f"Unrecognized request URL (GET: /v1/{kind}).")
        since, behind, size = call.param("created[gte]", "0"), call.param("starting_after"), int(call.param("limit"))
        found = [row for row in reversed(self.rows[kind]) if row["created"] >= int(since)]
        if kind == "subscriptions" and call.param("status") != "all":
            found = [row for row in found if row["status"] != "canceled"]
        if behind:
            found = found[1 + next(i for i, row in enumerate(found) if row["id"] == behind) :]
        return {"object": "list", "url": call.path, "data": found[:size], "has_more": len(found) > size}

    def _object(self, kind: str, n: int) -> Json:
        row: Json = {"id": f"{kind[:2]}_{n:05}", "object": kind[:-1], "created": BEGIN + n * 3000}
        match kind:
            case "customers":
                row |= {"name": FIRST_NAMES[n % 30], "email": f"c{n}@northwind.example", "description": f"Customer {n}"}
            case "products":
                row |= {"name": f"Plan {n}", "description": f"Larkspur for {n} teams", "active": True}
            case "subscriptions":
                row |= {"customer": f"cu_{n:05}", "status": "canceled" if n % 5 == 0 else "active"}
            case "events":
                row |= {"type": "customer.updated", "data": {"object": {"id": f"cu_{n % 230:05}"}}}
            case _:
                row |= {"currency": "eur"}
        return row if kind in ("events", "balance_transactions") else {**row, "livemode": False, "metadata": {}}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m kitestring.testing.stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    serve(StripeStandIn(port=parser.parse_args().port))


if __name__ == "__main__":
    main()
