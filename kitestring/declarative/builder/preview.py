"""A test read: read one stream of a manifest within limits, and report every request and its response as it comes."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from kitestring import json_codec
from kitestring.config import secrets_in
from kitestring.declarative.builder.excerpt import Excerpt
from kitestring.declarative.builder.exchange import Exchange, ExchangeRecorder, ReadLimitError
from kitestring.declarative.builder.inference import ObservedSchema, record_schema
from kitestring.declarative.builder.list_answer import LikelyRecords, likely_records
from kitestring.declarative.builder.repeated_page import repeated_page
from kitestring.declarative.builder.schema_difference import SchemaDifference, schema_difference
from kitestring.declarative.page import Page
from kitestring.declarative.partition_router import RoutingContext
from kitestring.declarative.source import DeclarativeSource
from kitestring.declarative.stream import CLOSED
from kitestring.errors import Cancelled, ConfigError, KitestringError
from kitestring.redact import Redactor
from kitestring.types import Checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from kitestring.types import Stream

EVENT_BYTES = 1024 * 1024
"""Bytes of records in one event."""
MOST_BYTES = 50_000_000
"""Bytes of answers of a test read."""
MOST_LOG_LINES = 1000
LARGEST_MESSAGE = 10_000
"""Characters of a line of the log."""


@dataclass(slots=True)
class SliceBegan:
    """A slice begins: its number from 0, its partition and its bounds."""

    slice: int
    partition: dict[str, Any]
    bounds: dict[str, Any]


@dataclass(slots=True)
class PageRead:
    """Records of one response. `attempts`: the failed attempts before it. No exchange: it came from the cache.

    `page` counts from 0 in each slice. A page without records may be one that the API refused. `likely`: where the
    records of an answer may be from which at most one was taken.
    """

    slice: int
    page: int
    exchange: Exchange | None
    records: list[dict[str, Any]]
    rejects: list[dict[str, Any]]
    attempts: list[Exchange]
    likely: LikelyRecords | None = None


@dataclass(slots=True)
class RecordsRead:
    """More records of a page that was reported before."""

    slice: int
    page: int
    records: list[dict[str, Any]]
    rejects: list[dict[str, Any]]


@dataclass(slots=True)
class SliceRead:
    """A slice ends, with the stream's state at this moment."""

    slice: int
    state: dict[str, Any]


@dataclass(slots=True)
class OtherRequest:
    """A request outside the stream's pages: for a token, or for a parent of a substream."""

    exchange: Exchange


@dataclass(slots=True)
class Log:
    """A line of the log."""

    level: str
    message: str


@dataclass(slots=True)
class ReadingEnd:
    """The end of a test read. `limited` names the limits that ended it: slices, pages, records, bytes.

    `schema` fits the records that were read, `schema_difference` compares it with the declared one. `error` and `hint`
    say why the read ended early.
    """

    records: int = 0
    pages: int = 0
    schema: dict[str, Any] = field(default_factory=dict)
    schema_difference: list[SchemaDifference] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    limited: list[str] = field(default_factory=list)
    error: str = ""
    hint: str = ""


