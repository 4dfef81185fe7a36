"""Kinds of pagination as components of a manifest, and the parameters and fields by whose names they are recognised."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

PAGE_NAMES = ("page", "page_number", "pagenumber", "page_no", "pageno", "page_num", "page_index", "pagenum", "p")
SIZE_NAMES = (
    *("per_page", "page_size", "pagesize", "limit", "count", "size", "results_per_page", "max_results", "maxresults"),
    *("perpage", "take", "top", "rows", "first", "num"),
)
OFFSET_NAMES = ("offset", "skip", "start", "start_at", "startat", "start_index", "startindex", "from")
CURSOR_NAMES = (
    *("cursor", "after", "page_token", "pagetoken", "next_token", "nexttoken", "next_cursor", "starting_after"),
    *("start_cursor", "page_cursor", "continuation_token", "continuation", "marker", "scroll_id", "bookmark", "next"),
    *("page_after", "paging_token", "start_key"),
)
NEXT_CURSORS = (
    *("next_cursor", "next_page_token", "nextpagetoken", "next_token", "nexttoken", "end_cursor", "endcursor"),
    *("after_cursor", "nextcursor", "next_page_cursor", "continuation_token", "continuationtoken", "scroll_id"),
    *("next_page_key", "nextpagekey", "bookmark", "cursor", "after", "next_marker", "marker", "offset", "next_offset"),
    *("next", "next_page", "nextpage"),
)
"""Names of fields with the cursor of the next page, the surest first."""
NEXT_ADDRESSES = (
    *("next", "next_page", "nextpage", "next_url", "nexturl", "next_page_url", "nextpageurl", "next_link", "nextlink"),
    *("@odata.nextlink", "next_href", "href", "uri", "next_uri", "next_page_uri"),
)
"""Names of fields with the address of the next page."""
MORE_NAMES = ("has_more", "hasmore", "more", "has_next", "hasnext", "has_next_page", "hasnextpage", "more_available")
"""Names of fields that say whether there is a next page."""
END_NAMES = (
    "end_of_stream",
    "is_last",
    "islast",
    "is_last_page",
    "islastpage",
    "last_page",
    "lastpage",
    "last",
    "done",
)
"""Names of fields that say that this page is the last."""


def plain_name(name: str) -> str:
    """A parameter's name for comparison: `page[size]` and `pageSize` are page_size and pagesize."""
    return name.lower().lstrip("$@").replace("]", "").replace("[", "_").replace("-", "_").replace(".", "_")


def parameter(names: Iterable[str], known: Collection[str]) -> str:
    """The parameter among these names with a known name, as it is written; empty if there is none."""
    by_name: dict[str, str] = {}
    for name in names:
        by_name.setdefault(plain_name(name), name)
    for candidate in known:
        if candidate in by_name:
            return by_name[candidate]
    return next((by_name[name] for name in by_name if name.replace("page_", "", 1) in known), "")


def option(name: str, place: str = "request_parameter") -> dict[str, Any]:
    return {"type": "RequestOption", "inject_into": place, "field_name": name}


def body_option(path: list[str]) -> dict[str, Any]:
    """A field of the JSON body."""
    place = {"field_name": path[0]} if len(path) == 1 else {"field_path": list(path)}
    return {"type": "RequestOption", "inject_into": "body_json", **place}


def paginator(
    strategy: Mapping[str, Any],
    token: Mapping[str, Any] | None,
    *,
    size_name: str = "",
    size: int | None = None,
    size_place: str = "request_parameter",
) -> dict[str, Any]:
    """A `DefaultPaginator`. `token`: where the page token goes. The size is sent where it has a parameter."""
    values: dict[str, Any] = {"type": "DefaultPaginator"}
    if token is not None:
        values["page_token_option"] = dict(token)
    if size_name and size:
        values["page_size_option"] = option(size_name, size_place)
    sized = {"page_size": size} if size else {}
    values["pagination_strategy"] = {"type": strategy["type"], **sized, **strategy}
    return values


def by_page(name: str, start: int, *, size_name: str = "", size: int | None = None) -> dict[str, Any]:
    """Pages by number. Without a size the pages end with an empty one."""
    strategy = {"type": "PageIncrement", "start_from_page": start, "inject_on_first_request": True}
    return paginator(strategy, option(name), size_name=size_name, size=size)


def by_offset(name: str, *, size_name: str = "", size: int | None = None) -> dict[str, Any]:
    """Pages by the number of records before them."""
    strategy = {"type": "OffsetIncrement", "inject_on_first_request": True}
    return paginator(strategy, option(name), size_name=size_name, size=size)


def by_cursor(
    name: str,
    path: list[str],
    *,
    more: list[str] | None = None,
    end: list[str] | None = None,
    size_name: str = "",
    size: int | None = None,
) -> dict[str, Any]:
    """Pages by a cursor in the response at `path`. `more` and `end`: the paths of the fields that say whether there are
    more, or that this is the last page."""
    value = response_value(path)
    stop = f"not {value}" + (f" or not {response_value(more)}" if more else "")
    stop += f" or {response_value(end)}" if end else ""
    strategy = {
        "type": "CursorPagination",
        "cursor_value": "{{ " + value + " }}",
        "stop_condition": "{{ " + stop + " }}",
    }
    return paginator(strategy, option(name), size_name=size_name, size=size)


def by_last_record(
    name: str, key: str, *, more: list[str] | None = None, size_name: str = "", size: int | None = None
) -> dict[str, Any]:
    """Pages after the last record: `starting_after`. Ends where the response says so, or with a short page."""
    stop = f"not {response_value(more)}" if more else "last_page_size < page_size" if size else "last_page_size == 0"
    strategy = {
        "type": "CursorPagination",
        "cursor_value": "{{ last_record[" + quoted(key) + "] }}",
        "stop_condition": "{{ " + stop + " }}",
    }
    return paginator(strategy, option(name), size_name=size_name, size=size)


def by_address(path: list[str]) -> dict[str, Any]:
    """Pages by the address of the next one, in the response at `path`."""
    value = response_value(path)
    strategy = {
        "type": "CursorPagination",
        "cursor_value": "{{ " + value + " }}",
        "stop_condition": "{{ not " + value + " }}",
    }
    return paginator(strategy, {"type": "RequestPath"})


def by_link_header() -> dict[str, Any]:
    """Pages by the Link header (RFC 8288)."""
    strategy = {
        "type": "CursorPagination",
        "cursor_value": "{{ headers['link']['next']['url'] }}",
        "stop_condition": "{{ 'next' not in headers['link'] }}",
    }
    return paginator(strategy, {"type": "RequestPath"})


def response_value(path: list[str]) -> str:
    """The expression of a value in the response; empty where a part of the path is missing."""
    *inner, last = path
    place = "response"
    for part in inner:
        place = f"({place}.get({quoted(part)}) or {{}})"
    return f"{place}.get({quoted(last)})"


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
