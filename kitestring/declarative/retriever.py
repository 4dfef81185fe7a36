"""`SimpleRetriever`: read a slice page by page."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kitestring.declarative.decoder import JsonDecoder, blank
from kitestring.declarative.descent import Descent
from kitestring.declarative.error_handler import Actions
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.page import Page
from kitestring.declarative.page_lookup import PageLookup
from kitestring.declarative.page_size import PageRefusedError, PageSizeReduction
from kitestring.declarative.pagination_reset import PaginationReset
from kitestring.declarative.paginator import NoPagination, PageInfo
from kitestring.declarative.partition_router import router
from kitestring.declarative.request_option import Options
from kitestring.declarative.requester import Token
from kitestring.declarative.selector import CursorFilter
from kitestring.declarative.slice import Slice
from kitestring.declarative.window_splitting import RequestWindowSplitting, WindowRefusedError
from kitestring.errors import ConfigError, ConnectorError
from kitestring.http import UnreadableError, vendor_message
from kitestring.http.session import REREAD_S
from kitestring.paths import value_at
from kitestring.types import Path, Reject

log = logging.getLogger("kitestring.declarative")


MOST_CONFIRMED = 3
"""After so many doubtful pages that did not change when read again, the doubt is the API's normal answer."""
MOST_STARTS = 20
"""How often the pages of one slice may be restarted."""


