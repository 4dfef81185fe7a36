"""A stand-in for Intercom: searches, lists and the scroll over companies, as its API reference describes them.

By hand: `python -m stand_ins.intercom --port 8080` prints its address; the token is larkspur-token. Facts:
developers.intercom.com, version 2.11, read 2026-11.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, END
from kitestring.testing.help_desk.texts import FIRST_NAMES, ORGANIZATIONS, problems
from kitestring.testing.stand_in import Answer, Call, Limit, route
from stand_ins.command_line import run
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]

TOKEN = "larkspur-token"
DAY = 86_400


class IntercomStandIn(PagedApi):
    """Intercom on 127.0.0.1. `forbidden` names pieces of paths that the token may not read."""

    name: ClassVar[str] = "Intercom stand-in"
    bearer: ClassVar[str] = TOKEN
    page_parameters: ClassVar[tuple[str, str]] = ("per_page", "starting_after")
    page_size: ClassVar[int] = 25
    refusals: ClassVar[Mapping[int, str]] = {401: "Access Token Invalid", 403: "Active subscription needed."}

    def __init__(self, *, conversations: int = 320, **options: Any) -> None:
        super().__init__(**options)
        self.now = END
        self.scrolls: dict[str, int] = {}
        texts = problems()
        self.conversations = {
            str(n): self._object("conversation", n, updated=BEGIN + n * 4000, title=None, state="open", open=True,
                                 source={"type": "email", "subject": texts[n % 60].title, "body": texts[n % 60].cause})
            for n in range(1, conversations + 1)
        }  # fmt: skip
        self.parts = {n: [self._part(n, i) for i in range(int(n) % 3)] for n in self.conversations}
        self.tickets = {
            str(n): self._object("ticket", n, updated=BEGIN + n * 9000, ticket_id=str(n), category="Customer",
                                 ticket_attributes={"_default_title_": texts[n % 60].title}, open=True)
            for n in range(1, 41)
        }  # fmt: skip
        self.contacts = {
            f"c{n}": {**self._object("contact", n, updated=BEGIN + n * 60_000, name=FIRST_NAMES[n % 30], role="user"),
                      "id": f"c{n}"}
            for n in range(170)
        }  # fmt: skip
        self.notes = {"c2": [{**self._object("note", i, body="Prefers mail."), "updated_at": None} for i in range(60)]}
        self.companies = [
            self._object("company", i, name=ORGANIZATIONS[i % 12][0], company_id=f"k{i}", updated=BEGIN + i * DAY)
            for i in range(230)
        ]
        self.internal = [self._object("internal_article", i, title=f"Runbook {i}", body="<p>Call.</p>", locale="en",
                                      author_id=1, owner_id=1) for i in range(120)]  # fmt: skip
        self.lists: dict[str, tuple[str, list[Json]]] = {
            "articles": (
                "data",
                [self._object("article", i, title=p.title, body=p.cause) for i, p in enumerate(texts)],
            ),
            "help_center/collections": ("data", [self._object("collection", i, name=f"Part {i}") for i in range(4)]),
            "admins": ("admins", [{"type": "admin", "id": str(i), "name": FIRST_NAMES[i]} for i in range(3)]),
            "teams": ("teams", [{"type": "team", "id": "1", "name": "First line", "admin_ids": [1, 2]}]),
            "tags": ("data", [{"type": "tag", "id": str(i), "name": f"tag {i}"} for i in range(5)]),
            "data_attributes": (
                "data",
                [
                    {
                        "type": "data_attribute",
                        "model": model,
                        "name": name,
                        "full_name": name,
                        "label": name.title(),
                        "data_type": "string",
                        "custom": False,
                    }
                    for model in ("contact", "company")
                    for name in ("name", f"{model}_size")
                ],
            ),
            "segments": ("segments", [self._object("segment", i, name=f"Segment {i}") for i in range(2)]),
        }

    @property
    def config(self) -> Json:
        """A configuration of the source `intercom` that reads this server."""
        return {"access_token": TOKEN, "start_date": "2025-01-01T00:00:00Z", "base_url": self.url,
                "calls_per_10_seconds": 60_000}  # fmt: skip

    def touch(self, rows: dict[str, Json], key: str, **fields: Any) -> None:
        self.now += 60
        rows[key].update(fields, updated_at=self.now)

    def reply(self, key: str, body: str) -> None:
        self.touch(self.conversations, key)
        part = self._part(key, len(self.parts[key]))
        self.parts[key].append({**part, "body": body, "created_at": self.now, "updated_at": self.now})

    # Credentials, errors and rate limits

    def refuse(self, status: int, message: str) -> Answer:
        code = {401: "unauthorized", 403: "api_plan_restricted", 404: "not_found", 429: "rate_limit_exceeded"}
        error = {"code": code.get(status, "server_error"), "message": message}
        return Answer(status, {"type": "error.list", "request_id": "r1", "errors": [error]})

    def rate_headers(self, limit: Limit, remaining: int, reset_s: float) -> dict[str, str]:
        return {"X-RateLimit-Limit": str(limit.calls), "X-RateLimit-Remaining": str(remaining),
                "X-RateLimit-Reset": str(int(time.time() + reset_s + 1))}  # fmt: skip

    def rate_limited(self, wait_s: float) -> Answer:
        answer = self.refuse(429, "Exceeded rate limit")
        answer.headers["X-RateLimit-Reset"] = str(int(time.time() + wait_s + 1))
        return answer

    # Searches

    @route("POST", "/conversations/search")
    def conversation_search(self, call: Call) -> Any:
        return self._search(call, "conversation.list", "conversations", self.conversations)

    @route("POST", "/tickets/search")
    def ticket_search(self, call: Call) -> Any:
        return self._search(call, "ticket.list", "tickets", self.tickets)

    @route("POST", "/contacts/search")
    def contact_search(self, call: Call) -> Any:
        return self._search(call, "list", "data", self.contacts, unit=DAY)

    def _search(self, call: Call, kind: str, field: str, rows: dict[str, Json], unit: int = 1) -> Any:
        body = call.json()
        (condition,) = body["query"]["value"]
        matches = [r for r in rows.values() if r[condition["field"]] // unit > int(condition["value"]) // unit]
        matches.sort(key=lambda r: (r["updated_at"], r["id"]), reverse=body["sort"]["order"] == "descending")
        size, begin = body["pagination"]["per_page"], int(body["pagination"].get("starting_after", 0))
        if size > 150:
            return self.refuse(400, "per_page is too large")
        pages: Json = {
            "type": "pages",
            "per_page": size,
            "page": begin // size + 1,
            "total_pages": -(-len(matches) // size),
        }
        if begin + size < len(matches):
            pages["next"] = {"page": pages["page"] + 1, "starting_after": str(begin + size)}
        return {"type": kind, "total_count": len(matches), field: matches[begin : begin + size], "pages": pages}

    # Lists

    @route("GET", "/conversations/{key}")
    def conversation(self, call: Call, key: str) -> Any:
        if key not in self.conversations:
            return self.refuse(404, "Resource Not Found")
        parts = {"type": "conversation_part.list", "conversation_parts": self.parts[key]}
        return {**self.conversations[key], "conversation_parts": parts}

    @route("GET", "/companies/scroll")
    def scroll(self, call: Call) -> Any:
        name = call.param("scroll_param")
        if not name and self.scrolls:
            return Answer(400, {"type": "error.list", "errors": [
                {"code": "scroll_exists", "message": "scroll already exists for this workspace"}]})  # fmt: skip
        begin = self.scrolls.pop(name, 0)
        rows = self.companies[begin : begin + 100]
        name = name or f"scroll-{len(self.requests)}"
        if rows:
            self.scrolls[name] = begin + 100
        return {"type": "list", "data": rows, "scroll_param": name, "pages": None}

    @route("GET", "/companies/{key}/segments")
    def company_segments(self, call: Call, key: str) -> Any:
        return {"type": "list", "data": self.lists["segments"][1][: int(key) % 3]}

    @route("GET", "/internal_articles")
    def internal_articles(self, call: Call) -> Any:
        if call.headers.get("intercom-version") != "2.14":
            return self.refuse(404, "Resource Not Found")
        page = self.page_of(call, self.internal)
        pages: Json = {"type": "pages", "page": page.begin // page.size + 1, "per_page": page.size,
                       "total_pages": -(-page.total // page.size)}  # fmt: skip
        if page.following:
            pages["next"] = {"per_page": page.size, "starting_after": str(page.following)}
        return {"type": "list", "data": page.rows, "pages": pages}

    @route("GET", "/data_attributes")
    def attributes(self, call: Call) -> Any:
        rows = self.lists["data_attributes"][1]
        return {"type": "list", "data": [row for row in rows if row["model"] == call.param("model")]}

    @route("GET", "/contacts/{key}/notes")
    def note_list(self, call: Call, key: str) -> Any:
        rows = [{k: v for k, v in note.items() if k != "updated_at"} for note in self.notes.get(key, [])]
        return self._page(call, "data", rows)

    @route("GET", "/{one}")
    @route("GET", "/{one}/{two}")
    def any_list(self, call: Call, **_: str) -> Any:
        path = call.path.strip("/")
        return self._page(call, *self.lists[path]) if path in self.lists else self.refuse(404, "Resource Not Found")

    def _page(self, call: Call, field: str, rows: list[Json]) -> Json:
        if "per_page" not in call.params:
            return {"type": "list", field: rows}
        size, page = int(call.param("per_page")), int(call.param("page", "1"))
        pages = {"type": "pages", "page": page, "per_page": size, "total_pages": -(-len(rows) // size)}
        return {"type": "list", field: rows[(page - 1) * size : page * size], "total_count": len(rows), "pages": pages}

    def _object(self, kind: str, number: int, *, updated: int = BEGIN, **fields: Any) -> Json:
        return {"type": kind, "id": str(number), "created_at": BEGIN, "updated_at": updated, **fields}

    def _part(self, key: str, i: int) -> Json:
        updated = BEGIN + int(key) * 4000
        return self._object("conversation_part", int(key) * 100 + i, updated=updated, part_type="comment",
                            body="<p>We look into it.</p>", author={"type": "admin", "id": "1"})  # fmt: skip


if __name__ == "__main__":
    run(IntercomStandIn)