Event = SliceBegan | PageRead | RecordsRead | SliceRead | OtherRequest | Log | ReadingEnd
EVENT_NAMES: dict[type[Any], str] = {
    SliceBegan: "slice",
    PageRead: "page",
    RecordsRead: "records",
    SliceRead: "state",
    OtherRequest: "other",
    Log: "log",
    ReadingEnd: "end",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a test read: slices, pages of each slice, and over all slices records and bytes of answers."""

    most_slices: int = 5
    most_pages: int = 5
    most_records: int = 1000
    most_bytes: int = MOST_BYTES


@dataclass(slots=True)
class ReadPage:
    """A page of a `Reading`; see `PageRead`."""

    exchange: Exchange | None
    records: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[Exchange] = field(default_factory=list)
    likely: LikelyRecords | None = None


@dataclass(slots=True)
class ReadSlice:
    """A slice: its partition and bounds, its pages, and the stream's state when it was read."""

    partition: dict[str, Any]
    bounds: dict[str, Any]
    pages: list[ReadPage] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Reading:
    """The whole result of a test read; see the events for its parts."""

    stream: str
    slices: list[ReadSlice] = field(default_factory=list)
    other: list[Exchange] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    schema: dict[str, Any] = field(default_factory=dict)
    schema_difference: list[SchemaDifference] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    limited: list[str] = field(default_factory=list)
    error: str = ""
    hint: str = ""

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for part in self.slices for page in part.pages for record in page.records]

    def values(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = asdict(self)
        values["schemaDifference"] = values.pop("schema_difference")
        return values

    def add(self, event: Event) -> None:
        """Take an event of the read."""
        if isinstance(event, SliceBegan):
            self.slices.append(ReadSlice(event.partition, event.bounds))
        elif isinstance(event, PageRead):
            page = ReadPage(event.exchange, event.records, event.rejects, event.attempts, event.likely)
            self.slices[event.slice].pages.append(page)
        elif isinstance(event, RecordsRead):
            page = self.slices[event.slice].pages[event.page]
            page.records += event.records
            page.rejects += event.rejects
        elif isinstance(event, SliceRead):
            self.slices[event.slice].state = event.state
        elif isinstance(event, OtherRequest):
            self.other.append(event.exchange)
        elif isinstance(event, Log):
            self.logs.append(event)
        else:
            self.schema, self.schema_difference = event.schema, event.schema_difference
            self.state, self.limited = event.state, event.limited
            self.error, self.hint = event.error, event.hint


def event_values(event: Event) -> tuple[str, dict[str, Any]]:
    """The name of an event, and its plain values for JSON."""
    values = {item.name: plain(getattr(event, item.name)) for item in fields(event)}
    if isinstance(event, ReadingEnd):
        values["schemaDifference"] = values.pop("schema_difference")
    return EVENT_NAMES[type(event)], values


def plain(value: Any) -> Any:
    """Dataclasses as dicts. Records are left as they are: copying 50 MB of them takes a second."""
    if isinstance(value, Exchange | SchemaDifference | LikelyRecords):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, list) and value and isinstance(value[0], Exchange | SchemaDifference):
        return [plain(item) for item in value]
    return value


def read(
    manifest: str | Mapping[str, Any] | Path,
    config: Mapping[str, Any],
    stream: str,
    *,
    state: Mapping[str, Any] | None = None,
    most_slices: int = 5,
    most_pages: int = 5,
    most_records: int = 1000,
    most_bytes: int = MOST_BYTES,
    built: Callable[[DeclarativeSource], None] | None = None,
    secrets: Iterable[str] = (),
) -> Reading:
    """Read a little of one stream, and return all of it at once; see `read_events`."""
    reading = Reading(stream)
    limits = Limits(most_slices, most_pages, most_records, most_bytes)
    read_events(manifest, config, stream, reading.add, state=state, limits=limits, built=built, secrets=secrets)
    return reading


