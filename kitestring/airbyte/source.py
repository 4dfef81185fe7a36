"""Any program that speaks Airbyte's protocol, as a source."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from kitestring.airbyte.batcher import Batcher
from kitestring.airbyte.decode import Garbage
from kitestring.airbyte.program import exit_text, fetch_spec, part, program_facts, run_check
from kitestring.airbyte.program_source import ProgramSource
from kitestring.errors import Cancelled, ConnectorError, KitestringError
from kitestring.facts import Facts
from kitestring.source import Item
from kitestring.types import GLOBAL, Catalog, Failed, Partition, Reject, State, States, Stream, SyncMode, Write

log = logging.getLogger("kitestring.airbyte")

RATE_LIMIT_S = 6 * 3600.0
"""The longest silence of a connector that reports a rate limit without a reset time."""


class AirbyteSource(ProgramSource):
    """Reads from an Airbyte source connector: a Python package, a program, or a container image.

    One process reads all streams. Its states are kept unchanged: a stream's under the stream, a global or legacy state
    under the shared key.
    """

    facts: ClassVar[Facts] = program_facts(
        "Airbyte connector",
        "any Airbyte source connector: a Python package, a program, an image",
        "airbyte-source-faker==7.2.1",
        "{count: 1000}",
    )

    def spec_of_connector(self) -> dict[str, Any]:
        """The connector's own SPEC message."""
        return fetch_spec(self)

    def check(self) -> None:
        run_check(self)

    def discover(self) -> Catalog:
        arguments = ["discover", "--config", "@config.json"]
        body = self.answer(arguments, {"config.json": self.configuration()}, "catalog")
        return self.keep_catalog(body, stream_of)

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterable[Partition]:
        catalog = self.kept_catalog()
        configured = [configured_stream(catalog[stream.key], stream) for stream in streams]
        return [Partition(tuple(streams), data={"catalog": {"streams": configured}})]

    def reading(self, streams: Sequence[Stream]) -> Reading:
        """What takes the messages of a read of these streams."""
        return Reading(self, streams)

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        arguments = ["read", "--config", "@config.json", "--catalog", "@catalog.json"]
        files = {"config.json": self.configuration(), "catalog.json": partition.data["catalog"]}
        saved = state_messages(partition.streams, states)
        if saved is not None:
            files["state.json"] = saved
            arguments += ["--state", "@state.json"]
        with self.started(arguments, files) as process:
            reading = self.reading(partition.streams)
            crash: KitestringError | None = None
            try:
                for messages, nbytes in process.messages(lambda: reading.quiet_s):
                    yield from reading.take(messages, nbytes)
            except KitestringError as error:
                crash = error
            yield from reading.batcher.take(last=crash is None and not process.stopped)
            if process.stopped and crash is None:
                raise Cancelled(f"{self.title} was ended")
            if crash is not None:
                raise crash
            code = process.code()
            why = None
            if code:
                why = self.unexplained(process, f"ended with {exit_text(code)}")
            elif not reading.heard:
                why = self.unexplained(process, "ended without a single message")
            yield from reading.verdict(why)


class Speaker(Protocol):
    """The connector or platform that sends the messages."""

    @property
    def title(self) -> str: ...

    @property
    def quiet_s(self) -> float: ...

    def hide(self, text: str) -> str: ...

    def heard(self, message: Mapping[str, Any]) -> KitestringError | None: ...


