"""A test read of a manifest with Python components, which Airbyte's CDK runs in a process of its own.

The CDK reports its slices and requests beside the records. Requests that the Python code sends by itself are not
reported: their records have pages without an exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from kitestring import json_codec
from kitestring.airbyte.observed_reading import Note, RequestNote, SliceNote
from kitestring.batch import Batch
from kitestring.config import secrets_in
from kitestring.declarative.builder.excerpt import Excerpt
from kitestring.declarative.builder.exchange import FORM, Exchange, ReadLimitError
from kitestring.declarative.builder.inference import ObservedSchema, record_schema
from kitestring.declarative.builder.preview import (
    Event,
    Limits,
    Log,
    OtherRequest,
    PageRead,
    ReadingEnd,
    RecordsRead,
    SliceBegan,
    SliceRead,
    collect_logs,
    likely_in,
    runs_of,
)
from kitestring.declarative.builder.schema_difference import schema_difference
from kitestring.errors import Cancelled, ConfigError, KitestringError
from kitestring.redact import Redactor, is_credential
from kitestring.server.child.call import ActionCall
from kitestring.suggest import did_you_mean
from kitestring.types import Checkpoint, Failed, Reject, Stream, SyncMode

RUN_BY_CDK = (
    "Airbyte's CDK runs the Python components of this manifest. The test repeats no failed request, and requests that "
    "the Python code sends by itself are not shown."
)
BOUNDS = frozenset({"start_time", "end_time"})
"""The values of a slice that are its bounds, as the CDK names them by default."""
MOST_TOKENS, SHORTEST_TOKEN = 1000, 8


def read_with_components(call: ActionCall, source: Any, limits: Limits, report: Callable[[Event], None]) -> None:
    """Read a little of the stream that a request names; `report` gets the events, `ReadingEnd` last."""
    request, end = call.request, ReadingEnd()
    form = source.spec_of_connector()
    mask = Redactor([*secrets_in(source.config, form), *(request.get("secrets") or ())])
    try:
        with collect_logs(report, mask.text):
            report(Log("info", RUN_BY_CDK))
            try:
                stream = selected_stream(source, str(request["stream"]))
                ComponentsRead(call, mask, limits, report, end).read(source, stream)
            except KitestringError as error:
                mask.error(error)
                end.error, end.hint = error.message, error.hint
    finally:
        source.close()
    report(end)


def selected_stream(source: Any, name: str) -> Stream:
    """The stream of a name, incremental where it can be. `ConfigError` without one."""
    catalog = source.discover()
    for stream in catalog.streams:
        if stream.name == name:
            incremental = SyncMode.incremental in stream.sync_modes
            selected: Stream = replace(stream, sync_mode=SyncMode.incremental) if incremental else stream
            return selected
    names = [stream.name for stream in catalog.streams]
    raise ConfigError(
        f"the manifest has no stream {name}{did_you_mean(name, names)}", hint="Choose one of its streams."
    )


class ComponentsRead:
    """Reads one stream and reports its slices, requests and records, until its end or a limit."""

    def __init__(
        self, call: ActionCall, mask: Redactor, limits: Limits, report: Callable[[Event], None], end: ReadingEnd
    ) -> None:
        self.shape = ObservedSchema()
        self._call, self._mask, self._excerpt = call, mask, Excerpt(mask)
        self._limits, self._report, self._end = limits, report, end
        self._slice, self._page, self._answers, self._bytes = -1, -1, 0, 0
        self._reading = False
        self._values: Mapping[str, Any] = {}
        self._attempts: list[Exchange] = []
        self._pending: Exchange | None = None

    def read(self, source: Any, stream: Stream) -> None:
        states = {stream.key: self._call.request["state"]} if self._call.request.get("state") else {}
        limits = self._limits
        # One more of each than is shown: only then is it known that there is more.
        source.observe(limits.most_slices + 1, limits.most_pages + 1, limits.most_records, self._observe)
        try:
            for partition in source.partitions([stream], states):
                self._read_partition(source.read(partition, states))
        except ReadLimitError as limit:
            self._limit(limit.limit)
        finally:
            self._end_slice()
            self._compare(stream)

    def _read_partition(self, items: Any) -> None:
        try:
            for item in items:
                self._check_cancelled()
                if isinstance(item, Batch):
                    self._take(item)
                elif isinstance(item, Reject):
                    reject = {"record": self._excerpt.record(item.record), "reason": self._excerpt.value(item.reason)}
                    self._report_records([], [reject])
                elif isinstance(item, Checkpoint):
                    self._end.state = self._excerpt.value(dict(item.state))
                elif isinstance(item, Failed):
                    raise item.error
        finally:
            items.close()

    def _check_cancelled(self) -> None:
        if self._call.cancel.is_set():
            raise Cancelled("the test read was stopped")

    def _observe(self, note: Note) -> None:
        self._check_cancelled()
        if isinstance(note, SliceNote):
            self._end_slice()
            self._values = note.values
            return
        exchange = self._exchange(note)
        if not note.main:
            self._report(OtherRequest(exchange))
            return
        if not self._begin_slice():
            return
        self._settle()
        if note.status >= 400:
            self._attempts.append(exchange)
            return
        self._answers += 1
        if self._answers > self._limits.most_pages:
            self._limit("pages")
        else:
            self._bytes += len(note.response)
            self._pending = exchange

    def _begin_slice(self) -> bool:
        """Report the slice that was noted last, with its first request or record: some are noted before their turn.

        False for the slice after the last one that is shown. It is read to its end, where the CDK reports what failed.
        """
        if self._reading:
            return True
        if self._slice + 1 == self._limits.most_slices:
            self._limit("slices")
            return False
        self._slice, self._page, self._answers, self._reading = self._slice + 1, -1, 0, True
        partition = {name: value for name, value in self._values.items() if name not in BOUNDS}
        bounds = {name: value for name, value in self._values.items() if name in BOUNDS}
        self._report(SliceBegan(self._slice, self._excerpt.value(partition), self._excerpt.value(bounds)))
        return True

    def _end_slice(self) -> None:
        if not self._reading:
            return
        self._settle()
        if self._attempts:  # the answer that ended the slice
            self._pending = self._attempts.pop()
            self._settle()
        self._reading = False
        self._report(SliceRead(self._slice, self._end.state))

    def _settle(self) -> None:
        """Report an answer without records."""
        if self._pending is not None:
            self._report_records([], [])

    def _take(self, batch: Batch) -> None:
        if not self._begin_slice() or self._answers > self._limits.most_pages:  # of a page that is not shown
            return
        room = self._limits.most_records - self._end.records
        records = [self._excerpt.record(record) for record in batch.rows()[:room]]
        for record in records:
            self.shape.see(record)
        for run in runs_of(records):
            self._report_records(run, [])
        self._end.records += len(records)
        if not self._answers:
            self._bytes += batch.nbytes
        if self._end.records >= self._limits.most_records:
            raise ReadLimitError("records")
        if self._bytes >= self._limits.most_bytes:
            raise ReadLimitError("bytes")

    def _report_records(self, records: list[dict[str, Any]], rejects: list[dict[str, Any]]) -> None:
        """Report records as those of the last answer."""
        if not self._begin_slice():
            return
        if self._pending is None and self._page >= 0:
            self._report(RecordsRead(self._slice, self._page, records, rejects))
            return
        self._page += 1
        self._end.pages += 1
        exchange, self._pending = self._pending, None
        attempts, self._attempts = self._attempts, []
        likely = likely_in(exchange, records, str(self._call.request["stream"]))
        self._report(PageRead(self._slice, self._page, exchange, records, rejects, attempts, likely))

    def _limit(self, name: str) -> None:
        if name not in self._end.limited:
            self._end.limited.append(name)

    def _exchange(self, note: RequestNote) -> Exchange:
        """A request and its answer, masked. Tokens of other answers are masked from now on."""
        named = not note.main
        if named and not note.parent:
            self._mask.hide(tokens_in(note.response))
        exchange = Exchange(
            note.method,
            self._mask.url(note.url),
            self._mask.headers(note.headers),
            self._request_body(note, named),
            note.status,
            self._mask.headers(note.response_headers),
            self._excerpt.body(note.response.encode("utf-8", "replace"), named),
        )
        exchange.curl = exchange.as_curl()
        return exchange

    def _request_body(self, note: RequestNote, named: bool) -> Any:
        kind = next((value for name, value in note.headers.items() if name.lower() == "content-type"), "")
        if kind.startswith(FORM):
            fields = parse_qs(note.body, keep_blank_values=True)
            return self._excerpt.value({name: values[-1] for name, values in fields.items()}, named)
        return self._excerpt.body(note.body.encode("utf-8", "replace"), named)

    def _compare(self, stream: Stream) -> None:
        keys = [path[0] for path in stream.primary_key if len(path) == 1]
        self._end.schema = record_schema(self.shape, keys)
        if self._end.records:
            self._end.schema_difference = schema_difference(stream.schema, self._end.schema)


def tokens_in(answer: str) -> Iterator[str]:
    """The texts of a JSON answer whose names are those of credentials."""
    try:
        waiting: list[Any] = [json_codec.loads(answer)]
    except json_codec.JsonError:
        return
    count = 0
    while waiting and count < MOST_TOKENS:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, Mapping):
            for name, inner in value.items():
                if isinstance(inner, str) and len(inner) >= SHORTEST_TOKEN and is_credential(str(name)):
                    count += 1
                    yield inner
            waiting.extend(value.values())
