"""A stand-in for Shopify's GraphQL Admin API: lists with their search, sorting, cursors, costs and errors.

For people: `python -m kitestring.testing.shopify --port 8080` prints its address; the token is shpat_larkspur. It
answers queries of the form that the source sends, not GraphQL at large. Facts: shopify.dev/docs/api, read 2026-11.
"""

from __future__ import annotations

import argparse
import re
from base64 import b64decode, b64encode
from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, END, iso
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, Faults, Limit, StandIn, route, serve

Json = dict[str, Any]

TOKEN = "shpat_larkspur"  # noqa: S105 - opens nothing but this server
COUNTS = {"products": 230, "collections": 12, "pages": 5, "articles": 60, "blogs": 2, "customers": 130, "orders": 210}
QUERY = re.compile(
    r"items: (\w+)\(first: \$first, after: \$after, query: \$filter, sortKey: (\w+)\) \{ nodes \{(.*)\} pageInfo"
)


class ShopifyStandIn(StandIn):
    """Shopify on 127.0.0.1. `denied` names lists whose scope the app lacks."""

    name: ClassVar[str] = "Shopify stand-in"

    def __init__(
        self,
        *,
        denied: tuple[str, ...] = (),
        port: int = 0,
        faults: Faults | None = None,
        limits: tuple[Limit, ...] = (),
    ) -> None:
        super().__init__(port=port, faults=faults, limits=limits)
        self.denied = denied
        self.now = END
        self.rows = {kind: [self._object(kind, n) for n in range(1, count + 1)] for kind, count in COUNTS.items()}

    @property
    def config(self) -> Json:
        """A configuration of the source `shopify` that reads this server."""
        return {"shop": "larkspur", "credentials": {"auth_method": "api_password", "api_password": TOKEN},
                "start_date": "2025-01-01T00:00:00Z", "base_url": self.url}  # fmt: skip

    def touch(self, kind: str, index: int, **fields: Any) -> Json:
        self.now += 60
        self.rows[kind][index].update(fields, updatedAt=iso(self.now))
        return self.rows[kind][index]

    # The vendor's manners

    def authorize(self, call: Call) -> Answer | None:
        if call.headers.get("x-shopify-access-token") != TOKEN:
            return self.refuse(401, "[API] Invalid API key or access token (unrecognized login or wrong password)")
        return None

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"errors": message})

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        return {}

    def rate_limited(self, wait_s: float) -> Answer:
        """A bucket that restores 100 points a second and lacks what `wait_s` would bring."""
        bucket = {"maximumAvailable": 2000.0, "currentlyAvailable": 100 - int(wait_s * 100), "restoreRate": 100.0}
        cost = {"requestedQueryCost": 100, "actualQueryCost": None, "throttleStatus": bucket}
        return Answer(200, {"errors": [_error("Throttled", "THROTTLED")], "extensions": {"cost": cost}})

    @route("POST", "/admin/api/2026-07/graphql")
    def graphql(self, call: Call) -> Any:
        body = call.json()
        found = QUERY.search(body["query"])
        if found is None or found[1] not in self.rows:
            return {"errors": [_error("Parse error", "undefinedField")]}
        kind, sort, fields = found[1], found[2], set(re.findall(r"\w+", found[3]))
        if kind in self.denied:
            return {"errors": [_error(f"Access denied for {kind} field.", "ACCESS_DENIED")], "data": {"items": None}}
        variables = body["variables"]
        since = re.fullmatch(r"updated_at:>='(.*)'", variables["filter"]) if "filter" in variables else None
        order = "updatedAt" if sort == "UPDATED_AT" else "id"
        rows = sorted(self.rows[kind], key=lambda row: (row[order], row["id"]))
        rows = [row for row in rows if since is None or row["updatedAt"] >= since[1]]
        if "after" in variables:
            value, _, key = b64decode(variables["after"]).decode().partition("|")
            rows = [row for row in rows if (row[order], row["id"]) > (value, key)]
        shown = rows[: variables["first"]]
        end = b64encode(f"{shown[-1][order]}|{shown[-1]['id']}".encode()).decode() if shown else None
        nodes = [{k: v for k, v in row.items() if k in fields} for row in shown]
        return {
            "data": {"items": {"nodes": nodes, "pageInfo": {"hasNextPage": len(rows) > len(shown), "endCursor": end}}}
        }

    def _object(self, kind: str, n: int) -> Json:
        told = _PROBLEMS[n % 60]
        row: Json = {"id": f"gid://shopify/{kind[:-1].title()}/{n:05}", "createdAt": iso(BEGIN),
                     "updatedAt": iso(BEGIN + n * 3000), "title": told.title, "tags": ["larkspur"]}  # fmt: skip
        match kind:
            case "products" | "collections":
                row |= {
                    "legacyResourceId": str(n),
                    "description": told.cause,
                    "descriptionHtml": f"<p>{told.cause}</p>",
                }
            case "pages" | "articles":
                row |= {"body": f"<p>{told.cause}</p>", "isPublished": True}
            case "customers":
                row |= {"displayName": FIRST_NAMES[n % 30], "note": "Prefers mail.", "numberOfOrders": "2"}
            case "orders":
                row |= {"name": f"#{n}", "note": "Please wrap it.", "confirmed": True}
        return row


def _error(message: str, code: str) -> Json:
    return {"message": message, "extensions": {"code": code}}


_PROBLEMS = problems()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m kitestring.testing.shopify", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    serve(ShopifyStandIn(port=parser.parse_args().port))


if __name__ == "__main__":
    main()
