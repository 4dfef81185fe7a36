"""A test read: read one stream of a manifest within limits, and record every request and its response."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from kitestring import json_codec
from kitestring.config import secrets_in
from kitestring.declarative.builder.inference import infer_schema
from kitestring.declarative.page import Page
from kitestring.declarative.partition_router import RoutingContext
from kitestring.declarative.source import DeclarativeSource
from kitestring.declarative.stream import CLOSED
from kitestring.errors import ConfigError, KitestringError
from kitestring.redact import Redactor
from kitestring.types import Checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from kitestring.http import Auth, Request, Response

LARGEST_BODY = 512 * 1024
"""Characters of a body in an exchange."""


@dataclass(slots=True)
class Exchange:
    """An attempt of a request with its response. JSON bodies are decoded; secrets are masked."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any
    status: int = 0
    response_headers: dict[str, str] = field(default_factory=dict)
    response: Any = None
    error: str = ""
    ms: float = 0.0


@dataclass(slots=True)
class ReadPage:
    """Records of one response. `attempts`: the failed attempts before it. No exchange: it came from the cache."""

    exchange: Exchange | None
    records: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[Exchange] = field(default_factory=list)


@dataclass(slots=True)
class ReadSlice:
    """A slice: its partition and bounds, its pages, and the stream's state when it was read."""

    partition: dict[str, Any]
    bounds: dict[str, Any]
    pages: list[ReadPage] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Log:
    """A line of the log."""

    level: str
    message: str


