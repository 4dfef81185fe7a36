"""Any Singer tap, as a source: SCHEMA, RECORD and STATE lines instead of Airbyte's messages."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from kitestring.airbyte.decode import Garbage
from kitestring.airbyte.program import ProgramConfig, exit_text, part, program_facts
from kitestring.airbyte.program_source import ProgramSource
from kitestring.airbyte.source import Reading
from kitestring.config import option
from kitestring.errors import Cancelled, ConfigError, ConnectorError, KitestringError
from kitestring.facts import Facts
from kitestring.source import Item
from kitestring.types import GLOBAL, Catalog, Partition, Reject, State, States, Stream, SyncMode

log = logging.getLogger("kitestring.airbyte")

METHODS = {SyncMode.full_refresh: "FULL_TABLE", SyncMode.incremental: "INCREMENTAL"}


class SingerSource(ProgramSource):
    """Reads from a Singer tap: a Python package, a program, or a container image.

    One process reads all streams. A tap has one state for all; it is kept unchanged, and returned without the bookmarks
    of streams that are read in full.
    """

    facts: ClassVar[Facts] = program_facts("Singer tap", "any Singer tap", "tap-jsonl==0.3.1", '{path: "in/*.jsonl"}')

    catalog_option: Literal["--catalog", "--properties"] = option("--catalog", order=10, title="Catalog option")
    """The tap's option for its catalog; old taps use `--properties`."""

    def check(self) -> None:
        """A tap that can discover its streams can be configured: Singer has no check of its own."""
        self.discover()

    def discover(self) -> Catalog:
        with self.started(["--config", "@config.json", "--discover"], {"config.json": self.configuration()}) as process:
            output = b"".join(process.blocks(lambda: self.quiet_s))
            if process.stopped:
                raise Cancelled(f"{self.title} was ended")
            code = process.code()
        if code:
            why = self.unexplained(process, f"ended with {exit_text(code)} when it was asked for its streams")
            raise ConfigError(why.message, hint="Check the tap's configuration.", **why.fields)
        body = document(output)
        if body is None:
            raise self.unexplained(process, "gave no catalog")
        return self.keep_catalog(body, stream_of)

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterable[Partition]:
        chosen = {stream.key: stream for stream in streams}
        entries = [configured_entry(raw, chosen.get(key)) for key, raw in self.kept_catalog().items()]
        return [Partition(tuple(streams), data={"catalog": {"streams": entries}})]

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        arguments = ["--config", "@config.json", self.catalog_option, "@catalog.json"]
        files = {"config.json": self.configuration(), "catalog.json": partition.data["catalog"]}
        state = state_of(partition.streams, states)
        if state:
            files["state.json"] = state
            arguments += ["--state", "@state.json"]
        with self.started(arguments, files) as process:
            reading = SingerReading(self, partition.streams, partition.data["catalog"]["streams"])
            crash: KitestringError | None = None
            try:
                for messages, nbytes in process.messages(lambda: self.quiet_s):
                    yield from reading.take(messages, nbytes)
            except KitestringError as error:
                crash = error
            code = 0 if crash is not None or process.stopped else process.code()
            well = crash is None and not process.stopped and code == 0
            yield from reading.batcher.take(last=well)
            if crash is not None:
                raise crash
            if process.stopped:
                raise Cancelled(f"{self.title} was ended")
            if code:
                raise self.unexplained(process, f"ended with {exit_text(code)}")


