"""How the stand-in for Zendesk pages: lists by cursor or by number, exports by cursor or by time."""

from __future__ import annotations

from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from kitestring.testing.stand_in import Answer, Call, StandIn

Json = dict[str, Any]
OFFSET_LIMIT = 10_000
EXPORT_PAGE = 1000


class Paging(StandIn):
    """The pages of Zendesk's lists and exports.

    `export_page` is the largest page of an export. `leaves_out` maps a piece of paths to a mark (`meta`,
    `meta.has_more`, `end_of_stream`, …) that their pages come without.
    """

    export_page: int = EXPORT_PAGE
    leaves_out: Mapping[str, str] = MappingProxyType({})

    def answer(self, call: Call) -> Answer:
        answer = super().answer(call)
        for part, mark in self.leaves_out.items():
            if part in call.path and isinstance(answer.body, dict):
                answer.body = _without(answer.body, mark.split("."))
        return answer

    def named_list(self, lists: dict[str, Callable[[], Iterable[Json]]], call: Call, name: str, page: int) -> Any:
        return self.listed(call, name, lists[name](), page) if name in lists else self.refuse(404, "Not found")

    def listed(self, call: Call, key: str, items: Iterable[Json], default_page: int = 100) -> Any:
        """Cursor paging where the call asks for `page[size]`, else pages by number."""
        rows = [*items]
        if "page[size]" in call.params:
            size = min(100, int(call.param("page[size]")))
            start = (
                integer(urlsafe_b64decode(call.param("page[after]")).decode()) if "page[after]" in call.params else 0
            )
            has_more = start + size < len(rows)
            after = urlsafe_b64encode(str(start + size).encode()).decode() if has_more else None
            following = self.link(call, {"page[after]": after}) if has_more else None
            return {
                key: rows[start : start + size],
                "meta": {"has_more": has_more, "after_cursor": after, "before_cursor": None},
                "links": {"next": following, "prev": None},
            }
        page, size = int(call.param("page", "1")), min(100, int(call.param("per_page", str(default_page))))
        if page * size > OFFSET_LIMIT:
            return Answer(400, {"error": "InvalidPaginationDepth", "description": "Invalid search: too deep"})
        has_more = page * size < len(rows)
        return {
            key: rows[(page - 1) * size : page * size],
            "count": len(rows),
            "next_page": self.link(call, {"page": str(page + 1)}) if has_more else None,
            "previous_page": self.link(call, {"page": str(page - 1)}) if page > 1 else None,
        }

    def feed(self, call: Call, key: str, rows: list[Json]) -> Json:
        """Pages of rows that are sorted newest first: `before_cursor` leads to older ones, `after_cursor` back to newer
        ones, even where there are none yet. This is the answer that the reference has for `ticket_audits`."""
        size = min(1000, int(call.param("limit", call.param("page[size]", "100"))))
        start = 0
        if "cursor" in call.params:
            last = b64decode(call.param("cursor")).decode().strip("|")
            start = next((i for i, row in enumerate(rows) if str(row["id"]) == last), len(rows)) + 1
        page = rows[start : start + size]
        has_more = start + size < len(rows)
        after = b64encode(f"{page[0]['id']}|".encode()).decode() if page else None
        before = b64encode(f"|{page[-1]['id']}".encode()).decode() if page and has_more else None
        return {
            key: page,
            "after_cursor": after,
            "after_url": self.link(call, {"cursor": after}) if after else None,
            "before_cursor": before,
            "before_url": self.link(call, {"cursor": before}) if before else None,
        }

    def cursor_export(
        self, call: Call, key: str, rows: list[Json], place: Callable[[Json], tuple[int, int]]
    ) -> Json | Answer:
        """From `start_time` at first, then after the pair (time, id) that the cursor carries."""
        size = min(self.export_page, int(call.param("per_page", str(self.export_page))))
        if "cursor" in call.params:
            time, number = b64decode(call.param("cursor")).decode().split("||")
            start = bisect_right(rows, (int(time), int(number)), key=place)
        elif not is_number(call.param("start_time")):
            return no_start_time()
        else:
            start = bisect_left(rows, (int(float(call.param("start_time"))), 0), key=place)
        page = rows[start : start + size]
        cursor = call.param("cursor") or None
        if page:
            time_of, number_of = place(page[-1])
            cursor = b64encode(f"{time_of}||{number_of}".encode()).decode()
        return {
            key: page,
            "after_url": self.link(call, {"cursor": cursor, "start_time": None}) if cursor else None,
            "after_cursor": cursor,
            "before_url": None,
            "before_cursor": None,
            "end_of_stream": start + size >= len(rows),
        }

    def time_export(self, call: Call, key: str, items: Iterable[Json], time_of: Callable[[Json], int]) -> Any:
        """From `start_time` on; a page ends where a second ends, so that `end_time` can be the next start."""
        if not is_number(call.param("start_time")):
            return no_start_time()
        rows = sorted(items, key=lambda item: (time_of(item), item["id"]))
        size = min(self.export_page, int(call.param("per_page", str(self.export_page))))
        start = bisect_left(rows, int(float(call.param("start_time"))), key=time_of)
        page = rows[start : start + size]
        while page and start + len(page) < len(rows) and time_of(rows[start + len(page)]) == time_of(page[-1]):
            page.append(rows[start + len(page)])
        last = start + len(page) >= len(rows)
        end_time = time_of(page[-1]) if page else None
        # The next page begins with what happened in the last second of this one: clients see those items twice.
        following = self.link(call, {"start_time": str(end_time)}) if page else None
        if not last and end_time == time_of(rows[start]):
            following = self.link(call, {"start_time": str(int(call.param("start_time")) + 1)})
        return {
            key: page,
            "count": len(page),
            "end_time": end_time,
            "end_of_stream": last,
            "next_page": following,
        }

    def link(self, call: Call, changes: dict[str, str | None]) -> str:
        params = {k: v for k, v in {**{k: v[-1] for k, v in call.params.items()}, **changes}.items() if v is not None}
        return f"{self.url}{call.path}?{urlencode(params)}"


def _without(page: Json, path: Sequence[str]) -> Json:
    name, *rest = path
    if not rest or not isinstance(page.get(name), dict):
        return {k: v for k, v in page.items() if k != name}
    return {**page, name: _without(page[name], rest)}


def no_start_time() -> Answer:
    return Answer(400, {"error": "InvalidValue", "description": "start_time is missing"})


def is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def integer(text: str) -> int:
    return int(text) if text.isdigit() else -1
