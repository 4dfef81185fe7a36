"""A stand-in for Airtable: bases, their tables, records and comments, with paging, limits, refusals and OAuth.

By hand: `python -m stand_ins.airtable --port 8080` prints its address; the token is pat-larkspur, the
OAuth client larkspur-app with the secret larkspur-secret. Facts: airtable.com/developers/web/api (list bases, get base
schema, list records and comments, rate limits, errors, OAuth reference), read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import FIRST_NAMES, problems
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.token_endpoint import TokenEndpoint
from stand_ins.command_line import run
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]

TOKEN = "pat-larkspur"
CLIENT, SECRET = "larkspur-app", "larkspur-secret"
ERROR_TYPES = {401: "AUTHENTICATION_REQUIRED", 403: "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"}
FORMULA = re.compile(r"OR\(IS_AFTER\(LAST_MODIFIED_TIME\(\), DATETIME_PARSE\('(.*?)'\)\), "
                     r"IS_AFTER\(CREATED_TIME\(\), DATETIME_PARSE\('(.*?)'\)\)\)")  # fmt: skip


class AirtableStandIn(PagedApi):
    """Airtable on 127.0.0.1. `expire` is how many places in lists it forgets; `forbidden` names pieces of paths."""

    name: ClassVar[str] = "Airtable stand-in"
    bearer: ClassVar[str] = TOKEN
    token_path: ClassVar[str] = "/oauth2/v1/token"
    page_parameters: ClassVar[tuple[str, str]] = ("pageSize", "offset")
    reports_limits: ClassVar[bool] = False
    refusals: ClassVar[Mapping[int, str]] = {401: "Authentication required", 403: "Forbidden"}

    def __init__(self, *, expire: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.expire = expire
        self.tokens = TokenEndpoint({CLIENT: SECRET}, lifetime_s=3600, client_in=("header",), sent_as=("form",))
        self.bases = {"appLarkspur": "Larkspur HQ", "appSales": "Sales"}
        self.tables = {
            "appLarkspur": [
                self._table("tblProblems", "Known problems", Title="singleLineText", Notes="richText", Votes="number",
                            Open="checkbox", Tags="multipleSelects", Files="multipleAttachments", Score="formula"),
                self._table("tblPeople", "People", Name="singleLineText", id="autoNumber", Asked="dateTime"),
            ],
            "appSales": [
                self._table("tblPeople2", "People", Name="singleLineText"),
                self._table("tblTasks", "Tasks", Task="singleLineText", Last="lastModifiedTime"),
            ],
        }  # fmt: skip
        texts = problems()
        self.records: dict[str, list[Json]] = {
            "tblProblems": [
                {"Title": texts[n % 60].title, "Notes": texts[n % 60].cause, "Votes": n, "Open": True, "Tags": ["a"]}
                for n in range(230)
            ],
            "tblPeople": [{"Name": FIRST_NAMES[n], "id": n} for n in range(20)],
            "tblPeople2": [{"Name": FIRST_NAMES[n]} for n in range(5)],
            "tblTasks": [
                {"Task": f"Call {FIRST_NAMES[n % 30]}", "Last": self._time(BEGIN + n * 3600)} for n in range(140)
            ],
        }
        self.comments: dict[str, list[Json]] = {
            f"tblProblems/rec{n:05}": [self._comment(n, i) for i in range(120 if n == 3 else 1)] for n in (1, 3, 150)
        }

    @property
    def config(self) -> Json:
        """A configuration of the source `airtable` that reads this server."""
        return {"credentials": {"api_key": TOKEN}, "base_url": self.url, "auth_url": self.url,
                "calls_per_second": 60_000}  # fmt: skip

    def change(self, table: str, index: int, at: int, **fields: Any) -> None:
        """A record of a table with the field Last changes."""
        self.records[table][index].update(fields, Last=self._time(at))

    # Credentials, errors and rate limits

    def refuse(self, status: int, message: str) -> Answer:
        if status == 429:
            return Answer(429, {"errors": [{"error": "RATE_LIMIT_REACHED", "message": message}]})
        if status in ERROR_TYPES:
            return Answer(status, {"error": {"type": ERROR_TYPES[status], "message": message}})
        return Answer(status, {"error": "NOT_FOUND"} if status == 404 else {"error": {"type": message}})

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
        if all(table_schema["id"] != table for table_schema in self.tables.get(base, ())):
            return self.refuse(404, "")
        if "offset" in call.params and self.expire:
            self.expire -= 1
            return self.refuse(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")
        since = FORMULA.fullmatch(call.param("filterByFormula", ""))
        if since is None and "filterByFormula" in call.params:
            return self.refuse(422, "INVALID_FILTER_BY_FORMULA")
        metadata = "commentCount" in call.params.get("recordMetadata[]", [])
        rows = [
            (f"rec{n:05}", row)
            for n, row in enumerate(self.records[table])
            if since is None or max(row.get("Last", ""), iso(BEGIN)) > since[1]
        ]
        page = self.page_of(call, rows, prefix="itr/")
        records = [
            {"id": key, "createdTime": iso(BEGIN), "fields": row,
             **({"commentCount": len(self.comments.get(f"{table}/{key}", ()))} if metadata else {})}
            for key, row in page.rows
        ]  # fmt: skip
        return {"records": records, **({"offset": f"itr/{page.following}"} if page.following else {})}

    @route("GET", "/v0/{base}/{table}/{record}/comments")
    def comment_list(self, call: Call, base: str, table: str, record: str) -> Any:
        page = self.page_of(call, self.comments.get(f"{table}/{record}", []))
        return {"comments": page.rows, "offset": str(page.following) if page.following else None}

    def _time(self, moment: int) -> str:
        return iso(moment).replace("Z", ".000Z")

    def _comment(self, n: int, i: int) -> Json:
        return {"id": f"com{n:05}{i:05}", "text": "Seen again today.", "createdTime": iso(BEGIN),
                "author": {"id": "usr1", "email": "ada@northwind.example", "name": "Ada"}}  # fmt: skip

    def _table(self, key: str, title: str, **fields: str) -> Json:
        columns: list[Json] = [
            {"id": f"fld{i}", "name": name, "type": kind} for i, (name, kind) in enumerate(fields.items())
        ]
        for column in columns:
            if column["type"] == "lastModifiedTime":
                column["options"] = {"isValid": True, "referencedFieldIds": None, "result": {"type": "dateTime"}}
        return {"id": key, "name": title, "primaryFieldId": "fld0", "fields": columns, "views": []}


if __name__ == "__main__":
    run(AirtableStandIn)
