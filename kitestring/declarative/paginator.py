"""Paginators: find the token of the next page and put it into a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.request_option import Options, RequestOption, RequestPath
from kitestring.declarative.requester import Token
from kitestring.declarative.slice import Slice
from kitestring.declarative.template import literal
from kitestring.errors import ConfigError
from kitestring.types import Record


@dataclass(slots=True)
class PageInfo:
    """The result of reading a page. `extracted` counts its records, `selected` those that the filter keeps."""

    response: Any
    body: Any
    extracted: int
    selected: int
    last: Record | None
    token: Any
    part: Slice
    page_size: int | None = None


class Headers(dict[str, Any]):
    """Response headers by name in any case. `link` (in lower case) is the parsed Link header, by relation."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items() if name.lower() != "link"})
        self._text = headers.get("link") or headers.get("Link") or ""
        if self._text:
            super().__setitem__("Link", self._text)
        super().__setitem__("link", links(self._text))

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(self._key(name))

    def __contains__(self, name: object) -> bool:
        return super().__contains__(self._key(str(name)))

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(self._key(name), default)

    @staticmethod
    def _key(name: str) -> str:
        lower = name.lower()
        return "Link" if lower == "link" and name != "link" else lower


_LINK = re.compile(r"<([^>]*)>([^<]*)")
_ATTRIBUTE = re.compile(r";\s*([\w*!-]+)\s*=\s*(?:\"([^\"]*)\"|([^\s;,]*))")


def links(header: str) -> dict[str, dict[str, str]]:
    """Parse a Link header (RFC 8288), by relation."""
    by_relation: dict[str, dict[str, str]] = {}
    for url, rest in _LINK.findall(header):
        attributes = {name.lower(): quoted or bare for name, quoted, bare in _ATTRIBUTE.findall(rest)}
        by_relation[attributes.get("rel", url)] = {"url": url, **attributes}
    return by_relation


def page_size(node: Node) -> int | None:
    value = node.constant("page_size")
    if value is None or value == "":
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise node.error(f"is {value!r}, a number is expected", "page_size") from None


class NoPagination:
    """Reads one page."""

    page_size: int | None = None
    resizable = False

    def __init__(self, node: Node | None = None, **_: Any) -> None: ...

    def first(self) -> Token | None:
        return None

    def path(self, token: Token | None) -> str | None:
        return None

    def fill(self, options: Options, token: Token | None, size: int | None = None) -> None: ...

    def next(self, page: PageInfo) -> Token | None:
        return None


keyword("NoPagination")(NoPagination)


@keyword("DefaultPaginator")
class DefaultPaginator:
    """A strategy for the next page's token, and the places of token and page size in a request."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._strategy = node.needed_child("pagination_strategy")
        self._size_option: RequestOption | None = node.child("page_size_option", "RequestOption")
        self._token_option: Any = node.child("page_token_option", "RequestOption")
        self.page_size: int | None = self._strategy.page_size
        if self._size_option is not None and not self.page_size:
            raise node.error("needs a `page_size` in the pagination strategy", "page_size_option")
        # Smaller pages would move the boundaries of numbered pages, and an address contains the old size.
        self.resizable = (
            self._size_option is not None
            and isinstance(self._strategy, OffsetIncrement | CursorPagination)
            and not isinstance(self._token_option, RequestPath)
        )

    def first(self) -> Token | None:
        token = self._strategy.first()
        return None if token is None else {"next_page_token": token}

    def path(self, token: Token | None) -> str | None:
        if token and isinstance(self._token_option, RequestPath):
            return str(token["next_page_token"])
        return None

    def fill(self, options: Options, token: Token | None, size: int | None = None) -> None:
        if token is not None and isinstance(self._token_option, RequestOption):
            self._token_option.inject(options, token["next_page_token"])
        if self._size_option is not None:
            self._size_option.inject(options, size or self.page_size)

    def next(self, page: PageInfo) -> Token | None:
        token = self._strategy.next(page)
        return {"next_page_token": token} if token else None


class Counting:
    """Base of the counting strategies: the last page is empty or shorter than the page size."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.node = node
        self.page_size = page_size(node)
        self._inject_first = node.flag("inject_on_first_request")

    def is_last(self, page: PageInfo) -> bool:
        size = page.page_size or self.page_size
        return page.extracted == 0 or bool(size and page.extracted < size)

    def count_of(self, token: Any) -> int | None:
        if token is None or isinstance(token, int):
            return token
        raise ConfigError(f"manifest, {self.node.path}: the page token {token!r} is not a number")


@keyword("PageIncrement")
class PageIncrement(Counting):
    """Pages by number, from `start_from_page`."""

    def __init__(self, node: Node, **_: Any) -> None:
        super().__init__(node)
        self._start = node.integer("start_from_page", 0) or 0

    def first(self) -> Any:
        return self._start if self._inject_first else None

    def next(self, page: PageInfo) -> Any:
        if self.is_last(page):
            return None
        before = self.count_of(page.token)
        return (self._start if before is None else before) + 1


@keyword("OffsetIncrement")
class OffsetIncrement(Counting):
    """Pages by offset: the number of records before them."""

    def first(self) -> Any:
        return 0 if self._inject_first else None

    def next(self, page: PageInfo) -> Any:
        return None if self.is_last(page) else (self.count_of(page.token) or 0) + page.extracted


@keyword("CursorPagination")
class CursorPagination:
    """The token is a template over the page: its body, headers, last record, and number of records before the filter
    (with `filtered_page_size` after it, as in Airbyte's engine)."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.page_size = page_size(node)
        # Only the API knows what a token means: `1e5` is not a number.
        self._value = node.needed_text("cursor_value", verbatim=True)
        stop = node.get("stop_condition")
        self._stop = node.condition(stop) if stop else None
        self._filtered = bool(node.context.values.get("filtered_page_size"))

    def first(self) -> Any:
        return None

    def next(self, page: PageInfo) -> Any:
        context = {
            "response": page.body,
            "headers": Headers(page.response.headers),
            "last_record": page.last,
            "last_page_size": page.selected if self._filtered else page.extracted,
            "page_size": page.page_size or self.page_size,
            "stream_slice": page.part,
            # The current page: for lists whose overflow is numbered without telling the number.
            "next_page_token": None if page.token is None else {"next_page_token": page.token},
        }
        if self._stop is not None and self._stop(context):
            return None
        token = self._value(context)
        # APIs also write `"0"` or `"None"` for no next page. A template that computes such a text means it.
        if isinstance(token, str) and self._value.exact and not literal(token):
            return None
        return token or None
