"""Our connectors behind Airbyte's protocol: states stand behind what is durable, and nothing but green ends with 0."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring import engine
from kitestring.airbyte.log_handler import ProtocolLogHandler
from kitestring.airbyte.messages import Writer
from kitestring.airbyte.serve_read import read
from kitestring.airbyte.serve_write import write
from kitestring.batch import Batch
from kitestring.errors import ConfigError
from kitestring.source import Item
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import Partition, Receipt, SchemaChange, States, Stream, Truncate

pytestmark = pytest.mark.slow


def configured(name: str, sync_mode: str, mode: str, **more: Any) -> dict[str, Any]:
    stream = {
        "name": name,
        "json_schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
        "supported_sync_modes": ["full_refresh", "incremental"],
        "default_cursor_field": ["id"],
        "source_defined_cursor": True,
    }
    return {"stream": stream, "sync_mode": sync_mode, "destination_sync_mode": mode, "primary_key": [["id"]], **more}


def catalog(*streams: dict[str, Any]) -> dict[str, Any]:
    return {"streams": list(streams)}


def record(stream: str, number: int, **more: Any) -> dict[str, Any]:
    return {"type": "RECORD", "record": {"stream": stream, "data": {"id": number, **more}, "emitted_at": 1}}


def state(stream: str, number: int) -> dict[str, Any]:
    body = {"stream_descriptor": {"name": stream}, "stream_state": {"id": number}, "later": [1]}
    return {
        "type": "STATE",
        "state": {"type": "STREAM", "stream": body, "id": number, "sourceStats": {"recordCount": 1.0}},
    }


def status(stream: str, sent_messages: str) -> dict[str, Any]:
    body = {"stream_descriptor": {"name": stream}, "status": sent_messages}
    return {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1.0, "stream_status": body}}


class Served:
    """A destination that is written to over a pipe, in a thread."""

    def __init__(self, destination: MemoryDestination, configuration: dict[str, Any]) -> None:
        self.out = io.BytesIO()
        descriptor, self.into = os.pipe()
        writer = Writer(self.out)
        self.code: int | None = None

        def serve() -> None:
            try:
                self.code = write(destination, configuration, descriptor, engine, writer, ProtocolLogHandler(writer))
            finally:
                os.close(descriptor)

        self.thread = threading.Thread(target=serve)
        self.thread.start()

    def send(self, *messages: dict[str, Any]) -> None:
        os.write(self.into, b"".join(json.dumps(m).encode() + b"\n" for m in messages))

    def end(self) -> int:
        os.close(self.into)
        self.thread.join(300)
        assert self.code is not None
        return self.code

    def sent_messages(self, kind: str) -> list[dict[str, Any]]:
        return [m for m in map(json.loads, self.out.getvalue().splitlines()) if m["type"] == kind]


def written(destination: MemoryDestination, configuration: dict[str, Any], *messages: dict[str, Any]) -> Served:
    served = Served(destination, configuration)
    served.send(*messages)
    served.end()
    return served


def test_every_state_comes_back_as_it_was_in_its_order() -> None:
    destination = MemoryDestination()
    messages = [m for n in range(30) for m in (record("a", n), record("b", n), state("a", n), state("b", n))]
    served = written(
        destination,
        catalog(configured("a", "incremental", "append"), configured("b", "full_refresh", "append_dedup")),
        *messages,
    )
    assert served.code == 0
    for name in ("a", "b"):
        assert len(destination.stored[name]) == 30
        mine = [m for m in served.sent_messages("STATE") if m["state"]["stream"]["stream_descriptor"]["name"] == name]
        assert mine == [state(name, n) for n in range(30)]


def test_a_state_comes_back_only_when_all_before_it_is_written() -> None:
    go, began = threading.Event(), threading.Event()

    class Waiting(MemoryDestination):
        batch_rows: ClassVar[int] = 1

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            began.set()
            go.wait(300)
            return super().write(stream, batch)

    served = Served(Waiting(), catalog(configured("a", "incremental", "append")))
    served.send(record("a", 1), state("a", 1))
    assert began.wait(300)
    assert served.sent_messages("STATE") == []
    go.set()
    assert served.end() == 0
    assert served.sent_messages("STATE") == [state("a", 1)]


def test_a_write_that_fails_gives_no_state_back() -> None:
    class Broken(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            raise ConfigError("the disk is full", hint="Make room.")

    served = written(Broken(), catalog(configured("a", "incremental", "append")), record("a", 1), state("a", 1))
    assert served.code == 1
    assert served.sent_messages("STATE") == []
    (trace,) = served.sent_messages("TRACE")
    assert trace["trace"]["error"]["failure_type"] == "config_error"
    assert "the disk is full" in trace["trace"]["error"]["message"]


def test_shared_and_legacy_states_come_back() -> None:
    shared = {"type": "STATE", "state": {"type": "GLOBAL", "global": {"shared_state": {"x": 1}, "stream_states": []}}}
    legacy = {"type": "STATE", "state": {"data": {"cursor": 1}}}
    served = written(
        MemoryDestination(),
        catalog(configured("a", "incremental", "append"), configured("b", "incremental", "append")),
        record("a", 1),
        shared,
        record("b", 1),
        legacy,
    )
    assert (served.code, served.sent_messages("STATE")) == (0, [shared, legacy])


def test_an_overwrite_is_put_in_place_at_its_end_and_its_states_come_back_then() -> None:
    destination = MemoryDestination()
    destination.stored["a"] = [{"id": n} for n in range(9)]
    served = Served(destination, catalog(configured("a", "full_refresh", "overwrite")))
    served.send(status("a", "STARTED"), record("a", 1), state("a", 1), record("a", 2), state("a", 2))
    served.thread.join(1.0)
    assert served.sent_messages("STATE") == []
    assert len(destination.stored["a"]) == 9
    served.send(status("a", "COMPLETE"))
    assert served.end() == 0
    assert destination.stored["a"] == [{"id": 1}, {"id": 2}]
    assert served.sent_messages("STATE") == [state("a", 1), state("a", 2)]


@pytest.mark.parametrize(("last", "back"), [("COMPLETE", 1), ("INCOMPLETE", 0)])
def test_a_shared_state_behind_an_overwrite_comes_back_only_when_that_is_in_place(last: str, back: int) -> None:
    shared = {"type": "STATE", "state": {"type": "GLOBAL", "global": {"shared_state": {"x": 1}, "stream_states": []}}}
    served = Served(
        MemoryDestination(),
        catalog(configured("a", "full_refresh", "overwrite"), configured("b", "incremental", "append")),
    )
    served.send(record("a", 1), record("b", 1), shared)
    served.thread.join(1.5)
    assert served.sent_messages("STATE") == []
    served.send(status("a", last), status("b", "COMPLETE"))
    assert served.end() == 1 - back
    assert served.sent_messages("STATE") == [shared] * back


@pytest.mark.parametrize("last", [[status("a", "INCOMPLETE")], []])
def test_an_overwrite_that_is_not_complete_keeps_the_old_data(last: list[dict[str, Any]]) -> None:
    destination = MemoryDestination()
    destination.stored["a"] = [{"id": n} for n in range(9)]
    served = written(
        destination,
        catalog(configured("a", "full_refresh", "overwrite"), configured("b", "full_refresh", "append")),
        status("a", "STARTED"),
        record("a", 1),
        state("a", 1),
        record("b", 1),
        state("b", 1),
        status("b", "COMPLETE"),
        *last,
    )
    assert served.code == 1
    assert len(destination.stored["a"]) == 9
    assert destination.stored["b"] == [{"id": 1}]
    assert served.sent_messages("STATE") == [state("b", 1)]


def test_an_overwrite_with_nothing_empties_when_the_source_says_it_is_complete() -> None:
    destination = MemoryDestination()
    destination.stored["a"] = [{"id": 1}]
    served = written(destination, catalog(configured("a", "full_refresh", "overwrite")), status("a", "COMPLETE"))
    assert served.code == 0
    assert destination.stored["a"] == []


@pytest.mark.parametrize(
    ("generation", "least", "mode", "left"),
    [(3, 0, "append", [1, 2]), (3, 3, "append", [2]), (3, 3, "append_dedup", [2]), (None, None, "append", [1, 2])],
)
def test_generations_decide_what_stays(generation: int | None, least: int | None, mode: str, left: list[int]) -> None:
    destination = MemoryDestination()
    destination.stored["a"] = [{"id": 1}]
    entry = configured("a", "incremental", mode, generation_id=generation, minimum_generation_id=least)
    served = written(destination, catalog(entry), record("a", 2), status("a", "COMPLETE"))
    assert served.code == 0
    assert [row["id"] for row in destination.stored["a"]] == left


def test_a_generation_between_is_refused() -> None:
    entry = configured("a", "incremental", "append", generation_id=3, minimum_generation_id=2)
    writer = Writer(io.BytesIO())
    with pytest.raises(ConfigError, match="generation 3 and minimum generation 2"):
        write(MemoryDestination(), catalog(entry), 0, engine, writer, ProtocolLogHandler(writer))


def test_deletions_are_carried_out() -> None:
    destination = MemoryDestination()
    removed_record = record("a", 1, _ab_cdc_deleted_at="2026-01-01T00:00:00Z")
    entry = configured("a", "incremental", "append_dedup")
    assert written(destination, catalog(entry), record("a", 1), record("a", 2), removed_record).code == 0
    assert destination.stored["a"] == [{"id": 2}]


def reading(source: Any, configuration: dict[str, Any], given: Any = None) -> tuple[int, list[dict[str, Any]]]:
    out = io.BytesIO()
    writer = Writer(out)
    code = read(source, configuration, given, engine, writer, ProtocolLogHandler(writer))
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def memory(count: int) -> MemorySource:
    return MemorySource(
        records={name: [{"id": n} for n in range(count)] for name in ("a", "b")},
        primary_keys={"a": "id", "b": "id"},
        cursors={"a": "id", "b": "id"},
    )


def test_a_read_says_records_then_the_states_behind_them_then_that_the_stream_is_complete() -> None:
    both = catalog(configured("a", "incremental", "append"), configured("b", "full_refresh", "append"))
    code, messages = reading(memory(250), both)
    assert code == 0
    mine = [m for m in messages if "a" in (m.get("record", {}).get("stream"), name_of(m))]
    kinds = [m["type"] if m["type"] != "TRACE" else m["trace"]["stream_status"]["status"] for m in mine]
    assert kinds[0] == "STARTED"
    assert kinds[1] == "RUNNING"
    assert kinds[-2:] == ["STATE", "COMPLETE"]
    states = [m["state"] for m in mine if m["type"] == "STATE"]
    assert states[-1]["stream"]["stream_state"] == {"cursor": 249}
    assert sum(single_state["sourceStats"]["recordCount"] for single_state in states) == 250
    final = [m["state"]["stream"]["stream_state"] for m in messages if m["type"] == "STATE" and name_of(m) == "b"]
    assert final == [{"__ab_no_cursor_state_message": True}]


def name_of(message: Mapping[str, Any]) -> Any:
    for path in (("state", "stream"), ("trace", "stream_status")):
        results: Any = message
        for part in path:
            results = results.get(part, {})
        if results:
            return results["stream_descriptor"]["name"]
    return None


@pytest.mark.parametrize(
    "given",
    [
        [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "a"}, "stream_state": {"cursor": 199}}}],
        [{"type": "STATE", "state": {"stream": {"stream_descriptor": {"name": "a"}, "stream_state": {"cursor": 199}}}}],
        {"a": {"cursor": 199}},
        {"type": "LEGACY", "data": {"a": {"cursor": 199}}},
    ],
)
def test_a_read_goes_on_where_a_state_says(given: Any) -> None:
    code, messages = reading(memory(250), catalog(configured("a", "incremental", "append")), given)
    assert code == 0
    assert [m["record"]["data"]["id"] for m in messages if m["type"] == "RECORD"] == list(range(200, 250))


def test_a_stream_that_fails_is_incomplete_and_the_exit_code_says_so() -> None:
    class Breaking(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield from super().read(partition, states)
            if partition.stream.name == "b":
                raise ConfigError("the key was refused", hint="Ask for another.")

    source = Breaking(records={"a": [{"id": 1}], "b": [{"id": 1}]})
    both = catalog(configured("a", "full_refresh", "append"), configured("b", "full_refresh", "append"))
    code, messages = reading(source, both)
    assert code == 1
    last = {name_of(m): m["trace"]["stream_status"]["status"] for m in messages if name_of(m) and m["type"] == "TRACE"}
    assert last == {"a": "COMPLETE", "b": "INCOMPLETE"}
    (error,) = [m["trace"]["error"] for m in messages if m["type"] == "TRACE" and m["trace"]["type"] == "ERROR"]
    assert error["failure_type"] == "config_error"
    assert error["stream_descriptor"] == {"name": "b"}


# -- the command line --------------------------------------------------------------------------------------------------


def call(*words: str, cwd: Path, given: bytes = b"") -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "kitestring", "airbyte", "run", *words],
        input=given,
        capture_output=True,
        cwd=cwd,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_command_line_speaks_the_protocol_from_spec_to_write(tmp_path: Path) -> None:
    code, (spec,) = call("sample", "spec", cwd=tmp_path)
    assert code == 0
    assert "count" in spec["spec"]["connectionSpecification"]["properties"]
    (tmp_path / "config.json").write_text('{"count": 40}')
    code, (status_,) = call("source-sample", "check", "--config", "config.json", cwd=tmp_path)
    assert (code, status_["connectionStatus"]["status"]) == (0, "SUCCEEDED")
    code, (results,) = call("source-sample", "discover", "--config", "config.json", cwd=tmp_path)
    users = next(s for s in results["catalog"]["streams"] if s["name"] == "users")
    assert users["source_defined_primary_key"] == [["id"]]
    entry = {"stream": users, "sync_mode": "incremental", "destination_sync_mode": "append", "primary_key": [["id"]]}
    (tmp_path / "catalog.json").write_text(json.dumps(catalog(entry)))
    code, messages = call("sample", "read", "--config", "config.json", "--catalog", "catalog.json", cwd=tmp_path)
    assert code == 0
    assert sum(m["type"] == "RECORD" for m in messages) == 40
    code, (spec,) = call("destination-files", "spec", cwd=tmp_path)
    assert "append" in spec["spec"]["supported_destination_sync_modes"]
    (tmp_path / "out.json").write_text('{"path": "out", "format": "jsonl"}')
    provided = b"".join(json.dumps(m).encode() + b"\n" for m in messages)
    code, back = call(
        "files", "write", "--config", "out.json", "--catalog", "catalog.json", cwd=tmp_path, given=provided
    )
    assert code == 0
    states = [m for m in messages if m["type"] == "STATE"]
    assert [m for m in back if m["type"] == "STATE"] == states
    rows = [line for path in (tmp_path / "out").rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(rows) == 40


def test_what_is_wrong_is_said_in_the_protocol(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"cuont": 40}')
    code, (status_,) = call("sample", "check", "--config", "config.json", cwd=tmp_path)
    assert (code, status_["connectionStatus"]["status"]) == (0, "FAILED")
    assert "did you mean count" in status_["connectionStatus"]["message"]
    for words in (["nonsense", "spec"], ["sample", "discover", "--config", "none.json"], ["sample", "write"]):
        code, messages = call(*words, cwd=tmp_path)
        assert code != 0
        assert words[-1] == "write" or messages[-1]["trace"]["error"]["failure_type"] == "config_error"


def test_a_script_is_a_connector_of_its_own(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from kitestring.cli.command_line import app

    done = CliRunner().invoke(app, ["airbyte", "script", "source-sample", str(tmp_path / "bin")])
    assert done.exit_code == 0, done.output
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    out = subprocess.run([tmp_path / "bin" / "source-sample", "spec"], capture_output=True, check=True, env=environment)
    assert json.loads(out.stdout)["type"] == "SPEC"
    assert CliRunner().invoke(app, ["airbyte", "script", "sample"]).exit_code == 2


def test_a_read_goes_on_over_changes_that_the_protocol_has_no_message_for(caplog: pytest.LogCaptureFixture) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    items = MemorySource(
        records={"a": [{"id": 1}, Truncate("2026-05-05T05:05:05Z"), SchemaChange(schema), {"id": 2}]},
    )
    code, messages = reading(items, catalog(configured("a", "full_refresh", "append")))
    assert code == 0
    assert [m["record"]["data"]["id"] for m in messages if m["type"] == "RECORD"] == [1, 2]
    assert "a was emptied at the source at 2026-05-05T05:05:05Z: its records stay" in caplog.text