def read_events(
    manifest: str | Mapping[str, Any] | Path,
    config: Mapping[str, Any],
    stream: str,
    report: Callable[[Event], None],
    *,
    state: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    built: Callable[[DeclarativeSource], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    secrets: Iterable[str] = (),
) -> None:
    """Read a little of one stream, within limits; `report` gets each event as soon as it is known, `ReadingEnd` last.

    `manifest` is a YAML text, plain values, or a path. Raises `ConfigError` for a defect of manifest or configuration
    that prevents reading; errors of the read itself are in the last event. The read gives up soon if an API requests
    long waits. The log has the lines of this thread that the logger `kitestring` passes. `built` is called with the
    source before its first request. `cancelled` is asked between pages. `secrets` are masked whatever the form says.
    """
    source = open_source(manifest, config)
    if built is not None:
        built(source)
    mask = Redactor([*secrets_in(config, source.form), *secrets])
    limits = limits or Limits()
    try:
        component = source.component(stream)
        recorder = ExchangeRecorder(source, component, mask, limits.most_bytes)
        reader = StreamReader(stream, component, recorder, mask, report, limits, cancelled)
        with collect_logs(report, recorder.masked), source.connection.short_waits():
            try:
                reader.read_slices(dict(state or {}))
                reader.compare(component.stream())
            except KitestringError as error:
                recorder.hide()
                mask.error(error)
                reader.end.error, reader.end.hint = error.message, error.hint
                for _, exchange in recorder.take():  # of a parent that failed
                    report(OtherRequest(exchange))
                with contextlib.suppress(KitestringError):
                    reader.compare(component.stream())
    finally:
        source.close()
    report(reader.end)


def open_source(manifest: str | Mapping[str, Any] | Path, config: Mapping[str, Any]) -> DeclarativeSource:
    from pathlib import Path

    from kitestring.declarative.manifest import parse

    if isinstance(manifest, Path):
        return DeclarativeSource.from_manifest(manifest, config)
    raw = parse(manifest) if isinstance(manifest, str) else manifest
    if not isinstance(raw, Mapping):
        raise ConfigError("the manifest is not an object", hint="It has keys such as version, streams and spec.")
    return DeclarativeSource.of(raw, config)


class StreamReader:
    """Reads the slices of one stream and reports them."""

    def __init__(
        self,
        name: str,
        component: Any,
        recorder: ExchangeRecorder,
        mask: Redactor,
        report: Callable[[Event], None],
        limits: Limits,
        cancelled: Callable[[], bool],
    ) -> None:
        self.end, self.shape = ReadingEnd(), ObservedSchema()
        self._component, self._recorder, self._excerpt = component, recorder, Excerpt(mask)
        self._report, self._limits, self._cancelled = report, limits, cancelled
        self._slice, self._page = -1, -1
        self._name = name
        self._attempts: list[Exchange] = []
        self._remaining = limits.most_records
        self._pending: Exchange | None = None
        # The last answer with records of this slice, and whether a repeated page has been reported.
        self._answer: Exchange | None = None
        self._repeated = False
        self._reading = False
        recorder.before = self._flush

    def read_slices(self, state: dict[str, Any]) -> None:
        """Read until the end of the stream or a limit."""
        current, routing = state, RoutingContext()
        try:
            for task in self._component.tasks(state, routing):
                self._flush()
                if self._slice + 1 == self._limits.most_slices:
                    self.end.limited.append("slices")
                    break
                self._slice, self._page, self._answer = self._slice + 1, -1, None
                partition, bounds = dict(task.part.partition), dict(task.part.cursor_slice)
                self._report(SliceBegan(self._slice, self._excerpt.value(partition), self._excerpt.value(bounds)))
                items = self._component.read(task)
                self._recorder.most_pages, self._recorder.pages = self._limits.most_pages, 0
                self._reading = True
                try:
                    for item in items:
                        if isinstance(item, Checkpoint):
                            current = self._component.merge(current, item.state[CLOSED])
                        elif isinstance(item, Page) and not self._take(item):
                            break
                except ReadLimitError as limit:
                    self._limit(limit.limit)
                finally:
                    self._recorder.most_pages = 0
                    items.close()
                    self._flush(True)
                    self._reading = False
                    self._report(SliceRead(self._slice, self._excerpt.value(current)))
                if self.end.limited and self.end.limited[-1] in ("records", "bytes"):
                    break
            self._flush()
            if not self.end.limited:
                current = self._component.finish(current, routing)
            for doubt in [*routing.warnings, *routing.doubts]:
                self._warn(doubt)
        finally:
            self.end.state = self._excerpt.value(current)

    def compare(self, declared: Stream) -> None:
        """Infer the schema of the records that were read, and compare it with the declared one."""
        keys = [path[0] for path in declared.primary_key if len(path) == 1]
        self.end.schema = record_schema(self.shape, keys)
        if self.end.records:
            self.end.schema_difference = schema_difference(declared.schema, self.end.schema)
            absent = [key for key in keys if key not in self.end.schema.get("properties", {})]
            if absent:
                self._warn(
                    f"the primary key of “{declared.name}” is {', '.join(keys)}, and none of the {self.end.records:,} "
                    f"records has {', '.join(absent)}. Set `primary_key` to fields that every record has."
                )

    def _warn(self, message: str) -> None:
        text = self._excerpt.value(message)
        self._report(Log("warning", text[:LARGEST_MESSAGE]))

    def _limit(self, name: str) -> None:
        if name not in self.end.limited:
            self.end.limited.append(name)

    def _take(self, page: Page) -> bool:
        """Report the records of a page. False where a limit ends the read."""
        if self._cancelled():
            raise Cancelled("the test read was stopped")
        self._settle()
        records = [self._excerpt.record(record) for record in page.records[: self._remaining]]
        rejects = [
            {"record": self._excerpt.record(reject.record), "reason": self._excerpt.value(reject.reason)}
            for reject in page.rejects[: self._limits.most_records]
        ]
        for record in records:
            self.shape.see(record)
        self.end.records += len(records)
        self._remaining -= len(page.records)
        runs = list(runs_of(records)) or [[]]
        if self._pending is not None or self._page < 0:
            self._report_page(runs[0], rejects)
        else:
            self._report(RecordsRead(self._slice, self._page, runs[0], rejects))
        for run in runs[1:]:
            self._report(RecordsRead(self._slice, self._page, run, []))
        if self._remaining <= 0:
            self._limit("records")
        elif self._recorder.full:
            self._limit("bytes")
        else:
            return True
        return False

    def _report_page(self, records: list[dict[str, Any]], rejects: list[dict[str, Any]]) -> None:
        self._page += 1
        self.end.pages += 1
        attempts, self._attempts = self._attempts, []
        exchange, self._pending = self._pending, None
        likely = likely_in(exchange, records, self._name)
        if not self._repeated and (doubt := repeated_page(self._answer, exchange, self._page)):
            self._repeated = True
            self._warn(doubt)
        if exchange is not None:
            self._answer = exchange if records or likely else None
        self._report(PageRead(self._slice, self._page, exchange, records, rejects, attempts, likely))

    def _settle(self) -> None:
        """Report what was recorded, except the last answer: its records are about to come."""
        for main, exchange in self._recorder.take():
            if not main or not self._reading:
                self._report(OtherRequest(exchange))
                continue
            if self._pending is not None:
                self._report_page([], [])
            if exchange.error or exchange.status >= 400:
                self._attempts.append(exchange)
            else:
                self._pending = exchange

    def _flush(self, last: bool = False) -> None:
        """Report what was recorded. `last`: the slice ends, also with an answer that ended it."""
        self._settle()
        if self._pending is not None:
            self._report_page([], [])
        if last and self._attempts:
            self._pending = self._attempts.pop()
            self._report_page([], [])


def likely_in(exchange: Exchange | None, records: list[dict[str, Any]], name: str) -> LikelyRecords | None:
    """Where the records of an answer may be, from which a stream of this name took at most one."""
    return None if exchange is None or len(records) > 1 else likely_records(exchange.response, name)


def runs_of(records: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Records in runs of about `EVENT_BYTES`."""
    run: list[dict[str, Any]] = []
    nbytes = 0
    for record in records:
        run.append(record)
        nbytes += len(json_codec.dumps(record))
        if nbytes >= EVENT_BYTES:
            yield run
            run, nbytes = [], 0
    if run:
        yield run


@contextmanager
def collect_logs(report: Callable[[Event], None], masked: Callable[[str], str]) -> Iterator[None]:
    """Report the log lines of this thread, at most `MOST_LOG_LINES`."""
    thread, lines = threading.get_ident(), [0]

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread != thread:
                return
            lines[0] += 1
            if lines[0] <= MOST_LOG_LINES:
                with contextlib.suppress(ValueError, TypeError):  # a message whose arguments do not fit it
                    report(Log(record.levelname.lower(), masked(record.getMessage())[:LARGEST_MESSAGE]))
            elif lines[0] == MOST_LOG_LINES + 1:
                report(Log("warning", f"the log has more than {MOST_LOG_LINES} lines; the others are not shown"))

    logger, collector = logging.getLogger("kitestring"), Collector(logging.INFO)
    logger.addHandler(collector)
    try:
        yield
    finally:
        logger.removeHandler(collector)
