"""A stand-in for Shopify's GraphQL Admin API: lists with their search, sorting, cursors, costs and errors, and tokens.

By hand: `python -m stand_ins.shopify --port 8080` prints its address; the token is shpat_larkspur, the
client larkspur-app with the secret shpss_larkspur. It answers queries of the form that the source sends, not GraphQL at
large. Facts: shopify.dev/docs/api and shopify.dev/docs/apps/build/authentication-authorization, read 2026-11.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, END, iso
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.token_endpoint import TokenEndpoint
from stand_ins.command_line import run
from stand_ins.graphql import Query, Selection, cost, selected
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]

TOKEN = "shpat_larkspur"
CLIENT, SECRET = "larkspur-app", "shpss_larkspur"
DEEPEST = 25_000
"""The number of a list's records that paging reaches (shopify.dev/docs/api/usage/limits)."""
TYPES = {
    "products": "Product", "collections": "Collection", "pages": "Page", "articles": "Article", "blogs": "Blog",
    "customers": "Customer", "orders": "Order", "productVariants": "ProductVariant", "comments": "Comment",
    "draftOrders": "DraftOrder", "abandonedCheckouts": "AbandonedCheckout", "locations": "Location",
    "inventoryItems": "InventoryItem", "discountNodes": "DiscountNode", "metaobjectDefinitions": "MetaobjectDefinition",
}  # fmt: skip
"""The type of the nodes of each list."""
SORTS = {
    **{kind: {"ID", "UPDATED_AT"} for kind in ("products", "collections", "pages", "articles", "customers", "orders")},
    **{kind: {"ID", "UPDATED_AT"} for kind in ("draftOrders", "discountNodes")},
    **{kind: {"ID"} for kind in ("blogs", "locations", "productVariants")},
    "comments": {"ID", "CREATED_AT"}, "abandonedCheckouts": {"ID", "CREATED_AT"}, "events": {"ID", "CREATED_AT"},
}  # fmt: skip
"""The sort keys of each list that the source may use; the other lists have none."""
LISTS = {
    "products": 130, "collections": 12, "pages": 5, "articles": 30, "blogs": 2, "customers": 60, "orders": 70,
    "productVariants": 160, "comments": 10, "draftOrders": 5, "abandonedCheckouts": 4, "locations": 3,
    "inventoryItems": 60, "discountNodes": 20, "metaobjectDefinitions": 2,
}  # fmt: skip
OF_ORDERS = {"order_line_items": "lineItems", "order_refunds": "refunds", "fulfillments": "fulfillments",
             "transactions": "transactions"}  # fmt: skip
OWNERS = {
    "products": "products", "product_variants": "productVariants", "collections": "collections", "pages": "pages",
    "articles": "articles", "blogs": "blogs", "customers": "customers", "orders": "orders",
    "draft_orders": "draftOrders", "locations": "locations",
}  # fmt: skip
STREAMS = {"product_variants": "productVariants", "draft_orders": "draftOrders", "discounts": "discountNodes",
           "abandoned_checkouts": "abandonedCheckouts", "inventory_items": "inventoryItems",
           "metaobject_definitions": "metaobjectDefinitions"}  # fmt: skip
"""The streams that are called otherwise than their list."""


