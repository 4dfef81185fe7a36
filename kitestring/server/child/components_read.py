"""A test read of a manifest with Python components, which Airbyte's CDK runs in a process of its own.

The CDK reports records, states and its log, and no requests: the read has one slice, and its pages have no exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kitestring.batch import Batch
from kitestring.config import secrets_in
from kitestring.declarative.builder.excerpt import Excerpt
from kitestring.declarative.builder.inference import ObservedSchema, record_schema
from kitestring.declarative.builder.preview import (
    Event,
    Limits,
    Log,
    PageRead,
    ReadingEnd,
    SliceBegan,
    SliceRead,
    collect_logs,
    runs_of,
)
from kitestring.declarative.builder.schema_difference import schema_difference
from kitestring.errors import Cancelled, ConfigError, KitestringError
from kitestring.redact import Redactor
from kitestring.server.child.call import ActionCall
from kitestring.suggest import did_you_mean
from kitestring.types import Checkpoint, Failed, Reject, Stream, SyncMode

NO_REQUESTS = (
    "Airbyte's CDK runs the Python components of this manifest: the test shows its records, "
    "and neither requests nor answers."
)


def read_with_components(call: ActionCall, source: Any, limits: Limits, report: Callable[[Event], None]) -> None:
    """Read a little of the stream that a request names; `report` gets the events, `ReadingEnd` last."""
    request, end = call.request, ReadingEnd()
    form = source.spec_of_connector()
    mask = Redactor([*secrets_in(source.config, form), *(request.get("secrets") or ())])
    try:
        with collect_logs(report, mask.text):
            report(Log("info", NO_REQUESTS))
            try:
                stream = selected_stream(source, str(request["stream"]))
                ComponentsRead(call, Excerpt(mask), limits, report, end).read(source, stream)
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
    """Reads one stream and reports its records, until its end or a limit."""

    def __init__(
        self, call: ActionCall, excerpt: Excerpt, limits: Limits, report: Callable[[Event], None], end: ReadingEnd
    ) -> None:
        self.shape = ObservedSchema()
        self._bytes = 0
        self._call, self._excerpt, self._limits, self._report, self._end = call, excerpt, limits, report, end

    def read(self, source: Any, stream: Stream) -> None:
        states = {stream.key: self._call.request["state"]} if self._call.request.get("state") else {}
        self._report(SliceBegan(0, {}, {}))
        try:
            for partition in source.partitions([stream], states):
                self._read_partition(source.read(partition, states))
                if self._end.limited:
                    break
        finally:
            self._report(SliceRead(0, self._end.state))
            self._compare(stream)

    def _read_partition(self, items: Any) -> None:
        try:
            for item in items:
                if self._call.cancel.is_set():
                    raise Cancelled("the test read was stopped")
                if isinstance(item, Batch):
                    self._take(item)
                elif isinstance(item, Reject):
                    reject = {"record": self._excerpt.record(item.record), "reason": self._excerpt.value(item.reason)}
                    self._report_page([], [reject])
                elif isinstance(item, Checkpoint):
                    self._end.state = self._excerpt.value(dict(item.state))
                elif isinstance(item, Failed):
                    raise item.error
                if self._end.limited:
                    return
        finally:
            items.close()

    def _take(self, batch: Batch) -> None:
        room = self._limits.most_records - self._end.records
        records = [self._excerpt.record(record) for record in batch.rows()[:room]]
        for record in records:
            self.shape.see(record)
        for run in runs_of(records):
            self._report_page(run, [])
        self._end.records += len(records)
        if self._end.records >= self._limits.most_records:
            self._end.limited.append("records")
        self._bytes += batch.nbytes
        if self._bytes >= self._limits.most_bytes:
            self._end.limited.append("bytes")

    def _report_page(self, records: list[dict[str, Any]], rejects: list[dict[str, Any]]) -> None:
        self._report(PageRead(0, self._end.pages, None, records, rejects, []))
        self._end.pages += 1

    def _compare(self, stream: Stream) -> None:
        keys = [path[0] for path in stream.primary_key if len(path) == 1]
        self._end.schema = record_schema(self.shape, keys)
        if self._end.records:
            self._end.schema_difference = schema_difference(stream.schema, self._end.schema)
