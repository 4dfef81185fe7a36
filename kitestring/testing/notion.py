"""A stand-in for Notion's API: a workspace of pages with nested blocks, comments and a data source.

Facts: developers.notion.com/reference, version 2025-09-03 (search, block children, markdown, comments, errors), read
2026-11.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, StandIn, route

Json = dict[str, Any]
TOKEN = "ntn_larkspur"  # noqa: S105 - opens nothing but this server
VERSION = "2025-09-03"
DAY = 86_400
CODES = {401: "unauthorized", 403: "restricted_resource", 404: "object_not_found", 429: "rate_limited"}


def rich(text: str) -> list[Json]:
    return [{"type": "text", "plain_text": text, "text": {"content": text}}]


class NotionStandIn(StandIn):
    """`server.config` opens it. An edit moves `now` on and the page to the front of the search."""

    name: ClassVar[str] = "notion"

    def __init__(self, *, pages: int = 24, page: int = 100, forbidden: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(**more)
        self.page, self.forbidden = page, forbidden
        self.now = BEGIN
        self.pages: dict[str, Json] = {}
        self.children: dict[str, list[Json]] = {}
        self.comments: dict[str, list[Json]] = {}
        for n, problem in enumerate(problems()[:pages]):
            page_id = self.add_page(problem.title, problem.cause)["id"]
            for step in problem.steps[:2]:
                self._block(page_id, "to_do", step)
            if n % 4 == 0:
                toggle = self._block(page_id, "toggle", "More")["id"]
                inner = self._block(toggle, "bulleted_list_item", "inside")["id"]
                self._block(self._block(inner, "quote", "deeper")["id"], "paragraph", "deepest")
                self._block(page_id, "child_page", "")["has_children"] = True
            if n % 3 == 0:
                self.add_comment(page_id, problem.symptom)
        self.sources = [{"object": "data_source", **self._stamped(f"source-{n}"), "title": rich(f"Tasks {n}"),
                         "properties": {}, "url": ""} for n in range(3)]  # fmt: skip

    @property
    def config(self) -> Json:
        credentials = {"auth_type": "token", "token": TOKEN}
        return {"credentials": credentials, "calls_per_minute": 100_000, "base_url": self.url}

    def add_page(self, title: str, text: str) -> Json:
        self.now += DAY
        page_id = f"page-{len(self.pages)}"
        page = {"object": "page", **self._stamped(page_id), "url": f"https://notion.example/{page_id}", "icon": None,
                "properties": {"Name": {"id": "title", "type": "title", "title": rich(title)}}}  # fmt: skip
        self.pages[page_id], self.children[page_id], self.comments[page_id] = page, [], []
        self._block(page_id, "paragraph", text)
        return page

    def edit(self, page_id: str, text: str) -> None:
        """Append a paragraph."""
        self.now += DAY
        self._block(page_id, "paragraph", text)
        self.pages[page_id]["last_edited_time"] = self._time()

    def trash(self, page_id: str) -> None:
        self.now += DAY
        self.pages[page_id].update(in_trash=True, archived=True, last_edited_time=self._time())

    def add_comment(self, page_id: str, text: str) -> None:
        """A comment does not edit its page."""
        number = f"comment-{sum(map(len, self.comments.values()))}"
        self.comments[page_id].append(
            {"object": "comment", "id": number, "parent": {"type": "page_id", "page_id": page_id},
             "discussion_id": number, "created_time": self._time(), "last_edited_time": self._time(),
             "created_by": {"object": "user", "id": "user-1"}, "rich_text": rich(text)}
        )  # fmt: skip

    def _time(self) -> str:
        return iso(self.now).replace("Z", ".000Z")

    def _stamped(self, number: str) -> Json:
        return {"id": number, "parent": {"type": "workspace", "workspace": True}, "created_time": self._time(),
                "last_edited_time": self._time(), "archived": False, "in_trash": False}  # fmt: skip

    def _block(self, parent: str, kind: str, text: str) -> Json:
        number = f"block-{sum(map(len, self.children.values()))}"
        block = {"object": "block", **self._stamped(number), "type": kind, "has_children": False,
                 kind: {"rich_text": rich(text)}}  # fmt: skip
        for siblings in self.children.values():
            for one in siblings:
                if one["id"] == parent:
                    one["has_children"] = True
        self.children.setdefault(parent, []).append(block)
        return block

    def authorize(self, call: Call) -> Answer | None:
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.refuse(401, "API token is invalid.")
        if call.headers.get("notion-version") != VERSION:
            return self.refuse(400, "Notion-Version header failed validation")
        if any(part in call.path for part in self.forbidden):
            return self.refuse(403, "Insufficient permissions for this endpoint.")
        return None

    def refuse(self, status: int, message: str) -> Answer:
        code = CODES.get(status, "validation_error" if status < 500 else "service_unavailable")
        return Answer(status, {"object": "error", "status": status, "code": code, "message": message})

    @route("POST", "/v1/search")
    def search(self, call: Call) -> Any:
        asked = call.json()
        if asked.get("sort") != {"timestamp": "last_edited_time", "direction": "descending"}:
            return self.refuse(400, "body failed validation")
        rows = list(self.pages.values()) if asked["filter"]["value"] == "page" else self.sources
        rows = sorted(rows, key=lambda row: row["last_edited_time"], reverse=True)
        return self._listed(rows, asked.get("start_cursor"), asked.get("page_size", 100))

    @route("GET", "/v1/blocks/{number}/children")
    def block_children(self, call: Call, number: str) -> Any:
        if number not in self.children:
            return self._none(number)
        return self._asked(call, self.children[number])

    @route("GET", "/v1/pages/{number}/markdown")
    def markdown(self, call: Call, number: str) -> Any:
        if number not in self.pages:
            return self._none(number)
        text = "\n".join(b[b["type"]]["rich_text"][0]["plain_text"] for b in self.children[number])
        return {"object": "page_markdown", "id": number, "markdown": text, "truncated": False, "unknown_block_ids": []}

    @route("GET", "/v1/comments")
    def comments_of(self, call: Call) -> Any:
        return self._asked(call, self.comments[call.param("block_id")])

    @route("GET", "/v1/users")
    def users(self, call: Call) -> Any:
        people = [{"object": "user", "id": f"user-{n}", "type": "person", "name": f"User {n}"} for n in range(120)]
        return self._asked(call, people)

    def _none(self, number: str) -> Answer:
        return self.refuse(404, f"Could not find block with ID: {number}.")

    def _asked(self, call: Call, rows: list[Json]) -> Json:
        return self._listed(rows, call.param("start_cursor"), int(call.param("page_size", "100")))

    def _listed(self, rows: list[Json], cursor: str | None, size: int) -> Json:
        start = int((cursor or "from-0").removeprefix("from-"))
        end = start + min(self.page, size)
        more = end < len(rows)
        following = f"from-{end}" if more else None
        return {"object": "list", "results": rows[start:end], "next_cursor": following, "has_more": more}