class Reading:
    """The messages of one run of `read`, and the outcome of each stream."""

    def __init__(self, connector: Speaker, streams: Sequence[Stream]) -> None:
        self.connector = connector
        self.streams = {stream.key: stream for stream in streams}
        self.batcher = Batcher(self.streams)
        self.rows = {(stream.namespace, stream.name): self.batcher.rows[stream.key] for stream in streams}
        self.keys = {(stream.namespace, stream.name): stream.key for stream in streams}
        self.statuses: dict[str, str] = {}
        self.errors: dict[str, KitestringError] = {}
        self.error: KitestringError | None = None
        self.since: dict[str, int] = dict.fromkeys(self.streams, 0)
        self.unselected: set[tuple[Any, Any]] = set()
        self.heard = False
        self.waits_until = 0.0

    @property
    def quiet_s(self) -> float:
        """The allowed silence: longer during an announced wait."""
        return self.connector.quiet_s + max(0.0, self.waits_until - time.time())

    def take(self, messages: list[Any], nbytes: int) -> Iterator[Item]:
        """Sort messages; yields batches and states that are ready."""
        batcher, rows, since, keys = self.batcher, self.rows, self.since, self.keys
        self.heard = self.heard or bool(messages)
        batcher.nbytes += nbytes
        for message in messages:
            try:
                if message["type"] == "RECORD":
                    record = message["record"]
                    name = (record.get("namespace"), record["stream"])
                    data = record["data"]
                    if type(data) is dict:
                        if "file_reference" in record:
                            data.setdefault("file_reference", record["file_reference"])
                        rows[name].append(data)
                        batcher.count += 1
                        since[keys[name]] += 1
                        continue
            except (KeyError, TypeError, AttributeError):
                pass
            yield from self.other(message)
        if batcher.ready:
            yield from batcher.take()

    def other(self, message: Any) -> Iterator[Item]:
        """Handle a message that is no record of a selected stream."""
        if isinstance(message, Garbage):
            if message.broken:
                yield Reject({"line": message.text}, "the connector wrote a record that is not JSON")
            else:
                log.info(self.connector.hide(message.text), extra={"connector": self.connector.title})
            return
        match message.get("type"):
            case "RECORD":
                yield from self.odd_record(part(message, "record"))
            case "STATE":
                yield from self.state(part(message, "state"))
            case "TRACE" if part(message, "trace").get("type") == "STREAM_STATUS":
                self.status(part(part(message, "trace"), "stream_status"))
            case _:
                error = self.connector.heard(message)
                if error is not None:
                    key = self.key_of(part(part(part(message, "trace"), "error"), "stream_descriptor"))
                    if key is not None:
                        self.errors[key] = error
                    else:
                        self.error = self.error or error

    def odd_record(self, record: Mapping[str, Any]) -> Iterator[Item]:
        name = (record.get("namespace") or None, record.get("stream"))
        if name in self.keys and isinstance(record.get("data"), dict):  # its namespace is an empty text
            self.rows[name].append(record["data"])
            self.batcher.count += 1
            self.since[self.keys[name]] += 1
        elif name not in self.keys:
            if name not in self.unselected:
                self.unselected.add(name)
                log.warning("records of a stream that is not selected are left out", extra={"stream": name[1]})
        else:
            self.since[self.keys[name]] += 1
            yield Reject({"record": record.get("data")}, "the record's data are no object")

    def state(self, state: Mapping[str, Any]) -> Iterator[Item]:
        kind = state.get("type") or ("GLOBAL" if "global" in state else "STREAM" if "stream" in state else "LEGACY")
        if kind == "STREAM":
            body = part(state, "stream")
            key = self.key_of(part(body, "stream_descriptor"))
            if key is None:
                return
            self.compare(state, key)
            self.batcher.state(key, dict(part(body, "stream_state")))
        elif kind == "GLOBAL":
            self.batcher.shared({"type": "GLOBAL", "global": dict(part(state, "global"))})
        else:
            self.batcher.shared({"type": "LEGACY", "data": dict(part(state, "data"))})
        if self.batcher.ready:
            yield from self.batcher.take()

    def compare(self, state: Mapping[str, Any], key: str) -> None:
        """Compare a state's record count with the records received: missing ones were lost."""
        reported = part(state, "sourceStats").get("recordCount")
        received, self.since[key] = self.since[key], 0
        if isinstance(reported, int | float) and received < reported:
            raise ConnectorError(
                f"{self.connector.title} reports {int(reported)} records of {key} before a state, "
                f"{received} of them arrived",
                hint="Report it to the connector's author, with the debug log.",
                stream=key,
            )

    def status(self, status: Mapping[str, Any]) -> None:
        key = self.key_of(part(status, "stream_descriptor"))
        name = str(status.get("status"))
        self.waits_until = 0.0
        for reason in status.get("reasons") or ():
            if isinstance(reason, Mapping) and reason.get("type") == "RATE_LIMITED":
                reset = part(reason, "rate_limited").get("quota_reset")
                until = float(reset) / 1000 if isinstance(reset, int | float) else time.time() + RATE_LIMIT_S
                self.waits_until = until
                log.info("rate limited", extra={"connector": self.connector.title, "until": until})
        if key is not None:
            self.statuses[key] = name

    def key_of(self, descriptor: Mapping[str, Any]) -> str | None:
        return self.keys.get((descriptor.get("namespace") or None, str(descriptor.get("name"))))

    def verdict(self, why: KitestringError | None) -> Iterator[Failed]:
        """The failed streams; raises where all failed, or where it is not known which. `why`: the error of the run.

        A stream is complete when the connector reported it; for an old connector without statuses the exit code counts.
        An error without a stream fails each stream that was not reported complete, and all of them when every one was.
        """
        failed: dict[str, KitestringError] = {}
        general = self.error or why
        for key in self.streams:
            status = self.statuses.get(key)
            if key in self.errors:
                failed[key] = self.errors[key]
            elif status == "INCOMPLETE":
                failed[key] = general or ConnectorError(f"{self.connector.title} did not complete the stream {key}")
            elif status != "COMPLETE" and (general or self.statuses):
                failed[key] = general or ConnectorError(
                    f"{self.connector.title} ended without saying that the stream {key} is complete"
                )
        if general is not None and not failed:
            raise general
        if len(failed) == len(self.streams) and failed:
            raise next(iter(failed.values()))
        for key, error in failed.items():
            yield Failed(key, error)


