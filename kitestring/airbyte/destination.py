"""Any program that speaks Airbyte's protocol, as a destination."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Mapping
from queue import Empty, Queue
from typing import Any, ClassVar

from pydantic import PrivateAttr

from kitestring.airbyte import modes
from kitestring.airbyte.connector_process import Process
from kitestring.airbyte.decode import Garbage
from kitestring.airbyte.messages import Writer, catalog_body, descriptor
from kitestring.airbyte.program import ProgramConfig, exit_text, fetch_spec, part, program_facts, run_check
from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.errors import Cancelled, ConnectorError, KitestringError
from kitestring.facts import Facts
from kitestring.types import Catalog, Receipt, Stream, Write

log = logging.getLogger("kitestring.airbyte")

MARK = "kitestring"


class AirbyteDestination(ProgramConfig, Destination):
    """Writes to an Airbyte destination connector: a Python package, a program, or a container image.

    Each stream has its own process, and its commit is the end of that process: only then has the connector confirmed
    that all data are stored. A batch is durable when the connector has returned the state sent after it.
    """

    facts: ClassVar[Facts] = program_facts(
        "Airbyte connector",
        "any Airbyte destination connector: a Python package, a program, an image",
        "airbyte-destination-pgvector==0.1.13",
        "{}",
    )

    batch_rows: ClassVar[int] = 20_000
    batch_bytes: ClassVar[int] = 32 * 1024 * 1024

    _writes: frozenset[Write] | None = PrivateAttr(default=None)
    _writing: dict[str, Writing] = PrivateAttr(default_factory=dict)

    @property
    def writes(self) -> frozenset[Write]:  # type: ignore[override]
        """The write modes in the connector's own spec."""
        if self._writes is None:
            declared = self.spec_of_connector().get("supported_destination_sync_modes")
            supported = modes.WRITES.keys() & set(declared) if isinstance(declared, list) and declared else {"append"}
            self._writes = frozenset(modes.WRITES[mode] for mode in supported)
        return self._writes

    def spec_of_connector(self) -> dict[str, Any]:
        """The connector's own SPEC message."""
        return fetch_spec(self)

    def check(self) -> None:
        run_check(self)

    def begin(self, stream: Stream) -> None:
        self.abort(stream)
        self._writing[stream.key] = Writing(self, stream)

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        return self._writing[stream.key].send(batch)

    def change(self, stream: Stream) -> None:
        """Another process takes the records of the new schema: the protocol sends a schema only at its start. A
        replacement belongs to one process, so it fails here."""
        writing = self._writing[stream.key]
        if writing.process is not None:
            if stream.write.replace:
                raise ConnectorError(
                    f"the schema of {stream.key} changed in the middle of an overwrite, "
                    f"and {self.title} has a schema only at its start",
                    hint="Run the sync again: it begins with the new schema.",
                    stream=stream.key,
                )
            writing.finish()
        self._writing[stream.key] = Writing(self, stream)

    def commit(self, stream: Stream) -> None:
        self._writing.pop(stream.key).finish()

    def abort(self, stream: Stream) -> None:
        writing = self._writing.pop(stream.key, None)
        if writing is not None:
            writing.stop()

    def close(self) -> None:
        for writing in list(self._writing.values()):
            writing.stop()
        self._writing.clear()
        self.end_all()