class SingerReading(Reading):
    """The messages of one run of a tap."""

    def __init__(
        self, connector: ProgramConfig, streams: Sequence[Stream], entries: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__(connector, streams)
        # A record names its stream by its id or by its name: taps differ.
        self.rows_by_name = {s.name: self.batcher.rows[s.key] for s in streams}
        for entry in entries:
            if entry["stream"] in self.rows_by_name:
                self.rows_by_name.setdefault(str(entry.get("tap_stream_id")), self.rows_by_name[entry["stream"]])

    def take(self, messages: list[Any], nbytes: int) -> Iterator[Item]:
        batcher, rows_by_name = self.batcher, self.rows_by_name
        batcher.nbytes += nbytes
        for message in messages:
            try:
                if message["type"] == "RECORD":
                    record = message["record"]
                    if type(record) is dict:
                        rows_by_name[message["stream"]].append(record)
                        batcher.count += 1
                        continue
            except (KeyError, TypeError):
                pass
            yield from self.other(message)
        if batcher.ready:
            yield from batcher.take()

    def other(self, message: Any) -> Iterator[Item]:
        if isinstance(message, Garbage):
            yield from super().other(message)
            return
        kind, name = message.get("type"), message.get("stream")
        if kind == "RECORD":
            if name in self.rows_by_name:
                yield Reject({"record": message.get("record")}, "the record is not an object")
            elif (None, name) not in self.unselected:
                self.unselected.add((None, name))
                log.warning("records of a stream that is not selected are left out", extra={"stream": name})
        elif kind == "STATE":
            self.batcher.shared({"type": "SINGER", "value": message.get("value")})
        elif kind == "BATCH":
            raise ConfigError(
                f"{self.connector.title} gives files instead of records",
                hint="Take `batch_config` out of its configuration.",
            )
        else:  # SCHEMA repeats the catalog; ACTIVATE_VERSION corresponds to an overwrite here
            log.debug("message", extra={"type": kind, "stream": name})


def document(output: bytes) -> dict[str, Any] | None:
    """The JSON object in a tap's output, after anything else it printed."""
    text = output.decode("utf-8", "replace")
    start, tried = text.find("{"), 0
    while start >= 0 and tried < 10_000:
        tried += 1
        try:
            value, end = json.JSONDecoder().raw_decode(text, start)
        except ValueError:
            end = start + 1
        else:
            if isinstance(value, dict) and isinstance(value.get("streams"), list):
                return value
        start = text.find("{", end)
    return None


def stream_of(raw: Any, title: str) -> Stream:
    """A stream of a Singer catalog. Its modes are in the metadata of the stream itself (an empty breadcrumb)."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("stream") or raw.get("tap_stream_id"), str):
        raise ConnectorError(f"{title} gave a catalog with a stream that has no name", hint="Report it to its author.")
    about = metadata(raw)
    key = raw.get("key_properties") or about.get("table-key-properties") or ()
    forced = about.get("forced-replication-method") or raw.get("replication_method") or about.get("replication-method")
    candidates = raw.get("replication_key") or about.get("replication-key") or about.get("valid-replication-keys") or ()
    cursor = candidates if isinstance(candidates, str) else next(iter(candidates), None)
    incremental = forced == "INCREMENTAL" or (cursor is not None and forced != "FULL_TABLE")
    return Stream(
        name=str(raw.get("stream") or raw.get("tap_stream_id")),
        schema=raw.get("schema") or {"type": "object", "properties": {}, "additionalProperties": True},
        primary_key=tuple((str(name),) for name in key),
        cursor=(str(cursor),) if incremental and cursor else None,
        sync_modes=(SyncMode.full_refresh, SyncMode.incremental) if incremental else (SyncMode.full_refresh,),
        source_defined_cursor=incremental,
    )


def metadata(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    for entry in raw.get("metadata") or ():
        if isinstance(entry, Mapping) and not entry.get("breadcrumb"):
            return part(entry, "metadata")
    return {}


def configured_entry(raw: Mapping[str, Any], stream: Stream | None) -> dict[str, Any]:
    """A stream of the catalog for the tap: selected with all its fields, or not selected."""
    entry_body: dict[str, Any] = copy.deepcopy(dict(raw))
    entry_body.setdefault("stream", entry_body.get("tap_stream_id"))
    entry_body["selected"] = stream is not None
    if isinstance(entry_body.get("schema"), dict):
        entry_body["schema"]["selected"] = stream is not None
    entries = entry_body["metadata"] = [e for e in entry_body.get("metadata") or () if isinstance(e, dict)]
    if all(entry.get("breadcrumb") for entry in entries):
        entries.append({"breadcrumb": [], "metadata": {}})
    for entry in entries:
        values = entry.setdefault("metadata", {})
        if entry.get("breadcrumb"):
            if values.get("inclusion") != "unsupported":
                values["selected"] = True
            continue
        values["selected"] = stream is not None
        if stream is not None and len(stream.sync_modes) > 1:
            values["replication-method"] = entry_body["replication_method"] = METHODS[stream.sync_mode]
            if stream.incremental and stream.cursor:
                values["replication-key"] = entry_body["replication_key"] = stream.cursor[0]
    return entry_body


def state_of(streams: Sequence[Stream], states: States) -> Any:
    """The tap's saved state, without the bookmarks of streams that are read in full."""
    saved: State = next(
        (states[key] for key in (GLOBAL, *(s.key for s in streams)) if states.get(key, {}).get("type") == "SINGER"), {}
    )
    value = copy.deepcopy(saved.get("value"))
    if not any(stream.incremental for stream in streams):
        return None
    if isinstance(value, dict) and isinstance(value.get("bookmarks"), dict):
        for stream in streams:
            if not stream.incremental:
                value["bookmarks"].pop(stream.name, None)
    return value
