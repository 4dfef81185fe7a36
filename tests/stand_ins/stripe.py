"""A stand-in for Stripe: its lists, newest first, single objects, events, with paging, filters, limits and errors.

By hand: `python -m stand_ins.stripe --port 8080` prints its address; the key is sk_test_larkspur. Facts:
docs.stripe.com/api (pagination, errors, events, objects) and docs.stripe.com/rate-limits, read 2026-11.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar

from kitestring.testing.help_desk.texts import FIRST_NAMES
from kitestring.testing.stand_in import Answer, Call, route
from stand_ins.command_line import run
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]

KEY = "sk_test_larkspur"
DAY = 86_400
RETENTION_S = 30 * DAY
"""The time that Stripe keeps events."""
COUNTS = {
    "customers": 230, "products": 12, "prices": 20, "coupons": 3, "subscriptions": 110, "invoices": 120, "charges": 205,
    "payment_intents": 205, "refunds": 6, "disputes": 4, "payouts": 9, "balance_transactions": 330, "events": 250,
    "plans": 3, "promotion_codes": 5, "tax_rates": 2, "subscription_schedules": 3, "invoiceitems": 7,
    "credit_notes": 4, "setup_intents": 6, "reviews": 2, "radar/early_fraud_warnings": 2, "transfers": 8, "topups": 2,
    "application_fees": 3, "checkout/sessions": 12, "files": 4, "file_links": 2, "shipping_rates": 2, "accounts": 2,
    "issuing/authorizations": 3, "issuing/cardholders": 2, "issuing/cards": 2, "issuing/transactions": 2,
}  # fmt: skip
"""How many objects each list has, by its path."""
STREAMS = {"subscription_schedules": "subscription_schedule", "invoiceitems": "invoice_items", "topups": "top_ups"}
"""The streams that are called otherwise than the last part of their path."""
OBJECTS = {"invoiceitems": "invoiceitem", "topups": "topup", "radar/early_fraud_warnings": "radar.early_fraud_warning",
           "checkout/sessions": "checkout.session"}  # fmt: skip
EVENTS = {"subscriptions": "customer.subscription", "disputes": "charge.dispute"}
"""The names of events that are not those of their objects."""
INSIDE = {"invoices": "lines", "subscriptions": "items", "transfers": "reversals", "application_fees": "refunds",
          "checkout/sessions": "line_items"}  # fmt: skip
"""The list that each object holds; only its first 10 are shown inside."""


class StripeStandIn(PagedApi):
    """Stripe on 127.0.0.1. `forbidden` names lists that the key may not read; `plain` is an account without Connect and
    Issuing."""

    name: ClassVar[str] = "Stripe stand-in"
    bearer: ClassVar[str] = KEY
    reports_limits: ClassVar[bool] = False
    refusals: ClassVar[Mapping[int, str]] = {
        401: "Invalid API Key provided.",
        403: "The provided key does not have the required permissions.",
    }

    def __init__(self, *, plain: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.plain = plain
        # Events end, so that this shop lives now.
        self.begin = int(time.time()) - 14 * DAY
        self.now = self.begin + 13 * DAY
        # Oldest first; lists turn them round.
        self.rows = {kind: [self._object(kind, n) for n in range(count)] for kind, count in COUNTS.items()}
        self.inside = {
            (kind, row["id"]): self._inside(kind, n) for kind in INSIDE for n, row in enumerate(self.rows[kind])
        }
        self.deleted: dict[str, Json] = {}
        self.of_customer = {
            "payment_methods": [self._row("payment_method", n, customer=f"cu_{n * 3:05}") for n in range(40)],
            "balance_transactions": [
                self._row("customer_balance_transaction", n, customer="cu_00007") for n in range(5)
            ],
        }
        self.attempts = [self._row("setup_attempt", n, setup_intent="se_00002") for n in range(3)]

    @property
    def config(self) -> Json:
        """A configuration of the source `stripe` that reads this server."""
        return {"client_secret": KEY, "account_id": "acct_larkspur", "start_date": "2025-01-01T00:00:00Z",
                "base_url": self.url, "call_rate_limit": 60_000}  # fmt: skip

    @property
    def counts(self) -> dict[str, int]:
        """How many records each stream has."""
        lists = {STREAMS.get(kind, kind.rpartition("/")[2]): len(rows) for kind, rows in self.rows.items()}
        lists["checkout_sessions"] = lists.pop("sessions")
        inside = {
            stream: sum(len(items) for (owner, _), items in self.inside.items() if owner == kind)
            for stream, kind in (
                ("invoice_line_items", "invoices"), ("subscription_items", "subscriptions"),
                ("transfer_reversals", "transfers"), ("application_fees_refunds", "application_fees"),
                ("checkout_sessions_line_items", "checkout/sessions"),
            )
        }  # fmt: skip
        return {**lists, **inside, "payment_methods": 40, "customer_balance_transactions": 5, "setup_attempts": 3}

    def add(self, kind: str) -> Json:
        """One more, now."""
        self.now += 60
        row = {**self._object(kind, len(self.rows[kind])), "created": self.now}
        self.rows[kind].append(row)
        if kind in INSIDE:
            self.inside[kind, row["id"]] = self._inside(kind, 1)
        if kind not in ("events", "balance_transactions"):
            self._event(kind, "created", row)
        return row

    def change(self, kind: str, index: int, **fields: Any) -> Json:
        """An object changes, and an event tells it."""
        self.now += 60
        self.rows[kind][index].update(fields)
        self._event(kind, "updated", self.rows[kind][index])
        return self.rows[kind][index]

    def delete(self, kind: str, index: int) -> Json:
        self.now += 60
        row = self.rows[kind].pop(index)
        self.deleted[row["id"]] = {"id": row["id"], "object": row["object"], "deleted": True}
        self._event(kind, "deleted", row)
        return row

    # Credentials, errors and rate limits

    def authorize(self, call: Call) -> Answer | None:
        if refusal := super().authorize(call):
            return refusal
        if self.plain and "/issuing/" in call.path:
            return self.refuse(
                400, "Your account is not set up to use Issuing. Please visit the dashboard to get started."
            )
        if self.plain and call.path.endswith(("/accounts", "/application_fees")):
            return self.refuse(403, "Only Stripe Connect platforms can work with other accounts.")
        return None

    def refuse(self, status: int, message: str) -> Answer:
        kind = "api_error" if status >= 500 else "invalid_request_error"
        code = {"code": "rate_limit"} if status == 429 else {"code": "resource_missing"} if status == 404 else {}
        return Answer(status, {"error": {"type": kind, "message": message, **code}})

    def rate_limited(self, wait_s: float) -> Answer:
        return self.refuse(429, "Request rate limit exceeded.")

    @route("GET", "/v1/{kind}")
    def list_of(self, call: Call, kind: str) -> Any:
        if kind == "subscription_items":
            return self._inner("subscriptions", call.param("subscription"), call)
        if kind == "setup_attempts":
            return self._page(call, [row for row in self.attempts if row["setup_intent"] == call.param("setup_intent")])
        if kind not in self.rows:
            return self.refuse(404, f"Unrecognized request URL (GET: /v1/{kind}).")
        rows = list(reversed(self.rows[kind]))
        if kind == "events":
            rows = [row for row in rows if row["created"] >= time.time() - RETENTION_S]
            types = call.params.get("types[]", [])
            rows = [row for row in rows if not types or row["type"] in types]
            if len(types) > 20:
                return self.refuse(400, "You may specify up to 20 event types.")
        if kind == "subscriptions" and call.param("status") != "all":
            rows = [row for row in rows if row["status"] != "canceled"]
        return self._page(call, [self._with_inner_list(kind, row, call.params.get("expand[]", [])) for row in rows])

    @route("GET", "/v1/{kind}/{key}")
    def single(self, call: Call, kind: str, key: str) -> Any:
        if f"{kind}/{key}" in self.rows:
            return self.list_of(call, f"{kind}/{key}")
        row = next((row for row in self.rows.get(kind, ()) if row["id"] == key), None)
        if row is None and kind == "customers" and key in self.deleted:
            return self.deleted[key]
        if row is None:
            return self.refuse(404, f"No such {kind}: '{key}'")
        return self._with_inner_list(kind, row, call.params.get("expand[]", []))

    @route("GET", "/v1/{kind}/{key}/{inner}")
    def inner_list(self, call: Call, kind: str, key: str, inner: str) -> Any:
        if kind in ("radar", "issuing", "checkout"):
            return self.single(call, f"{kind}/{key}", inner)
        if kind == "customers":
            return self._page(call, [row for row in self.of_customer[inner] if row["customer"] == key])
        return self._inner(kind, key, call)

    @route("GET", "/v1/{group}/{kind}/{key}/{inner}")
    def inner_list_of_group(self, call: Call, group: str, kind: str, key: str, inner: str) -> Any:
        return self._inner(f"{group}/{kind}", key, call)

    def _inner(self, kind: str, key: str, call: Call) -> Any:
        if (kind, key) not in self.inside or key in self.deleted:
            return self.refuse(404, f"No such {kind}: '{key}'")
        return self._page(call, self.inside[kind, key])

    def _page(self, call: Call, rows: list[Json]) -> Any:
        since, behind, size = (
            call.param("created[gte]", "0"),
            call.param("starting_after"),
            int(call.param("limit", "10")),
        )
        rows = [row for row in rows if row.get("created", 0) >= int(since)]
        places = {row["id"]: place for place, row in enumerate(rows)}
        if behind and behind not in places:
            return self.refuse(400, f"No such object: '{behind}'")
        if behind:
            rows = rows[1 + places[behind] :]
        return {"object": "list", "url": call.path, "data": rows[: int(size)], "has_more": len(rows) > int(size)}

    def _with_inner_list(self, kind: str, row: Json, expand: list[str]) -> Json:
        """An object with the first ten of the list inside it; a session's only on request."""
        inner = INSIDE.get(kind)
        if inner is None or (inner == "line_items" and f"data.{inner}" not in expand):
            return row
        items = self.inside[kind, row["id"]]
        return {**row, inner: {"object": "list", "data": items[:10], "has_more": len(items) > 10}}

    # What the account has

    def _row(self, kind: str, n: int, **fields: Any) -> Json:
        return {"id": f"{kind[:2]}_{n:05}", "object": kind, "created": self.begin + n * 3000, **fields}

    def _inside(self, kind: str, n: int) -> list[Json]:
        count = 135 if n == 5 else (n % 3 if kind != "invoices" else 1 + n % 2)
        texts = {"description": "Seats"} if kind in ("invoices", "checkout/sessions") else {}
        return [{"id": f"in_{kind[:3]}{n:05}{i:04}", "object": "item", **texts} for i in range(count)]

    def _event(self, kind: str, what: str, row: Json) -> None:
        """In the version of the API that the account has, which calls the customer's description otherwise."""
        snapshot = deepcopy(row)
        snapshot["blurb"] = snapshot.pop("description", None)
        name = EVENTS.get(kind, OBJECTS.get(kind, kind[:-1]))
        self.rows["events"].append({
            "id": f"ev_{len(self.rows['events']):05}", "object": "event", "created": self.now, "type": f"{name}.{what}",
            "api_version": "2026-09-30.dahlia", "data": {"object": snapshot}, "pending_webhooks": 0,
        })  # fmt: skip

    def _object(self, kind: str, n: int) -> Json:
        row = self._row(OBJECTS.get(kind, kind.rpartition("/")[2][:-1]), n)
        row["id"] = f"{kind.rpartition('/')[2][:2]}_{n:05}"
        match kind:
            case "customers":
                row |= {"name": FIRST_NAMES[n % 30], "email": f"c{n}@northwind.example", "description": f"Customer {n}"}
            case "products":
                row |= {"name": f"Plan {n}", "description": f"Larkspur for {n} teams", "active": True}
            case "subscriptions":
                row |= {"customer": f"cu_{n:05}", "status": "canceled" if n % 5 == 0 else "active"}
            case "events":
                row |= {"type": "customer.updated", "data": {"object": {"id": f"cu_{n % 230:05}"}},
                        "created": self.begin + n * 100}  # fmt: skip
            case "balance_transactions":
                row |= {"currency": "eur", "status": "available" if n < 300 else "pending"}
            case "accounts" | "files" | "file_links" | "reviews":
                pass
            case _ if kind.startswith(("issuing", "radar")):
                pass
            case "plans" | "invoices" | "charges" | "payment_intents" | "refunds" | "disputes" | "payouts" | "prices":
                row |= {"currency": "eur"}
        return row if kind in ("events", "balance_transactions") else {**row, "livemode": False, "metadata": {}}


if __name__ == "__main__":
    run(StripeStandIn)