class Writing:
    """Writes one stream to a connector's process, which starts with the first batch."""

    def __init__(self, connector: ProgramConfig, stream: Stream) -> None:
        self.connector = connector
        self.stream = stream
        # Rows of earlier generations are deleted when this one is complete; a later overwrite has a higher number.
        self.generation = int(time.time() * 1000) if stream.write.replace else 0
        self.sequence = 0
        self.written = False
        self.process: Process | None = None
        self.thread: threading.Thread | None = None
        self.heard: Queue[Mapping[str, Any] | None] = Queue()
        self.error: KitestringError | None = None
        self.expecting = False

    def send(self, batch: Batch) -> Receipt:
        """Write a batch and a state after it; return when the state has come back."""
        self.start()
        assert self.process is not None
        self.sequence += 1
        file = io.BytesIO()
        writer = Writer(file)
        writer.records(self.stream, batch.rows())
        writer.message(
            "STATE",
            "state",
            {
                "type": "STREAM",
                "stream": {"stream_descriptor": descriptor(self.stream), "stream_state": {MARK: self.sequence}},
                "sourceStats": {"recordCount": float(len(batch))},
                "id": self.sequence,
            },
        )
        self.push(file.getvalue())
        while True:
            state = self.next()
            if state is None:
                raise self.failure("before it returned the state after a batch")
            if part(part(state, "stream"), "stream_state").get(MARK) == self.sequence:
                break
        self.written = True
        stored = part(state, "destinationStats").get("recordCount")
        count = min(len(batch), int(stored)) if isinstance(stored, int | float) else len(batch)
        return Receipt(written=count)

    def finish(self) -> None:
        """Send that the stream is complete, and wait until the process has succeeded."""
        if self.process is None:
            if not self.stream.write.replace:
                return  # nothing was sent, and there is nothing to replace
            self.start()
        assert self.process is not None
        try:
            file = io.BytesIO()
            Writer(file).status(self.stream, "COMPLETE")
            self.push(file.getvalue())
            self.process.end_input()
            while self.next() is not None:
                pass
            code = self.process.code(600.0)
            if self.error is not None:
                raise self.error
            if code:
                raise self.connector.unexplained(
                    self.process, f"ended with {exit_text(code)} at the end of {self.stream.key}"
                )
        finally:
            self.stop()

    def start(self) -> None:
        if self.process is not None:
            return
        if self.written and self.stream.write.replace:
            raise ConnectorError(
                f"{self.connector.title} ended in the middle of an overwrite of {self.stream.key}",
                hint="Run the sync again: it starts the overwrite from the beginning.",
            )
        (body,) = catalog_body(Catalog((self.stream,)))["streams"]
        configured = {
            "stream": body,
            "sync_mode": self.stream.sync_mode.value,
            "destination_sync_mode": modes.word_of(self.stream.write),
            "primary_key": [list(path) for path in self.stream.primary_key],
            "cursor_field": list(self.stream.cursor or ()),
            "generation_id": self.generation,
            "minimum_generation_id": self.generation,
            "sync_id": int(time.time()),
        }
        self.error, self.heard = None, Queue()
        self.process = self.connector.start(
            ["write", "--config", "@config.json", "--catalog", "@catalog.json"],
            {"config.json": self.connector.configuration(), "catalog.json": {"streams": [configured]}},
            stdin=True,
        )
        self.thread = threading.Thread(target=self.listen, name="kitestring-destination", daemon=True)
        self.thread.start()

    def push(self, data: bytes) -> None:
        assert self.process is not None
        self.expect()
        try:
            self.process.write(data)
        except OSError:
            while self.next() is not None:
                pass
            raise self.failure("while it was written to") from None

    def expect(self) -> None:
        """Count silence from now on."""
        assert self.process is not None
        self.process.heard_at = time.monotonic()
        self.expecting = True

    def next(self) -> Mapping[str, Any] | None:
        """The next state that came back; None at the end of the output."""
        while True:
            try:
                state = self.heard.get(timeout=1.0)
            except Empty:
                if self.thread is not None and not self.thread.is_alive() and self.heard.empty():
                    return None
                continue
            self.expecting = False
            if state is None:
                self.heard.put(None)
            return state

    def failure(self, when: str) -> KitestringError:
        """The error for a process that ended; another may be started after this."""
        assert self.process is not None
        process, self.process = self.process, None
        cancelled = process.stopped and self.error is None
        try:
            code = process.code(10.0)
        except ConnectorError:
            code = -9
        error = self.error
        self.connector.released(process)
        if error is not None:
            return error
        if cancelled:
            return Cancelled(f"{self.connector.title} was ended")
        return self.connector.unexplained(process, f"ended with {exit_text(code)} {when}")

    def listen(self) -> None:
        """In its own thread: read the output, so that the process can always write."""
        assert self.process is not None
        process, heard = self.process, self.heard
        try:
            for messages, _ in process.messages(lambda: self.connector.quiet_s if self.expecting else float("inf")):
                for message in messages:
                    if isinstance(message, Garbage):
                        log.info(self.connector.hide(message.text), extra={"connector": self.connector.title})
                    elif message.get("type") == "STATE":
                        heard.put(part(message, "state"))
                    else:
                        error = self.connector.heard(message)
                        self.error = self.error or error
        except KitestringError as error:
            self.error = self.error or error
        except (OSError, ValueError) as error:  # the pipe was closed under it
            log.debug("stopped listening", extra={"error": str(error)})
        finally:
            heard.put(None)

    def stop(self) -> None:
        """End the process in any state. Streams that were completed stay complete; others do not."""
        process, self.process = self.process, None
        if process is not None:
            process.close()
            if self.thread is not None:
                self.thread.join(5.0)
            self.connector.released(process)