@keyword("SimpleRetriever")
class SimpleRetriever:
    """Sends requests and yields their records, until the paginator finds no next page."""

    def __init__(
        self,
        node: Node,
        name: str = "",
        transformations: list[Any] | None = None,
        cursor: Any = None,
        schema: Any = None,
        cached: bool = False,
        keys: Collection[str] = (),
        primary_key: Sequence[Path] = (),
        template_values: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        self.node, self.name, self.cursor = node, name, cursor
        self._keys, self._had_records, self._confirmed = keys, False, 0
        self._primary_key = primary_key
        self.router: Any = router(node)
        self._decoder: Any = node.child("decoder") or JsonDecoder()
        self._selector = node.needed_child(
            "record_selector",
            "RecordSelector",
            transformations=transformations,
            transform_first=bool(cursor is not None and cursor.client_side),
            schema=schema,
            template_values=template_values,
        )
        self.requester = node.needed_child("requester", "HttpRequester", name=name, cached=cached)
        self._paginator: Any = node.child("paginator") or NoPagination()
        self._page_lookups: list[PageLookup] = node.children("page_lookups", "PageLookup", name=name)
        self._first_only = node.flag("ignore_stream_slicer_parameters_on_paginated_requests")
        self._properties = self._query_properties()
        self._descent: Descent | None = node.child("descent", "Descent", name=name)
        if self._descent is not None and cursor is not None and (cursor.feed or cursor.client_side):
            raise node.error(
                "cannot be combined with a cursor that filters records: items below an old record may be new",
                "descent",
            )
        self._reduction: PageSizeReduction | None = node.child(
            "page_size_reduction", "PageSizeReduction", name=name, paginator=self._paginator
        )
        if self._reduction is not None and self._properties is not None:
            raise node.error("cannot be combined with query properties", "page_size_reduction")
        reset: PaginationReset | None = node.child("pagination_reset", "PaginationReset")
        self._reset_action = reset.action if reset is not None else ""
        self._reset_limit = reset.limit if reset is not None else None
        self._splitting: RequestWindowSplitting | None = node.child(
            "request_window_splitting", "RequestWindowSplitting", name=name, cursor=cursor
        )
        if self._splitting is not None and self._properties is not None:
            raise node.error("cannot be combined with query properties", "request_window_splitting")

        for action, part, name in (
            (Actions.SPLIT_WINDOW, self._splitting, "request_window_splitting"),
            (Actions.REDUCE_PAGE_SIZE, self._reduction, "page_size_reduction"),
        ):
            if action in self.requester.handler.actions and part is None:
                raise node.error(f"the error handler has the action {action}, but `{name}` is missing")

    def _query_properties(self) -> Any:
        requester = self.node.at(self.node.need("requester"), "requester")
        names = (
            [k for k, v in (requester.get("request_parameters") or {}).items() if isinstance(v, dict)]
            if isinstance(requester.get("request_parameters"), dict)
            else []
        )
        if len(names) > 1:
            raise requester.error("only one parameter can hold QueryProperties", "request_parameters")
        if names:
            return requester.at(
                requester.values["request_parameters"][names[0]], f"request_parameters.{names[0]}"
            ).build()
        if requester.get("query_properties") is not None:
            return requester.child("query_properties", "QueryProperties")
        if requester.get("fetch_properties_from_endpoint") is not None:
            value = {"type": "QueryProperties", "property_list": requester.values["fetch_properties_from_endpoint"]}
            return requester.at(value, "fetch_properties_from_endpoint").build()
        return None

    @property
    def restarts(self) -> bool:
        """Whether a page or a part of a slice may be read twice."""
        return self._splitting is not None or self._reduction is not None

    def set_schema(self, schema: Mapping[str, Any]) -> None:
        """Set the configured schema of the stream."""
        if self._properties is not None:
            self._properties.schema = schema

    def pages(self, part: Slice, cursor_filter: CursorFilter | None = None) -> Iterator[Page]:
        """The pages of a slice. `cursor_filter` filters streams that the API does not filter."""
        feed = self.cursor is not None and self.cursor.feed
        page_filter, feed_filter = (None, cursor_filter) if feed else (cursor_filter, None)
        splitting = self._splitting

        def read(below: Slice) -> Iterator[Page]:
            if splitting is None:
                yield from self._pages_of(below, page_filter, feed_filter)
            else:
                yield from splitting.pages(below, lambda window: self._pages_of(window, page_filter, feed_filter))

        yield from read(part) if self._descent is None else self._descent.pages(part, read)

    def _pages_of(
        self, part: Slice, cursor_filter: CursorFilter | None, feed_filter: CursorFilter | None
    ) -> Iterator[Page]:
        token: Token | None = self._paginator.first()
        whole, count, latest, loops, starts = part, 0, None, LoopDetector(self.name, self._primary_key), 0
        inside = "child_response" in part.extra_fields
        sizes = self._reduction.begin() if self._reduction is not None else None
        while True:
            info = None
            try:
                for page in (
                    self._embedded_page(part, cursor_filter)
                    if inside
                    else self._page(part, token, cursor_filter, sizes.size if sizes else None)
                ):
                    if not isinstance(page, Page):
                        info = page
                        continue
                    count += len(page.records)
                    if self._reset_action and self.cursor is not None:
                        latest = self.cursor.observe(page.records, latest)
                    if feed_filter is not None:
                        page.records = [record for record in page.records if feed_filter(record)]
                    for lookup in self._page_lookups:
                        for nbytes, doubt in lookup.fill(page.records):
                            page.nbytes, page.doubt = page.nbytes + nbytes, page.doubt or doubt
                    yield page
            except PageRefusedError as refused:
                assert sizes is not None
                sizes.reduce(refused.message)
                continue
            inside = False
            if sizes is not None:
                sizes.page_succeeded()
            if info is None:
                return
            if info is RESTART or (self._reset_limit and count >= self._reset_limit):
                narrowed = self._restart_slice(whole, part, latest, count)
                starts = 0 if narrowed != part else starts + 1
                if starts > MOST_STARTS:
                    raise ConnectorError(
                        f"stream {self.name}: the pages were restarted {starts} times and never read to the end",
                        hint="The API requests a restart each time: the manifest's paginator does not fit it.",
                    )
                part, loops = narrowed, LoopDetector(self.name, self._primary_key)
                token, count = self._paginator.first(), 0
                continue
            if feed_filter is not None and info.last is not None and not feed_filter(info.last):
                return
            token = self._paginator.next(info)
            if not token:
                return
            if not self._decoder.streamed:
                loops.page(token["next_page_token"], info)

    def _restart_slice(self, whole: Slice, part: Slice, latest: Any, count: int) -> Slice:
        """The slice to restart with: after the latest record, or from its start."""
        if self._reset_action == "SPLIT_USING_CURSOR" and self.cursor is not None:
            narrowed: Slice = self.cursor.narrow(part, latest)
            if narrowed == part:
                raise ConfigError(f"stream {self.name}: the pages restart without progress")
            return narrowed
        if count == 0:
            raise ConfigError(f"stream {self.name}: the first page already requests a restart")
        return whole

    def _options(self, part: Slice, token: Token | None, size: int | None) -> Options:
        options = Options()
        self._paginator.fill(options, token, size)
        if token is None or not self._first_only:
            self.router.fill(options, part)
            if self.cursor is not None:
                self.cursor.fill(options, part)
        return options

    def _page(
        self, part: Slice, token: Token | None, cursor_filter: CursorFilter | None, size: int | None
    ) -> Iterator[Any]:
        """The page's runs of records, then a `PageInfo` or `RESTART`; neither if there cannot be a next page."""
        if self._properties is not None:
            yield from self._properties.page(self, part, token, cursor_filter)
            return
        for final in (False, True):
            response, action = self.send(part, token, size=size, fresh=final)
            if action == Actions.RESET_PAGINATION:
                yield RESTART
                return
            if response.status >= 400:
                yield Page([], [], 0, ignored=True)
                return
            runs = self._runs(response)
            try:
                first = next(runs, None)
            except UnreadableError as error:
                if final:
                    raise
                self._pause_before_reread(error.message)
                continue
            values = self._selector.extract(first[0]) if first is not None else []
            doubt = self._doubt(response, action, first[0] if first is not None else [], len(values))
            if not doubt or not self._should_reread(final):
                break
            self._pause_before_reread(self._doubt_message(response, doubt))
        body, extracted, selected, last = None, 0, 0, None
        for number, (bodies, rejects) in enumerate(itertools.chain([first] if first is not None else [], runs)):
            if body is None and bodies and not self._decoder.streamed:
                body = bodies[0]
            if number:
                values = self._selector.extract(bodies)
                if not extracted:
                    doubt = doubt or self._doubt(response, action, bodies, len(values))
            extracted += len(values)
            records, refused = self._selector.select(values, part, token, cursor_filter)
            selected += len(records)
            if records:
                last = records[-1]
            if records or refused or rejects:
                nbytes = 0 if self._decoder.streamed else len(response.body)
                yield Page(records, [*rejects, *refused], nbytes or 256 * len(records))
        doubt = doubt or self._doubt(response, action, [], extracted)
        if doubt and extracted <= 1:
            yield Page([], [], 0, self._warn_of_doubt(response, doubt))
        value = token["next_page_token"] if token else None
        yield PageInfo(response, {} if body is None else body, extracted, selected, last, value, part, size)

    def _runs(self, response: Any) -> Iterator[tuple[list[Any], list[Reject]]]:
        """The decoded values of a response in runs, and the rejects."""
        for bodies in self._decoder.bodies(response):
            if isinstance(self._decoder, JsonDecoder):
                yield bodies, []
            else:
                rejects = [body for body in bodies if isinstance(body, Reject)]
                yield ([body for body in bodies if not isinstance(body, Reject)] if rejects else bodies), rejects

    def _should_reread(self, final: bool) -> bool:
        """Whether to read a doubtful page again: not if earlier ones did not change."""
        if final:
            self._confirmed += 1
        return not final and not self._decoder.streamed and self._confirmed < MOST_CONFIRMED

    def _pause_before_reread(self, reason: str) -> None:
        log.info("stream %s: %s; reading it again", self.name, reason, extra={"stream": self.name})
        self.node.context.connection.pause(REREAD_S)

    def _embedded_page(self, part: Slice, cursor_filter: CursorFilter | None) -> Iterator[Any]:
        """The first page of a substream, embedded in the parent's record (`lazy_read_pointer`)."""
        child = part.extra_fields["child_response"]
        bodies = child if isinstance(child, list) else [child]
        values = self._selector.extract(bodies or [{}])
        records, rejects = self._selector.select(values, part, None, cursor_filter)
        yield Page(records, rejects, 256 * len(records))
        body = bodies[0] if bodies else {}
        yield PageInfo(
            EmbeddedResponse(), body, len(values), len(records), records[-1] if records else None, None, part
        )

    def send(
        self,
        part: Slice,
        token: Token | None,
        properties: list[str] | None = None,
        size: int | None = None,
        fresh: bool = False,
    ) -> tuple[Any, str]:
        response, action = self.requester.send(
            part,
            token,
            self._options(part, token, size),
            self._paginator.path(token),
            stream=self._decoder.streamed,
            properties=properties,
            fresh=fresh,
        )
        if action == Actions.SPLIT_WINDOW:
            raise WindowRefusedError(f"stream {self.name}: the API refuses the window {dict(part.cursor_slice)}")
        if action == Actions.REDUCE_PAGE_SIZE:
            raise PageRefusedError(vendor_message(response))
        return response, action

    def _doubt(self, response: Any, action: str, bodies: list[Any], count: int) -> str:
        """Why a page without records (or whose only record is the whole page) may be wrong. An ignored response is
        never in doubt."""
        if count > 1 or action == Actions.IGNORE:
            self._had_records = self._had_records or count > 1
            return ""
        if not bodies:
            return "" if count else str(self._decoder.doubt(response))
        if not self._decoder.streamed and blank(response.body):
            return ""
        listed = not self._decoder.streamed and response.body.lstrip()[:1] == b"["
        reason: str = self._selector.doubt(bodies, self._keys, listed, self._had_records)
        self._had_records = self._had_records or (count > 0 and not reason)
        return reason

    def _doubt_message(self, response: Any, reason: str) -> str:
        text: str = self.node.context.connection.mask(f"the response of {response.request_line} {reason}")
        return text

    def _warn_of_doubt(self, response: Any, reason: str) -> str:
        text = self._doubt_message(response, reason)
        log.warning("stream %s: %s", self.name, text, extra={"stream": self.name})
        return text

    def read_properties(
        self, part: Slice, token: Token | None, cursor_filter: CursorFilter | None, properties: list[str]
    ) -> tuple[Any, Any, Page, int] | None:
        """A response for these properties, its first body, its page, and the number of extracted records; None if the
        manifest ignores it."""
        for final in (False, True):
            response, action = self.send(part, token, properties, fresh=final)
            if response.status >= 400:
                return None
            try:
                runs = list(self._runs(response))
            except UnreadableError as error:
                if final:
                    raise
                self._pause_before_reread(error.message)
                continue
            bodies = [body for run, _ in runs for body in run]
            values = self._selector.extract(bodies)
            reason = self._doubt(response, action, bodies, len(values))
            if not reason or not self._should_reread(final):
                break
            self._pause_before_reread(self._doubt_message(response, reason))
        records, rejects = self._selector.select(values, part, token, cursor_filter)
        rejects = [*(reject for _, run in runs for reject in run), *rejects]
        page = Page(records, rejects, len(response.body), self._warn_of_doubt(response, reason) if reason else "")
        return response, (bodies[0] if bodies else {}), page, len(values)


MOST_EQUAL_PAGES = 20
"""Pages in a row with the same answer. One may repeat where the list moves during the read."""
MOST_EQUAL_PAGES_WITHOUT_KEY = 1000
"""Without a primary key, equal records may be distinct."""


class LoopDetector:
    """Detects loops of pages of any length, by comparing with one page, marked after 1, 2, 4, 8, … pages.

    A page number or an offset that the API ignores gives the same records with ever new tokens: many such pages in a
    row are a loop too. A primary key that a template takes from the token tells equal pages apart."""

    def __init__(self, name: str, primary_key: Sequence[Path]) -> None:
        self._name = name
        self._primary_key = primary_key
        self._mark: Any = None
        self._body = 0
        self._count, self._next = 0, 1
        self._latest: Any = None
        self._equal = 0
        self._most_equal = MOST_EQUAL_PAGES if primary_key else MOST_EQUAL_PAGES_WITHOUT_KEY

    def page(self, token: Any, info: PageInfo) -> None:
        """Check a page and its next token. Raises if it equals the marked page, byte by byte."""
        body = hash(info.response.body)
        if self._count and token == self._mark and body == self._body:
            what = "page" if info.extracted else "empty page"
            raise ConnectorError(
                f"stream {self._name}: the same {what} repeats with the token {token!r}",
                hint="The manifest's paginator needs a stop condition, or another cursor.",
            )
        content = body, [value_at(info.last, path) for path in self._primary_key]
        self._equal = self._equal + 1 if info.extracted and content == self._latest else 0
        self._latest = content
        if self._equal >= self._most_equal:
            raise ConnectorError(
                f"stream {self._name}: {self._equal + 1:,} pages in a row have the same records, the last with the "
                f"token {info.token!r}",
                hint="The API ignores the page, offset or token. Check where the manifest's paginator puts it.",
            )
        self._count += 1
        if self._count == self._next:
            self._mark, self._body, self._next = token, body, self._next * 2


class EmbeddedResponse:
    """Replaces the response for a page that is embedded in another record."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""


RESTART: Any = object()
"""Yielded instead of a `PageInfo`: read the slice again from its first page."""