class ShopifyStandIn(PagedApi):
    """Shopify on 127.0.0.1. `denied` names lists whose scope the app lacks; `most_cost` is what one query may cost."""

    name: ClassVar[str] = "Shopify stand-in"
    token_path: ClassVar[str] = "/admin/oauth/access_token"
    reports_limits: ClassVar[bool] = False
    refusals: ClassVar[Mapping[int, str]] = {
        401: "[API] Invalid API key or access token (unrecognized login or wrong password)"
    }

    def __init__(
        self, *, denied: tuple[str, ...] = (), token_lifetime_s: float = 86_399, most_cost: int = 1000, **options: Any
    ) -> None:
        super().__init__(**options)
        self.denied, self.most_cost = denied, most_cost
        self.now = END
        self.tokens = TokenEndpoint({CLIENT: SECRET}, lifetime_s=token_lifetime_s, client_in=("body",), prefix="shpat")
        self.rows = {kind: [self._object(kind, n) for n in range(1, count + 1)] for kind, count in LISTS.items()}
        self.events: list[Json] = []
        self.metaobjects = {kind: [self._metaobject(kind, n) for n in range(1, 31)] for kind in ("recipe", "author")}
        for kind, row in zip(self.metaobjects, self.rows["metaobjectDefinitions"], strict=True):
            row["type"] = kind
        self.shop: Json = {
            **self._row("Shop", 1), "name": "Larkspur", "metafields": self._metafields("Shop", 1, 60),
            "shopPolicies": [{**self._row("ShopPolicy", n), "title": "Refunds", "body": "<p>Within 30 days.</p>"}
                             for n in (1, 2)],
        }  # fmt: skip

    @property
    def config(self) -> Json:
        """A configuration of the source `shopify` that reads this server."""
        return {"shop": "larkspur", "credentials": {"auth_method": "api_password", "api_password": TOKEN},
                "start_date": "2025-01-01T00:00:00Z", "base_url": self.url}  # fmt: skip

    @property
    def counts(self) -> dict[str, int]:
        """How many records each stream has."""
        streams = {stream: len(self.rows[kind]) for stream, kind in STREAMS.items()}
        plain = {kind: len(rows) for kind, rows in self.rows.items() if kind not in STREAMS.values()}
        of_orders = {stream: sum(len(row[inner]) for row in self.rows["orders"]) for stream, inner in OF_ORDERS.items()}
        metafields = {
            f"metafield_{stream}": sum(len(row["metafields"]) for row in self.rows[kind])
            for stream, kind in OWNERS.items()
        }
        return {
            **plain, **streams, **of_orders, **metafields, "metafield_shops": 60, "shop": 1, "shop_policies": 2,
            "inventory_levels": sum(len(row["inventoryLevels"]) for row in self.rows["inventoryItems"]),
            "product_media": sum(len(row["media"]) for row in self.rows["products"]),
            "collection_products": sum(len(row["products"]) for row in self.rows["collections"]),
            "customer_addresses": sum(len(row["addressesV2"]) for row in self.rows["customers"]),
            "discount_codes": sum(len(row["discount"].get("codes", ())) for row in self.rows["discountNodes"]),
            "metaobjects": sum(map(len, self.metaobjects.values())),
        }  # fmt: skip

    def touch(self, kind: str, index: int, **fields: Any) -> Json:
        self.now += 60
        self.rows[kind][index].update(fields, updatedAt=iso(self.now))
        return self.rows[kind][index]

    def delete(self, kind: str, index: int) -> Json:
        """Take a record away; an event is all that is left of it."""
        self.now += 60
        row = self.rows[kind].pop(index)
        subject = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", TYPES[kind]).upper()
        self.events.append(self._event(subject, row["id"], "destroy"))
        return row

    # Credentials, errors and rate limits

    def admits(self, call: Call) -> bool:
        token = call.headers.get("x-shopify-access-token", "")
        return token == TOKEN or self.tokens.allows(token)

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"errors": message})

    def rate_limited(self, wait_s: float) -> Answer:
        """A bucket that restores 100 points a second and lacks what `wait_s` would bring."""
        bucket = {"maximumAvailable": 2000.0, "currentlyAvailable": 100 - int(wait_s * 100), "restoreRate": 100.0}
        points = {"requestedQueryCost": 100, "actualQueryCost": None, "throttleStatus": bucket}
        return Answer(200, {"errors": [_error("Throttled", "THROTTLED")], "extensions": {"cost": points}})

    @route("POST", "/admin/api/2026-07/graphql.json")
    def graphql(self, call: Call) -> Any:
        body = call.json()
        try:
            query = Query(body["query"], body.get("variables") or {})
            points = cost(query.selections)
            if points > self.most_cost:
                message = f"Query cost is {points}, which exceeds the single query max cost limit ({self.most_cost})."
                return {"errors": [_error(message, "MAX_COST_EXCEEDED")]}
            return {"data": {selection.alias: self._root(selection) for selection in query.selections}}
        except PermissionError as error:
            return {"errors": [_error(f"Access denied for {error} field.", "ACCESS_DENIED")], "data": {"items": None}}
        except ValueError as error:
            return {"errors": [_error(f"Parse error: {error}", "undefinedField")]}

    def _root(self, selection: Selection) -> Any:
        if selection.name in self.denied:
            raise PermissionError(selection.name)
        match selection.name:
            case "shop":
                value: Any = self.shop
            case "node" | "discountNode":
                everything = (*self.rows.values(), [self.shop])
                value = next(
                    (row for rows in everything for row in rows if row["id"] == selection.arguments["id"]), None
                )
            case "events":
                return self._connection(self.events, selection)
            case "metaobjects":
                if not isinstance(selection.arguments["type"], str):
                    raise ValueError("Variable $type of type String! was provided invalid value")
                return self._connection(self.metaobjects[selection.arguments["type"]], selection)
            case kind if kind in self.rows:
                return self._connection(self.rows[kind], selection)
            case _:
                raise ValueError(f"Field '{selection.name}' doesn't exist on type 'QueryRoot'")
        return selected(value, selection.selections, self._connection)

    def _connection(self, rows: list[Json], selection: Selection) -> Json:
        sort = selection.arguments.get("sortKey")
        if sort and selection.name in (*self.rows, "events") and sort not in SORTS.get(selection.name, ()):
            raise ValueError(f"Argument 'sortKey' on Field '{selection.name}' has an invalid value ({sort})")
        order = {"UPDATED_AT": "updatedAt", "updated_at": "updatedAt", "CREATED_AT": "createdAt"}.get(sort or "", "")

        def place(row: Json) -> tuple[str, int]:
            return row[order] if order else "", _number(row["id"])

        matches = sorted((row for row in rows if _fits(row, selection.arguments.get("query") or "")), key=place)
        before = 0
        if selection.arguments.get("after"):
            value, _, key = b64decode(selection.arguments["after"]).decode().partition("|")
            before = sum(place(row) <= (value, int(key)) for row in matches)
        page = matches[before : min(before + selection.arguments["first"], DEEPEST)]
        last = place(page[-1]) if page else None
        end = b64encode(f"{last[0]}|{last[1]}".encode()).decode() if last else None
        has_more = before + len(page) < min(len(matches), DEEPEST)
        nodes = selection.child("nodes")
        assert nodes is not None
        return {
            "nodes": [selected(row, nodes.selections, self._connection) for row in page],
            "pageInfo": {"hasNextPage": has_more, "endCursor": end},
        }

    # What the shop has

    def _object(self, kind: str, n: int) -> Json:
        problem = _PROBLEMS[n % 60]
        row = {**self._row(TYPES[kind], n), "title": problem.title, "tags": ["larkspur"], "legacyResourceId": str(n)}
        if kind in OWNERS.values():
            row["metafields"] = self._metafields(TYPES[kind], n, 135 if n == 2 else n % 3)
        match kind:
            case "products" | "collections":
                row |= {"description": problem.cause, "descriptionHtml": f"<p>{problem.cause}</p>"}
                row["media"] = [self._row("MediaImage", n * 100 + i, alt=problem.title) for i in range(n % 2)]
                row["products"] = [self._row("Product", i) for i in range(1, 115 if n == 1 else 1 + n % 3)]
            case "productVariants":
                product = (n - 1) % 130 + 1
                row |= {"sku": f"LK-{n:05}", "price": f"{n}.50", "displayName": f"{problem.title} - Size {n}",
                        "product": {"id": f"gid://shopify/Product/{product}", "title": problem.title}}  # fmt: skip
            case "pages" | "articles" | "comments":
                row |= {"body": f"<p>{problem.cause}</p>", "isPublished": True}
            case "customers":
                row |= {"displayName": FIRST_NAMES[n % 30], "note": "Prefers mail.", "numberOfOrders": "2"}
                row["addressesV2"] = [self._row("MailingAddress", n, city="Bremen")] if n % 3 else []
            case "orders":
                row |= {
                    "name": f"#{n}", "note": "Please wrap it.", "confirmed": True,
                    "lineItems": [{**self._row("LineItem", n * 1000 + i), "title": problem.title, "sku": f"LK-{i}"}
                                  for i in range(260 if n == 3 else 1 + n % 4)],
                    "refunds": [{**self._row("Refund", n), "note": "Arrived broken."}] if n % 10 == 0 else [],
                    "fulfillments": [{**self._row("Fulfillment", n), "status": "SUCCESS"}],
                    "transactions": [{**self._row("OrderTransaction", n * 10 + i), "kind": "SALE"} for i in (0, 1)],
                }  # fmt: skip
            case "inventoryItems":
                row["inventoryLevels"] = [
                    {**self._row("InventoryLevel", n * 1000 + i), "isActive": True, "location": {"id": f"l{i}"},
                     "quantities": [{"name": "available", "quantity": n}]}
                    for i in range(130 if n == 1 else n % 3)
                ]  # fmt: skip
            case "discountNodes":
                kinds = ("DiscountCodeBasic", "DiscountAutomaticBasic", "DiscountCodeFreeShipping")
                discount = {"__typename": kinds[n % 3], "title": f"Spring {n}", "updatedAt": row["updatedAt"]}
                if n % 3 != 1:
                    count = 140 if n == 3 else 2
                    discount["codes"] = [{**self._row("DiscountRedeemCode", n * 1000 + i), "code": f"SPRING{n}-{i}"}
                                         for i in range(count)]  # fmt: skip
                row["discount"] = discount
        return row

    def _metaobject(self, kind: str, n: int) -> Json:
        number = n if kind == "recipe" else n + 1000
        text = {"key": "text", "type": "multi_line_text_field", "value": _PROBLEMS[n % 60].cause}
        return {**self._row("Metaobject", number), "type": kind, "handle": f"{kind}-{n}", "fields": [text]}

    def _metafields(self, owner: str, n: int, count: int) -> list[Json]:
        return [
            {**self._row("Metafield", (sum(owner.encode()) * 1000 + n) * 1000 + i), "namespace": "custom",
             "key": f"care-{i}", "type": "single_line_text_field", "value": "Keep dry."}
            for i in range(count)
        ]  # fmt: skip

    def _row(self, kind: str, n: int, **fields: Any) -> Json:
        return {"__typename": kind, "__interfaces": ["HasMetafields"], "id": f"gid://shopify/{kind}/{n}",
                "createdAt": iso(BEGIN), "updatedAt": iso(BEGIN + n % 1000 * 3000), **fields}  # fmt: skip

    def _event(self, subject: str, key: str, action: str) -> Json:
        return {"__typename": "BasicEvent", "id": f"gid://shopify/BasicEvent/{len(self.events) + 1}", "action": action,
                "createdAt": iso(self.now), "subjectType": subject, "subjectId": key}  # fmt: skip


def _number(key: str) -> int:
    return int(key.rpartition("/")[2])


def _fits(row: Json, search: str) -> bool:
    """The part of Shopify's search that the source uses: terms with AND."""
    for term in filter(None, search.split(" AND ")):
        name, _, value = term.partition(":")
        match re.fullmatch(r"(>=|<=|>|)'?(.*?)'?", value), name:
            case None, _:
                raise ValueError(f"the search {term!r}")
            case condition, ("updated_at" | "created_at"):
                mine = row["updatedAt" if name == "updated_at" else "createdAt"]
                if not (mine >= condition[2] if condition[1] == ">=" else mine <= condition[2]):
                    return False
            case condition, "id":
                if not _number(row["id"]) > int(condition[2]):
                    return False
            case condition, "subject_type":
                if row["subjectType"] != condition[2]:
                    return False
            case condition, "action":
                if row["action"] != condition[2]:
                    return False
            case _, "comments":
                pass
            case _:
                raise ValueError(f"the search {term!r}")
    return True


def _error(message: str, code: str) -> Json:
    return {"message": message, "extensions": {"code": code}}


_PROBLEMS = problems()


if __name__ == "__main__":
    run(ShopifyStandIn)
