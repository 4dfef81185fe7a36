"""A stand-in for HubSpot's CRM: searches, properties and owners, with credentials, limits and refusals.

For people: `python -m kitestring.testing.hubspot --port 8080` prints its address; the token is pat-larkspur. Facts:
developers.hubspot.com/docs/api-reference (search the CRM, properties, owners, OAuth), read 2026-11.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs

from kitestring.testing.help_desk.objects import BEGIN, END
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, Faults, Limit, StandIn, route, serve

Json = dict[str, Any]

TOKEN, REFRESH, FRESH = "pat-larkspur", "refresh-larkspur", "oauth-larkspur"
COUNTS = {"tickets": 450, "notes": 230, "emails": 30, "calls": 20, "meetings": 10, "tasks": 25,
          "contacts": 320, "companies": 40, "deals": 60, "products": 15, "line_items": 12}  # fmt: skip
MOST = 10_000
"""A search gives no more results than these."""


class HubSpotStandIn(StandIn):
    """HubSpot on 127.0.0.1. `forbidden` names pieces of paths whose scope the app lacks, `most` limits a search."""

    name: ClassVar[str] = "HubSpot stand-in"

    def __init__(
        self,
        *,
        forbidden: tuple[str, ...] = (),
        most: int = MOST,
        port: int = 0,
        faults: Faults | None = None,
        limits: tuple[Limit, ...] = (),
    ) -> None:
        super().__init__(port=port, faults=faults, limits=limits)
        self.forbidden, self.most = forbidden, most
        self.now = END
        told = problems()
        self.objects: dict[str, dict[int, Json]] = {
            kind: {
                n: {"changed": BEGIN + n * 1000, "subject": told[n % 60].title, "content": told[n % 60].cause,
                    "our_own_field": f"value {n}", "hs_object_id": str(n)}
                for n in range(1, count + 1)
            }
            for kind, count in COUNTS.items()
        }  # fmt: skip

    @property
    def config(self) -> Json:
        """A configuration of the source `hubspot` that reads this server."""
        return {
            "credentials": {"credentials_title": "Private App Credentials", "access_token": TOKEN},
            "start_date": "2025-01-01T00:00:00Z",
            "base_url": self.url,
            "searches_per_second": 60_000,
            "calls_per_10_seconds": 60_000,
        }

    def touch(self, kind: str, number: int, **properties: str) -> None:
        self.now += 600
        self.objects[kind][number].update(properties, changed=self.now)

    # The vendor's manners

    def authorize(self, call: Call) -> Answer | None:
        if call.path == "/oauth/v1/token":
            return None
        if call.headers.get("authorization") not in (f"Bearer {TOKEN}", f"Bearer {FRESH}"):
            return self.refuse(401, "Authentication credentials not found.")
        if any(piece in call.path for piece in self.forbidden):
            return self.refuse(403, "This app hasn't been granted all required scopes to make this call.")
        return None

    def refuse(self, status: int, message: str) -> Answer:
        category = {401: "INVALID_AUTHENTICATION", 403: "MISSING_SCOPES", 404: "OBJECT_NOT_FOUND"}
        more = {"errorType": "RATE_LIMIT", "policyName": "SECONDLY"} if status == 429 else {}
        return Answer(
            status, {"status": "error", "message": message, "category": category.get(status, "RATE_LIMITS"), **more}
        )

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        return {}

    def rate_limited(self, wait_s: float) -> Answer:
        return self.refuse(429, "You have reached your secondly limit.")

    @route("POST", "/oauth/v1/token")
    def token(self, call: Call) -> Any:
        given = parse_qs(call.body.decode())
        if given.get("refresh_token") != [REFRESH] or given.get("grant_type") != ["refresh_token"]:
            return Answer(400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"})
        return {"access_token": FRESH, "refresh_token": REFRESH, "expires_in": 1800, "token_type": "bearer"}

    # The CRM

    @route("POST", "/crm/v3/objects/{kind}/search")
    def search(self, call: Call, kind: str) -> Any:
        if kind not in self.objects:
            return self.refuse(404, "Unable to infer object type")
        body = call.json()
        modified = "lastmodifieddate" if kind == "contacts" else "hs_lastmodifieddate"
        found = [(n, row) for n, row in self.objects[kind].items()
                 if all(_holds(f, {**row, modified: row["changed"] * 1000}) for f in body["filterGroups"][0]["filters"])
                 ]  # fmt: skip
        (order,) = body["sorts"]
        found.sort(key=lambda each: each[0] if order["propertyName"] == "hs_object_id" else each[1]["changed"])
        size, begin = body["limit"], int(body.get("after", 0))
        if size > 200 or begin + size > self.most:
            return self.refuse(400, "There was a problem with the request.")
        asked = set(body["properties"])
        answer: Json = {
            "total": len(found),
            "results": [
                {"id": str(n), "createdAt": iso_ms(BEGIN), "updatedAt": iso_ms(row["changed"]), "archived": False,
                 "properties": {k: v for k, v in row.items() if k in asked}}
                for n, row in found[begin : begin + size]
            ],
        }  # fmt: skip
        if begin + size < len(found):
            answer["paging"] = {"next": {"after": str(begin + size)}}
        return answer

    @route("GET", "/crm/v3/properties/{kind}")
    def properties(self, call: Call, kind: str) -> Any:
        names = ("subject", "content", "our_own_field", "hs_object_id")
        return {"results": [{"name": name, "label": name, "type": "string"} for name in names]}

    @route("GET", "/crm/v3/owners")
    def owners(self, call: Call) -> Any:
        rows = [{"id": str(n), "type": "PERSON", "email": f"o{n}@larkspur.example", "firstName": FIRST_NAMES[n % 30],
                 "userId": n, "createdAt": iso_ms(BEGIN), "updatedAt": iso_ms(BEGIN), "archived": False}
                for n in range(130)]  # fmt: skip
        size, begin = int(call.param("limit", "100")), int(call.param("after", "0"))
        more = {"paging": {"next": {"after": str(begin + size)}}} if begin + size < len(rows) else {}
        return {"results": rows[begin : begin + size], **more}

    @route("GET", "/crm/v3/pipelines/{kind}")
    def pipelines(self, call: Call, kind: str) -> Any:
        row = {"id": "0", "label": "Support", "displayOrder": 0, "stages": [{"id": "1", "label": "New"}]}
        return {"results": [{**row, "createdAt": iso_ms(BEGIN), "updatedAt": iso_ms(BEGIN), "archived": False}]}


def _holds(wanted: Json, row: Json) -> bool:
    value, low = int(row[wanted["propertyName"]]), int(wanted["value"])
    return low <= value <= int(wanted["highValue"]) if wanted["operator"] == "BETWEEN" else value > low


def iso_ms(seconds: int) -> str:
    """HubSpot's timestamp."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m kitestring.testing.hubspot", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    serve(HubSpotStandIn(port=parser.parse_args().port))


if __name__ == "__main__":
    main()
