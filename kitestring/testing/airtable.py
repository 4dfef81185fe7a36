"""A stand-in for Airtable: bases, their tables and records, with paging, limits and refusals.

For people: `python -m kitestring.testing.airtable --port 8080` prints its address; the token is pat-larkspur. Facts:
airtable.com/developers/web/api (list bases, get base schema, list records, rate limits, errors), read 2026-11.
"""

from __future__ import annotations

import argparse
from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, Faults, Limit, StandIn, route, serve

Json = dict[str, Any]

TOKEN = "pat-larkspur"  # noqa: S105 - opens nothing but this server


class AirtableStandIn(StandIn):
    """Airtable on 127.0.0.1. `expire` is how many places in lists it forgets; `forbidden` names pieces of paths."""

    name: ClassVar[str] = "Airtable stand-in"

    def __init__(
        self,
        *,
        expire: int = 0,
        forbidden: tuple[str, ...] = (),
        port: int = 0,
        faults: Faults | None = None,
        limits: tuple[Limit, ...] = (),
    ) -> None:
        super().__init__(port=port, faults=faults, limits=limits)
        self.expire, self.forbidden = expire, forbidden
        self.bases = {"appLarkspur": "Larkspur HQ", "appSales": "Sales"}
        self.tables = {
            "appLarkspur": [
                self._table("tblProblems", "Known problems", Title="singleLineText", Notes="richText", Votes="number",
                            Open="checkbox", Tags="multipleSelects", Files="multipleAttachments", Score="formula"),
                self._table("tblPeople", "People", Name="singleLineText", id="autoNumber", Asked="dateTime"),
            ],
            "appSales": [self._table("tblPeople2", "People", Name="singleLineText")],
        }  # fmt: skip
        told = problems()
        self.records: dict[str, list[Json]] = {
            "tblProblems": [
                {"Title": told[n % 60].title, "Notes": told[n % 60].cause, "Votes": n, "Open": True, "Tags": ["a"]}
                for n in range(230)
            ],
            "tblPeople": [{"Name": FIRST_NAMES[n], "id": n} for n in range(20)],
            "tblPeople2": [{"Name": FIRST_NAMES[n]} for n in range(5)],
        }

    @property
    def config(self) -> Json:
        """A configuration of the source `airtable` that reads this server."""
        return {"credentials": {"api_key": TOKEN}, "base_url": self.url, "calls_per_second": 60_000}

    # The vendor's manners

    def authorize(self, call: Call) -> Answer | None:
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return Answer(401, {"error": {"type": "AUTHENTICATION_REQUIRED", "message": "Authentication required"}})
        if any(piece in call.path for piece in self.forbidden):
            return Answer(403, {"error": {"type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", "message": "Forbidden"}})
        return None

    def refuse(self, status: int, message: str) -> Answer:
        if status == 429:
            return Answer(429, {"errors": [{"error": "RATE_LIMIT_REACHED", "message": message}]})
        return Answer(status, {"error": "NOT_FOUND"} if status == 404 else {"error": {"type": message}})

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        return {}

    @route("GET", "/v0/meta/bases")
    def base_list(self, call: Call) -> Any:
        """One base a page, to have pages."""
        rows = [{"id": key, "name": name, "permissionLevel": "read"} for key, name in self.bases.items()]
        begin = int(call.param("offset", "0"))
        return {"bases": rows[begin : begin + 1], **({"offset": str(begin + 1)} if begin + 1 < len(rows) else {})}

    @route("GET", "/v0/meta/bases/{base}/tables")
    def table_list(self, call: Call, base: str) -> Any:
        return {"tables": self.tables[base]} if base in self.tables else self.refuse(404, "")

    @route("GET", "/v0/{base}/{table}")
    def record_list(self, call: Call, base: str, table: str) -> Any:
        if all(one["id"] != table for one in self.tables.get(base, ())):
            return self.refuse(404, "")
        size, begin = int(call.param("pageSize", "100")), int(call.param("offset", "itr/0").removeprefix("itr/"))
        if begin and self.expire:
            self.expire -= 1
            return self.refuse(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")
        rows, end = self.records[table], begin + size
        shown = [{"id": f"rec{begin + i:05}", "createdTime": iso(BEGIN), "fields": row}
                 for i, row in enumerate(rows[begin:end])]  # fmt: skip
        return {"records": shown, **({"offset": f"itr/{end}"} if end < len(rows) else {})}

    def _table(self, key: str, title: str, **fields: str) -> Json:
        shown = [{"id": f"fld{i}", "name": name, "type": kind} for i, (name, kind) in enumerate(fields.items())]
        return {"id": key, "name": title, "primaryFieldId": "fld0", "fields": shown, "views": []}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m kitestring.testing.airtable", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    serve(AirtableStandIn(port=parser.parse_args().port))


if __name__ == "__main__":
    main()
