"""A stand-in for Confluence Cloud's REST API v2: a space of pages, blog posts and comments.

Facts: developer.atlassian.com/cloud/confluence/rest/v2 (cursor paging by relative links, sort, status), read 2026-11.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, ClassVar
from urllib.parse import urlencode

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, route
from stand_ins.atlassian import CLOUD_ID, EMAIL, SITE, AtlassianStandIn
from stand_ins.command_line import run

Json = dict[str, Any]
COLLECTIONS = (
    "pages", "blogposts", "footer-comments", "inline-comments", "attachments", "labels",
    "whiteboards", "databases", "folders", "spaces",
)  # fmt: skip
KINDS = {"whiteboard": "whiteboards", "database": "databases", "folder": "folders"}


class ConfluenceStandIn(AtlassianStandIn):
    """`server.config` opens it. A change moves `now` on by a day; trashing changes nothing but the status."""

    name: ClassVar[str] = "confluence"
    product: ClassVar[str] = "confluence"
    site_key: ClassVar[str] = "confluence-token"

    def __init__(self, *, pages: int = 40, page: int = 15, **options: Any) -> None:
        super().__init__(**options)
        self.page = page
        self.hidden: set[str] = set()
        """Ids of what the account may not see: pages, spaces with what is in them."""
        self.links: Json | None = {}
        """Overrides of a page's `_links`; None for a page without them."""
        self.now = BEGIN
        self.rows: dict[str, list[Json]] = {name: [] for name in COLLECTIONS}
        self.rows["spaces"] = [{"id": str(n), "key": f"S{n}", "name": f"Space {n}", "type": "global",
                                "status": "current"} for n in range(20)]  # fmt: skip
        texts = problems()
        for n in range(pages):
            problem = texts[n % len(texts)]
            page_id = self.add("pages", problem.title, problem.cause, spaceId="0")["id"]
            self.rows["pages"][-1]["status"] = "archived" if n % 10 == 9 else "current"
            if n % 4 == 0:
                self.add("blogposts", f"News {n}", problem.symptom, spaceId="0")
                self.add("footer-comments", "Re", problem.symptom, pageId=page_id)
                self.add("attachments", f"plan-{n}.pdf", "", pageId=page_id, mediaType="application/pdf", fileSize=n)
            if n % 8 == 0:
                self.add("inline-comments", "Re", problem.steps[0], pageId=page_id, resolutionStatus="open")

        self.rows["labels"] = [{"id": str(n), "name": f"label-{n}", "prefix": "global"} for n in range(20)]
        for kind, collection in KINDS.items():
            for n in range(18):
                self.add(collection, f"{kind} {n}", "", type=kind, spaceId="0")

    @property
    def config(self) -> Json:
        return {"domain_name": SITE, "email": EMAIL, "api_token": self.site_key, "base_url": self.url,
                "calls_per_minute": 60_000}  # fmt: skip

    @property
    def scoped(self) -> Json:
        """For credentials that open the gateway only."""
        return {"domain_name": SITE, "cloud_id": CLOUD_ID, "base_url": self.url, "calls_per_minute": 60_000}

    def add(self, collection: str, title: str, text: str, **fields: Any) -> Json:
        self.now += 86_400
        number = str(sum(map(len, self.rows.values())))
        row = {"id": number, "status": "current", "title": title, "authorId": "user-1", "createdAt": self._time(),
               "version": {"number": 1, "createdAt": self._time(), "message": "", "minorEdit": False},
               "body": {"storage": {"representation": "storage", "value": f"<p>{text}</p>"}},
               "_links": {"webui": f"/pages/{number}"}, **fields}  # fmt: skip
        if collection == "attachments":
            del row["authorId"]  # their version has it
        self.rows[collection].append(row)
        return row

    def edit(self, row: Json, text: str) -> None:
        self.now += 86_400
        row["version"] = {"number": row["version"]["number"] + 1, "createdAt": self._time()}
        row["body"]["storage"]["value"] = f"<p>{text}</p>"

    def _time(self) -> str:
        return iso(self.now).replace("Z", ".000Z")

    def anonymous_answer(self) -> Answer:
        return Answer(200, {"results": [], "_links": {}}, {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"})

    def refuse(self, status: int, message: str) -> Answer:
        return Answer(status, {"errors": [{"status": status, "code": "ERROR", "title": message, "detail": None}]})

    @route("GET", "/wiki/api/v2/{collection}")
    def listed(self, call: Call, collection: str) -> Any:
        if collection not in self.rows:
            return self.refuse(404, "Not found")
        rows = [row for row in self.rows[collection] if not {row["id"], row.get("spaceId")} & self.hidden]
        if "space-id" in call.params:
            rows = [row for row in rows if row.get("spaceId") == call.param("space-id")]
        status = call.param("status")
        if status:
            rows = [row for row in rows if row["status"] == status]
        if call.param("sort") == "-modified-date":
            rows = sorted(rows, key=lambda row: row["version"]["createdAt"], reverse=True)
        if collection in KINDS.values():
            return self.refuse(404, "Not found")  # these are found by the search only
        if call.param("body-format") not in ("", "storage", "atlas_doc_format"):
            return self.refuse(400, "body-format must be one of storage, atlas_doc_format")
        if call.param("body-format") != "storage":
            rows = [{k: v for k, v in row.items() if k != "body"} for row in rows]
        return self._by_cursor(call, rows, f"/wiki/api/v2/{collection}")

    def _by_cursor(self, call: Call, rows: list[Json], path: str) -> Any:
        try:
            start = place_of(call.param("cursor")) if "cursor" in call.params else 0
        except ValueError:
            return self.refuse(400, "Invalid cursor")
        end = start + min(self.page, int(call.param("limit", "25")))
        links = {"base": f"{self.url}/wiki"}
        if end < len(rows):
            query = urlencode({**{k: v[-1] for k, v in call.params.items()}, "cursor": cursor_at(end)})
            links["next"] = f"{path}?{query}"
        page = rows[start:end]
        if self.links is None:
            return {"results": page}
        return {"results": page, "_links": {**links, **self.links}}

    @route("GET", "/wiki/api/v2/{collection}/{number}")
    def single(self, call: Call, collection: str, number: str) -> Any:
        row = next((row for row in self.rows.get(collection, []) if row["id"] == number), None)
        if row is None or {number, row.get("spaceId")} & self.hidden:
            return self.refuse(404, "Not found")
        if call.param("body-format") != "view":
            return {name: value for name, value in row.items() if name != "body"}
        text = row["body"]["storage"]["value"]
        return {**row, "body": {"view": {"representation": "view", "value": f"<div>{text}</div>"}}}

    @route("GET", "/wiki/api/v2/labels/{number}/{collection}")
    def labelled(self, call: Call, number: str, collection: str) -> Any:
        rows = [{k: v for k, v in row.items() if k != "body"} for row in self.rows[collection]]
        chosen = rows if number == "1" else rows[:1] if number == "2" else []
        return self._by_cursor(call, chosen, f"/wiki/api/v2/labels/{number}/{collection}")

    @route("GET", "/wiki/rest/api/search")
    def search(self, call: Call) -> Any:
        kind = call.param("cql").removeprefix("type = ")
        if kind not in KINDS:
            return self.refuse(400, "Could not parse cql")
        rows = [{"content": {"id": row["id"], "type": kind, "title": row["title"]}} for row in self.rows[KINDS[kind]]]
        return self._by_cursor(call, rows, "/rest/api/search")

    @route("GET", "/wiki/rest/api/group")
    def groups(self, call: Call) -> Any:
        return self._by_place(call, [{"id": f"g-{n}", "name": f"team {n}", "type": "group"} for n in range(25)])

    @route("GET", "/wiki/rest/api/audit")
    def audit(self, call: Call) -> Any:
        first, last = int(call.param("startDate", "0")), int(call.param("endDate", str(10**15)))
        rows: list[Json] = [
            {
                "creationDate": (BEGIN + n * 3600) * 1000,
                "summary": f"Space {n} exported",
                "author": {"displayName": "Ada"},
            }
            for n in range(30)
        ]
        return self._by_place(call, [row for row in rows[::-1] if first <= row["creationDate"] <= last])

    def _by_place(self, call: Call, rows: list[Json]) -> Any:
        start, limit = int(call.param("start", "0")), min(self.page, int(call.param("limit", "25")))
        links = {"base": f"{self.url}/wiki", "context": "/wiki"}
        if start + limit < len(rows):
            links["next"] = f"/rest/api/group?limit={limit}&start={start + limit}"
        page = rows[start : start + limit]
        return {"results": page, "start": start, "limit": limit, "size": len(page), "_links": links}


def cursor_at(place: int) -> str:
    """As Confluence's: base64 with all of its characters, which links write escaped."""
    return b64encode(f"\xfb\xff>{place}".encode("latin-1")).decode()


def place_of(cursor: str) -> int:
    return int(b64decode(cursor, validate=True).decode("latin-1").partition(">")[2])


if __name__ == "__main__":
    run(ConfluenceStandIn)
