"""A stand-in for Notion's API: a workspace of pages with nested blocks, comments, data sources with rows, and a trash.

Facts: developers.notion.com/reference, version 2025-09-03 (search, query of a data source, block children, markdown
with its unknown blocks, comments, errors, tokens), and the release notes of makenotion/notion-sdk-js 5.23.2 (the search
of the trash), read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from kitestring.testing.help_desk.objects import BEGIN, iso
from kitestring.testing.help_desk.texts import problems
from kitestring.testing.stand_in import Answer, Call, route
from kitestring.testing.token_endpoint import TokenEndpoint
from stand_ins.command_line import run_rotating
from stand_ins.paged_api import PagedApi

Json = dict[str, Any]
TOKEN = "ntn_larkspur"
VERSION = "2025-09-03"
DAY = 86_400
CODES = {401: "unauthorized", 403: "restricted_resource", 404: "object_not_found", 429: "rate_limited"}


def rich(text: str) -> list[Json]:
    return [{"type": "text", "plain_text": text, "text": {"content": text}}]


def newest(rows: list[Json]) -> list[Json]:
    return sorted(rows, key=lambda row: str(row["last_edited_time"]), reverse=True)


class NotionStandIn(PagedApi):
    """`server.config` opens it. An edit moves `now` on and the page to the front of the search.

    The search shows either the trash or everything else, and leaves out `unsearchable` pages;
    sharing a page does not move its time. With `rotating`, a refresh ends the pair before, `rotating_config` opens it.
    """

    name: ClassVar[str] = "notion"
    token_path: ClassVar[str] = "/v1/oauth/token"
    refusals: ClassVar[Mapping[int, str]] = {
        401: "API token is invalid.",
        403: "Insufficient permissions for this endpoint.",
    }

    def __init__(
        self,
        *,
        pages: int = 24,
        page: int = 100,
        rotating: bool = False,
        trash_search: Literal["known", "refused", "ignored"] = "known",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.page, self.rotating, self.trash_search = page, rotating, trash_search
        # Notion names no lifetime, and takes JSON with the client in the header.
        self.tokens = TokenEndpoint({"larkspur": "secret"}, None, client_in=("header",), sent_as=("json",))
        self.unshared: set[str] = set()
        self.unsearchable: set[str] = set()
        self.parts: dict[str, Json] = {}
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

    @property
    def rotating_config(self) -> Json:
        pair = self.tokens.granted()
        credentials = {
            "auth_type": "OAuth2.0",
            "client_id": "larkspur",
            "client_secret": "secret",
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
        }
        return {**self.config, "credentials": credentials}

    def add_source(self, name: str) -> str:
        """A data source that appears now."""
        number = f"source-{len(self.sources)}"
        self.sources.append(
            {"object": "data_source", **self._stamped(number), "title": rich(name), "properties": {}, "url": ""}
        )
        return number

    def add_row(self, source: str, title: str) -> Json:
        """A page that is a row of a data source."""
        row = self.add_page(title, "")
        row["parent"] = {"type": "data_source_id", "data_source_id": source}
        return row

    def cut(self, page_id: str, *texts: str, missing: int = 0) -> None:
        """Have the page's Markdown come in parts, each naming the next; `missing` parts that it names do not exist."""
        names = [f"{page_id}-part-{number}" for number in range(len(texts))]
        for name, text, following in zip(names, texts, [*names[1:], ""], strict=True):
            self.parts[name] = {"markdown": text, "unknown_block_ids": [following] if following else []}
        self.parts[page_id] = {"unknown_block_ids": [*names[:1], *(f"{page_id}-gone-{n}" for n in range(missing))]}

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

    def trash(self, page_id: str, edits: bool = True) -> None:
        """`edits`: whether that moves the page's time of last edit, which Notion does not document."""
        self.now += DAY
        time = self._time() if edits else self.pages[page_id]["last_edited_time"]
        self.pages[page_id].update(in_trash=True, archived=True, last_edited_time=time)

    def restore(self, page_id: str) -> None:
        self.pages[page_id].update(in_trash=False, archived=False)

    def add_comment(self, page_id: str, text: str, block_id: str = "") -> None:
        """A comment does not edit its page. One on a block is listed for the block, not for its page."""
        number = f"comment-{sum(map(len, self.comments.values()))}"
        parent = {"type": "block_id", "block_id": block_id} if block_id else {"type": "page_id", "page_id": page_id}
        self.comments.setdefault(block_id or page_id, []).append(
            {"object": "comment", "id": number, "parent": parent,
             "discussion_id": number, "created_time": self._time(), "last_edited_time": self._time(),
             "created_by": {"object": "user", "id": "user-1"}, "rich_text": rich(text)}
        )  # fmt: skip

    def _time(self) -> str:
        return iso(self.now).replace("Z", ".000Z")

    def _stamped(self, number: str) -> Json:
        return {"id": number, "parent": {"type": "workspace", "workspace": True}, "created_time": self._time(),
                "last_edited_time": self._time(), "archived": False, "in_trash": False}  # fmt: skip

    def add_block(self, parent: str, kind: str, text: str = "", **content: Any) -> Json:
        """A block below a page or a block; `content` takes the place of its text."""
        block = self._block(parent, kind, text)
        if content:
            block[kind] = content
        return block

    def _block(self, parent: str, kind: str, text: str) -> Json:
        number = f"block-{sum(map(len, self.children.values()))}"
        block = {"object": "block", **self._stamped(number), "type": kind, "has_children": False,
                 kind: {"rich_text": rich(text)}}  # fmt: skip
        for siblings in self.children.values():
            for sibling in siblings:
                if sibling["id"] == parent:
                    sibling["has_children"] = True
        self.children.setdefault(parent, []).append(block)
        return block

    def admits(self, call: Call) -> bool:
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        return self.tokens.allows(token) if self.rotating else token == TOKEN

    def authorize(self, call: Call) -> Answer | None:
        if call.path != self.token_path and self.admits(call) and call.headers.get("notion-version") != VERSION:
            return self.refuse(400, "Notion-Version header failed validation")
        return super().authorize(call)

    def refuse(self, status: int, message: str) -> Answer:
        code = CODES.get(status, "validation_error" if status < 500 else "service_unavailable")
        return Answer(status, {"object": "error", "status": status, "code": code, "message": message})

    @route("POST", "/v1/search")
    def search(self, call: Call) -> Any:
        body = call.json()
        if body.get("sort") != {"timestamp": "last_edited_time", "direction": "descending"}:
            return self.refuse(400, "body failed validation")
        in_trash = body["filter"].get("in_trash", False)
        if in_trash and self.trash_search == "refused":
            return self.refuse(400, "body failed validation: body.filter.in_trash should be not present")
        in_trash = in_trash and self.trash_search == "known"
        rows = list(self.pages.values()) if body["filter"]["value"] == "page" else self.sources
        hidden = self.unshared | self.unsearchable
        rows = [row for row in rows if row["in_trash"] == in_trash and row["id"] not in hidden]
        return self._listed(newest(rows), body.get("start_cursor"), body.get("page_size", 100))

    @route("POST", "/v1/data_sources/{number}/query")
    def query(self, call: Call, number: str) -> Any:
        if number not in {source["id"] for source in self.sources} - self.unshared:
            return self._none(number)
        body = call.json()
        if body.get("sorts") != [{"timestamp": "last_edited_time", "direction": "descending"}]:
            return self.refuse(400, "body failed validation")
        since = body.get("filter", {}).get("last_edited_time", {}).get("on_or_after", "")
        rows = [page for page in self.pages.values() if page["parent"].get("data_source_id") == number
                and not page["in_trash"] and page["last_edited_time"] >= since]  # fmt: skip
        return self._listed(newest(rows), body.get("start_cursor"), body.get("page_size", 100))

    @route("GET", "/v1/pages/{number}")
    def page_object(self, call: Call, number: str) -> Any:
        if number not in self.pages or number in self.unshared:
            return self._none(number)
        return {**self.pages[number], "request_id": "5a2b"}

    @route("GET", "/v1/blocks/{number}/children")
    def block_children(self, call: Call, number: str) -> Any:
        if number not in self.children:
            return self._none(number)
        return self._page_of(call, self.children[number])

    @route("GET", "/v1/pages/{number}/markdown")
    def markdown(self, call: Call, number: str) -> Any:
        if number in self.parts and number not in self.pages:
            return {"object": "page_markdown", "id": number, "truncated": False, **self.parts[number]}
        if number not in self.pages or number in self.unshared or self.pages[number]["in_trash"]:
            return self._none(number)
        texts = [b[b["type"]].get("rich_text") for b in self.children[number]]
        text = "\n".join(text[0]["plain_text"] for text in texts if text)
        whole = {"object": "page_markdown", "id": number, "markdown": text, "truncated": number in self.parts}
        return {**whole, "unknown_block_ids": [], **self.parts.get(number, {})}

    @route("GET", "/v1/comments")
    def comments_of(self, call: Call) -> Any:
        return self._page_of(call, self.comments.get(call.param("block_id"), []))

    @route("GET", "/v1/users")
    def users(self, call: Call) -> Any:
        people = [{"object": "user", "id": f"user-{n}", "type": "person", "name": f"User {n}"} for n in range(120)]
        return self._page_of(call, people)

    def _none(self, number: str) -> Answer:
        return self.refuse(404, f"Could not find block with ID: {number}.")

    def _page_of(self, call: Call, rows: list[Json]) -> Json:
        return self._listed(rows, call.param("start_cursor"), int(call.param("page_size", "100")))

    def _listed(self, rows: list[Json], cursor: str | None, size: int) -> Json:
        start = int((cursor or "from-0").removeprefix("from-"))
        end = start + min(self.page, size)
        has_more = end < len(rows)
        following = f"from-{end}" if has_more else None
        return {"object": "list", "results": rows[start:end], "next_cursor": following, "has_more": has_more}


if __name__ == "__main__":
    run_rotating(NotionStandIn)