def stream_of(raw: Any, title: str) -> Stream:
    """A stream of a CATALOG message."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str):
        raise ConnectorError(f"{title} gave a catalog with a stream that has no name", hint="Report it to its author.")
    cursor = [str(value) for value in raw.get("default_cursor_field") or ()]
    modes = [SyncMode(value) for value in raw.get("supported_sync_modes") or () if value in SyncMode.__members__]
    keys = raw.get("source_defined_primary_key") or ()
    return Stream(
        name=raw["name"],
        namespace=raw.get("namespace") or None,
        schema=raw.get("json_schema") or {"type": "object", "properties": {}, "additionalProperties": True},
        primary_key=tuple(tuple(map(str, path)) for path in keys if path),
        cursor=tuple(cursor) or None,
        sync_modes=tuple(modes) or (SyncMode.full_refresh,),
        source_defined_cursor=bool(raw.get("source_defined_cursor")),
    )


def configured_stream(raw: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """A stream of the configured catalog: the source's own description, and the selection."""
    configured: dict[str, Any] = {
        "stream": dict(raw),
        "sync_mode": stream.sync_mode.value,
        "destination_sync_mode": oldest_word(stream.write),
    }
    if stream.cursor:
        configured["cursor_field"] = list(stream.cursor)
    if stream.primary_key:
        configured["primary_key"] = [list(path) for path in stream.primary_key]
    return configured


def oldest_word(write: Write) -> str:
    """The write mode in the words of every version of the protocol. A source does not need it, but Airbyte's CDK for
    sources refuses a catalog with a later word, `overwrite_dedup`."""
    if write.replace:
        return "overwrite"
    return "append" if write.keep == "all" else "append_dedup"


def state_messages(streams: Sequence[Stream], states: States) -> Any:
    """The saved states of the incremental streams, in the connector's form; None without any."""
    incremental = {(s.namespace, s.name): s for s in streams if s.incremental}
    messages: list[Any] = []
    for key in (GLOBAL, *(stream.key for stream in incremental.values())):
        state = states.get(key)
        if not state:
            continue
        if state.get("type") == "GLOBAL" and isinstance(state.get("global"), Mapping):
            body = dict(state["global"])
            parts = body.get("stream_states") or ()
            body["stream_states"] = [p for p in parts if name_in(p) in incremental]
            return [{"type": "GLOBAL", "global": body}]
        if state.get("type") == "LEGACY" and isinstance(state.get("data"), Mapping):
            return state["data"]
    for (namespace, name), stream in incremental.items():
        state = states.get(stream.key)
        if state:
            messages.append(stream_state(namespace, name, state))
    return messages or None


def name_in(stream_state: Any) -> tuple[Any, Any]:
    descriptor = part(stream_state, "stream_descriptor") if isinstance(stream_state, Mapping) else {}
    return descriptor.get("namespace") or None, descriptor.get("name")


def stream_state(namespace: str | None, name: str, state: State) -> dict[str, Any]:
    descriptor = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"type": "STREAM", "stream": {"stream_descriptor": descriptor, "stream_state": state}}