@dataclass(slots=True)
class Reading:
    """The result of a test read. `limited` names the limits that ended it: slices, pages, records.

    `other`: requests outside the stream's pages (tokens, parents of a substream). `error` and `hint` say why it ended
    early; the slices hold the results until then.
    """

    stream: str
    slices: list[ReadSlice] = field(default_factory=list)
    other: list[Exchange] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    schema: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    limited: list[str] = field(default_factory=list)
    error: str = ""
    hint: str = ""

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for part in self.slices for page in part.pages for record in page.records]

    def values(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def read(
    manifest: str | Mapping[str, Any] | Path,
    config: Mapping[str, Any],
    stream: str,
    *,
    state: Mapping[str, Any] | None = None,
    most_slices: int = 5,
    most_pages: int = 5,
    most_records: int = 1000,
    built: Callable[[DeclarativeSource], None] | None = None,
) -> Reading:
    """Read a little of one stream, limited in slices, pages per slice, and records in total.

    `manifest` is a YAML text, plain values, or a path. Raises `ConfigError` for a defect of manifest or configuration
    that prevents reading; errors of the read itself are in the result. The read gives up soon if an API requests long
    waits. The log has the lines of this thread that the logger `kitestring` passes. `built` is called with the source
    before its first request.
    """
    source = open_source(manifest, config)
    if built is not None:
        built(source)
    form = (source._manifest.get("spec") or {}).get("connection_specification") or {}
    mask = Redactor(secrets_in(config, form))
    reading = Reading(stream)
    limits = {"slices": most_slices, "pages": most_pages, "records": most_records}
    try:
        component = source.component(stream)
        watch = ExchangeRecorder(source, component, mask)
        with collect_logs(reading.logs, mask), source.connection.short_waits():
            try:
                read_slices(component, dict(state or {}), watch, reading, limits)
            except KitestringError as error:
                watch.hide()
                mask.error(error)
                reading.error, reading.hint = error.message, error.hint
                reading.other.extend(watch.take_all())  # of a parent that failed
        watch.hide()
        mask_reading(reading, watch)
        keys = [path[0] for path in component.stream().primary_key if len(path) == 1]
    finally:
        source.close()
    reading.schema = infer_schema(reading.records, keys)
    return reading


def open_source(manifest: str | Mapping[str, Any] | Path, config: Mapping[str, Any]) -> DeclarativeSource:
    from pathlib import Path

    from kitestring.declarative.manifest import parse

    if isinstance(manifest, Path):
        return DeclarativeSource.from_manifest(manifest, config)
    raw = parse(manifest) if isinstance(manifest, str) else manifest
    if not isinstance(raw, Mapping):
        raise ConfigError("the manifest is not an object", hint="It has keys such as version, streams and spec.")
    return DeclarativeSource.of(raw, config)


def read_slices(
    component: Any, state: dict[str, Any], watch: ExchangeRecorder, reading: Reading, limits: Mapping[str, int]
) -> None:
    routing, remaining = RoutingContext(), limits["records"]
    reading.state = state
    tasks = component.tasks(state, routing)
    while True:
        task = next(tasks, None)
        reading.other.extend(watch.take_all())
        if task is None:
            break
        if len(reading.slices) == limits["slices"]:
            reading.limited.append("slices")
            return
        part = ReadSlice(dict(task.part.partition), dict(task.part.cursor_slice))
        reading.slices.append(part)
        items = component.read(task)
        try:
            for item in limit_pages(items, watch, part, reading.other, limits["pages"]):
                if isinstance(item, Checkpoint):
                    reading.state = component.merge(reading.state, item.state[CLOSED])
                if not isinstance(item, Page):
                    continue
                page = part.pages[-1]
                page.records.extend(watch.mask(item.records[:remaining]))
                page.rejects.extend(
                    {"record": watch.mask(reject.record), "reason": reject.reason} for reject in item.rejects
                )
                remaining -= len(item.records)
                if remaining <= 0:
                    reading.limited.append("records")
                    return
        except PageLimitError:
            if "pages" not in reading.limited:
                reading.limited.append("pages")
        finally:
            items.close()
            reading.other.extend(watch.flush(part))
            part.state = watch.mask(dict(reading.state))
    if not reading.limited:
        reading.state = component.finish(reading.state, routing)


def limit_pages(
    items: Iterator[Any], watch: ExchangeRecorder, part: ReadSlice, other: list[Exchange], most: int
) -> Iterator[Any]:
    """The items of a slice; the page of each run of records is the last of `part.pages`."""
    watch.most, watch.count = most, 0
    try:
        while True:
            item = next(items, None)
            if item is None:
                return
            other.extend(watch.flush(part))
            if isinstance(item, Page) and not part.pages:
                part.pages.append(ReadPage(None))
            yield item
    finally:
        watch.most = 0


class PageLimitError(KitestringError):
    """The limit of pages is reached. Used only inside a test read."""


class ExchangeRecorder:
    """Records every exchange of a source, masked."""

    def __init__(self, source: DeclarativeSource, component: Any, mask: Redactor) -> None:
        self.most = self.count = 0
        self._connection, self._mask = source.connection, mask
        self._requester = getattr(getattr(component, "retriever", None), "requester", None)
        self._exchanges: list[tuple[bool, Exchange]] = []
        self._connection.observe = self.record

    def hide(self) -> None:
        """Mask tokens that were obtained meanwhile too."""
        self._mask.hide(self._connection.secrets)

    def record(
        self, request: Request, response: Response | None, error: KitestringError | None, auth: Auth | None
    ) -> None:
        self.hide()
        # A stream with one requester is recognised by its authenticator; with several (jobs, two streams) all count.
        main = self._requester is None or auth is self._requester.auth
        done = response is not None and response.status < 400
        if main and done and self.most:
            self.count += 1
            if self.count > self.most:
                raise PageLimitError("enough pages were read")
        exchange = Exchange(
            request.method,
            self._mask.url(request.target()),
            self._mask.headers(request.headers),
            self.mask(request.form if request.form is not None else body_value(request.content()), not main),
        )
        if response is not None:
            exchange.status, exchange.ms = response.status, round(response.elapsed_s * 1000, 1)
            exchange.response_headers = self._mask.headers(dict(response.headers))
            streamed = response._body is None
            exchange.response = "(a stream, not shown)" if streamed else self.mask(body_value(response.body), not main)
        if error is not None:
            exchange.error = self._mask.text(error.message)
        self._exchanges.append((main, exchange))

    def take_all(self) -> list[Exchange]:
        """The exchanges since the last call."""
        noted, self._exchanges = self._exchanges, []
        return [exchange for _, exchange in noted]

    def flush(self, part: ReadSlice) -> list[Exchange]:
        """Put the recorded exchanges into pages of this slice. Returns those that belong to no page."""
        noted, self._exchanges = self._exchanges, []
        attempts: list[Exchange] = []
        for main, exchange in noted:
            if not main:
                continue
            if exchange.error or exchange.status >= 400:
                attempts.append(exchange)
                continue
            part.pages.append(ReadPage(exchange, attempts=attempts))
            attempts = []
        if attempts:  # the response that ended the slice
            part.pages.append(ReadPage(attempts[-1], attempts=attempts[:-1]))
        return [exchange for main, exchange in noted if not main]

    def mask(self, value: Any, named: bool = False) -> Any:
        """A copy of a JSON value with secrets masked; `named`: also values whose key names a credential."""
        return self._mask.value(value, named)


def mask_reading(reading: Reading, watch: ExchangeRecorder) -> None:
    """Mask again now that all tokens are known: a response is recorded before the token in it."""
    pages = [page for part in reading.slices for page in part.pages]
    exchanges = [
        *reading.other,
        *(exchange for page in pages for exchange in [*page.attempts, page.exchange] if exchange is not None),
    ]
    for exchange in exchanges:
        exchange.url, exchange.error = watch.mask(exchange.url), watch.mask(exchange.error)
        exchange.headers, exchange.response_headers = (
            watch.mask(exchange.headers),
            watch.mask(exchange.response_headers),
        )
        exchange.body, exchange.response = watch.mask(exchange.body), watch.mask(exchange.response)
    for page in pages:
        page.records, page.rejects = watch.mask(page.records), watch.mask(page.rejects)
    for part in reading.slices:
        part.partition, part.bounds, part.state = map(watch.mask, (part.partition, part.bounds, part.state))
    for line in reading.logs:
        line.message = watch.mask(line.message)
    reading.state = watch.mask(reading.state)


def body_value(content: bytes | None) -> Any:
    """A body as JSON or text, truncated if it is long; None for an empty body."""
    if not content:
        return None
    if len(content) <= LARGEST_BODY:
        try:
            return json_codec.loads(content)
        except json_codec.JsonError:
            return content.decode("utf-8", "replace")
    return content[:LARGEST_BODY].decode("utf-8", "replace") + f"… ({len(content):,} bytes in total)"


@contextmanager
def collect_logs(logs: list[Log], mask: Redactor) -> Iterator[None]:
    """Collect the log lines of this thread."""
    thread = threading.get_ident()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                logs.append(Log(record.levelname.lower(), mask.text(record.getMessage())))

    logger, collector = logging.getLogger("kitestring"), Collector(logging.INFO)
    logger.addHandler(collector)
    try:
        yield
    finally:
        logger.removeHandler(collector)
