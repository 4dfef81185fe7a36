"""A foreign source: whatever its program does, the result of the sync is true."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_runs import catalog, error_of, failure, good, records, run, source, state, status

from kitestring.airbyte.source import AirbyteSource
from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Result, Selection, Status, sync
from kitestring.errors import ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Receipt, Stream

pytestmark = pytest.mark.slow


def test_the_records_of_all_streams_arrive_from_one_process() -> None:
    result, destination = run(source(good("a", "b", count=2500)))
    assert result.status is Status.succeeded
    assert [len(destination.stored[name]) for name in ("a", "b")] == [2500, 2500]
    assert destination.stored["b"][7] == {"id": 7, "text": "b 7"}


def test_records_of_two_streams_that_take_turns_are_kept_apart() -> None:
    turns = [records(name, n + 1, n) for n in range(50) for name in ("a", "b")]
    result, destination = run(source([*turns, status("a", "COMPLETE"), status("b", "COMPLETE")]))
    assert result.ok
    assert [row["text"] for row in destination.stored["a"]] == [f"a {n}" for n in range(50)]


def test_check_says_what_the_connector_says() -> None:
    fine = {"check": [{"say": {"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}}}]}
    source([], config=fine).check()
    body = {"status": "FAILED", "message": "no such account"}
    with pytest.raises(ConfigError, match="no such account"):
        source([], config={"check": [{"say": {"type": "CONNECTION_STATUS", "connectionStatus": body}}]}).check()
    with pytest.raises(ConfigError, match="key is wrong"):
        source([], config={"check": [failure("config_error", message="the key is wrong"), {"exit": 1}]}).check()
    with pytest.raises(ConnectorError, match=r"exit code 3.*Traceback"):
        source([], config={"check": [{"error": "Traceback: boom"}, {"exit": 3}]}).check()


def test_the_form_of_the_connector_is_its_spec() -> None:
    body = {"connectionSpecification": {"type": "object", "properties": {"key": {"airbyte_secret": True}}}, "extra": 1}
    os.environ["ACTIONS"] = json.dumps({"spec": [{"say": {"type": "SPEC", "spec": body}}]})
    try:
        assert source([]).spec_of_connector() == body
    finally:
        del os.environ["ACTIONS"]


def test_the_catalog_is_translated_and_given_back_with_everything_that_was_in_it(tmp_path: Path) -> None:
    reported_catalog = catalog("a", namespace="shop", is_resumable=True, invented_later={"x": [1]})
    single_source = source(
        [
            {"say": {"type": "RECORD", "record": {"stream": "a", "namespace": "shop", "data": {"id": 1}, "x": 1}}},
            {"say": {"type": "INVENTED_LATER"}},
        ],
        config={"discover": [{"say": reported_catalog}], "notes": str(tmp_path)},
    )
    (stream,) = single_source.discover()
    assert (stream.key, stream.primary_key, stream.cursor) == ("shop.a", (("id",),), ("id",))
    result, destination = run(single_source)
    assert result.ok
    assert destination.stored["shop.a"] == [{"id": 1}]
    called = json.loads((tmp_path / "read.json").read_text())["files"]["--catalog"]["content"]
    assert called["streams"] == [
        {
            "stream": reported_catalog["catalog"]["streams"][0],
            "sync_mode": "incremental",
            "destination_sync_mode": "append_dedup",
            "cursor_field": ["id"],
            "primary_key": [["id"]],
        }
    ]


def test_the_state_of_a_stream_is_saved_and_handed_back(tmp_path: Path) -> None:
    states = MemoryStates()
    result, destination = run(source(good("a", "b", count=10)), states=states)
    assert result.ok
    assert {name: states.load("default")[name] for name in ("a", "b")} == {"a": {"id": 10}, "b": {"id": 10}}
    second = source(good("a", "b", count=0), config={"notes": str(tmp_path)})
    assert run(second, destination, states=states)[0].ok
    called = json.loads((tmp_path / "read.json").read_text())["files"]["--state"]["content"]
    assert called == [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": {"id": 10}}}
        for name in ("a", "b")
    ]


def test_a_stream_that_is_read_in_full_is_given_no_state(tmp_path: Path) -> None:
    states = MemoryStates()
    states.save("default", "a", {"id": 5})
    states.save("default", "b", {"id": 6})
    single_source = source(good("a", "b"), config={"notes": str(tmp_path)})
    chosen = [Selection("a", sync_mode="full_refresh", write_mode="overwrite"), Selection("b")]
    assert run(single_source, streams=chosen, states=states)[0].ok
    called = json.loads((tmp_path / "read.json").read_text())["files"]["--state"]["content"]
    assert [item["stream"]["stream_descriptor"]["name"] for item in called] == ["b"]


@pytest.mark.parametrize(
    ("body", "back"),
    [
        (
            {
                "type": "GLOBAL",
                "global": {
                    "shared_state": {"lsn": 7},
                    "stream_states": [{"stream_descriptor": {"name": "a"}, "stream_state": {"done": True}}],
                    "later": 1,
                },
            },
            lambda body: [body],
        ),
        ({"type": "LEGACY", "data": {"a": {"id": 3}}}, lambda body: body["data"]),
        ({"data": {"a": {"id": 3}}}, lambda body: body["data"]),
    ],
)
def test_a_state_that_streams_share_is_saved_and_handed_back(
    tmp_path: Path, body: dict[str, Any], back: Callable[[Any], Any]
) -> None:
    states = MemoryStates()
    first = [*good("a"), records("b", 3), {"say": {"type": "STATE", "state": body}}, status("b", "COMPLETE")]
    result, destination = run(source(first), states=states)
    assert result.ok
    assert "" in states.load("default")
    assert run(source(good("a", "b"), config={"notes": str(tmp_path)}), destination, states=states)[0].ok
    called = json.loads((tmp_path / "read.json").read_text())["files"]["--state"]["content"]
    assert called == back(body)


def test_a_state_is_saved_only_when_the_records_before_it_are_written() -> None:
    class Refusing(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if any(row["id"] >= 10 for row in batch.rows()):
                raise ConfigError("no room", hint="Make some.")
            return super().write(stream, batch)

    states = MemoryStates()
    actions = [records("a", 10), state("a", 10), {"sleep": 0.6}, records("a", 20, 10), state("a", 20)]
    destination = Refusing()
    result = sync(source([*actions, status("a", "COMPLETE")], "a"), destination, states=states)
    assert result.status is Status.failed
    saved = states.load("default").get("a", {"id": 0})["id"]
    assert saved <= len(destination.stored.get("a", []))


def test_a_state_that_counts_more_records_than_came_is_not_saved() -> None:
    states = MemoryStates()
    result, _ = run(source([records("a", 9), state("a", 10, count=10), status("a", "COMPLETE")], "a"), states=states)
    assert result.status is Status.failed
    assert "10 records of a before a state, 9 of them arrived" in str(error_of(result))
    assert states.load("default") == {}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("config_error", ConfigError),
        ("transient_error", TransientError),
        ("system_error", ConnectorError),
        (None, ConnectorError),
    ],
)
def test_an_error_of_the_connector_keeps_its_kind(kind: str, expected: type[KitestringError]) -> None:
    single_source = source([], config={"check": [failure(kind), {"exit": 1}]})
    with pytest.raises(KitestringError, match="it went wrong") as raised:
        single_source.check()
    assert type(raised.value) is expected


@pytest.mark.parametrize(
    ("read", "sentence"),
    [
        ([records("a", 5), {"error": "Traceback: boom"}, {"exit": 1}], "exit code 1; its last lines: Traceback: boom"),
        ([records("a", 5), {"die": True}], "signal 9"),
        ([], "without a single message"),
        ([status("a", "STARTED"), records("a", 5)], "without saying that the stream a is complete"),
        ([status("a", "STARTED"), records("a", 5), status("a", "INCOMPLETE")], "did not complete the stream a"),
        ([records("a", 5), failure("system_error")], "it went wrong"),
        ([*good("a"), failure("system_error")], "it went wrong"),
        ([*good("a"), {"exit": 1}], "exit code 1"),
        ([*good("a"), failure("config_error", "a")], "it went wrong"),
    ],
)
def test_a_run_that_ends_badly_is_never_green(read: list[Any], sentence: str) -> None:
    result, _ = run(source(read, "a"))
    assert result.status is Status.failed
    assert sentence in str(error_of(result))


def test_a_connector_that_says_nothing_of_its_streams_is_believed_by_its_exit_code() -> None:
    result, destination = run(source([records("a", 5)], "a"))
    assert result.ok
    assert len(destination.stored["a"]) == 5


def test_a_stream_that_fails_does_not_keep_the_others_from_their_commit() -> None:
    actions = [
        *good("a"),
        status("b", "STARTED"),
        records("b", 3),
        failure("config_error", "b", "no permission for b"),
        status("b", "INCOMPLETE"),
        failure("config_error", None, "some streams failed"),
        {"exit": 1},
    ]
    chosen = [Selection(name, sync_mode="full_refresh", write_mode="overwrite") for name in ("a", "b")]
    result, destination = run(source(actions), streams=chosen)
    assert result.status is Status.failed
    assert result.streams["a"].status is Status.succeeded
    assert result.streams["b"].status is Status.failed
    assert "no permission for b" in str(result.streams["b"].error)
    assert len(destination.stored["a"]) == 10
    assert "b" not in destination.stored


def test_what_is_no_message_goes_to_the_log_and_harms_no_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kitestring")
    actions = [
        {"raw": "Loading the model…\n\n[1, 2]\n"},
        records("a", 5),
        {"raw": "3\nnull\n{not json}\n"},
        {"say": {"no": "type"}},
        records("a", 10, 5),
        {"say": {"type": "LOG", "log": {"level": "WARN", "message": "slow down"}}},
        {"say": {"type": "LOG", "log": "not an object"}},
        {"raw": "the end without a line feed"},
    ]
    result, destination = run(source(actions, "a"))
    assert result.ok
    assert [row["id"] for row in destination.stored["a"]] == list(range(10))
    messages = [record.getMessage() for record in caplog.records]
    assert {"Loading the model…", "{not json}", "slow down", "the end without a line feed"} <= set(messages)


def test_a_record_that_is_cut_off_is_rejected_not_lost() -> None:
    cut = '{"type": "RECORD", "record": {"stream": "a", "data": {"id": 5, "te\n'
    result, _ = run(source([records("a", 5), {"raw": cut}, records("a", 9, 6)], "a"))
    assert result.streams["a"].rejected == 1
    assert result.streams["a"].read == 9


def test_records_that_are_no_strict_json_are_read() -> None:
    data = '{"id":1,"x":NaN,"y":123456789012345678901234567890}'
    line = '{"type":"RECORD","record":{"stream":"a","emitted_at":1,"data":' + data + "}}\n"
    result, destination = run(source([{"raw": line}], "a"))
    assert result.ok
    assert destination.stored["a"][0]["x"] != destination.stored["a"][0]["x"]


def test_records_of_streams_that_are_not_selected_are_left_out() -> None:
    result, destination = run(source(good("a", "b")), streams=["a"])
    assert result.ok
    assert list(destination.stored) == ["a"]


def test_records_that_are_no_objects_are_rejected() -> None:
    odd = {"say": {"type": "RECORD", "record": {"stream": "a", "data": [1, 2], "emitted_at": 1}}}
    result, _ = run(source([odd, records("a", 3), state("a", 3, count=4)], "a"))
    assert (result.streams["a"].read, result.streams["a"].rejected) == (4, 1)
    assert result.ok


def test_a_huge_record_arrives() -> None:
    result, destination = run(source([records("a", 1, pad="x" * 5_000_000)], "a"))
    assert result.ok
    assert len(destination.stored["a"][0]["text"]) > 5_000_000


def test_a_connector_that_hangs_is_ended() -> None:
    single_source = source([records("a", 3), {"sleep": 600}], "a", quiet_s=0.6)
    (partition,) = single_source.partitions(list(single_source.discover()), {})
    began = time.monotonic()
    with pytest.raises(TransientError, match="wrote nothing for"):
        list(single_source.read(partition, {}))
    assert time.monotonic() - began < 300


def test_a_wait_that_was_announced_is_waited_for() -> None:
    reset = {"type": "RATE_LIMITED", "rate_limited": {"quota_reset": int((time.time() + 60) * 1000)}}
    actions = [status("a", "RUNNING", reasons=[reset]), {"sleep": 5}, *good("a")]
    result, _ = run(source(actions, "a", quiet_s=4))
    assert result.ok


def test_lines_on_standard_error_are_a_sign_of_life(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kitestring")
    actions: list[Any] = [{"sleep": 1.2, "error": "still here"}] * 4
    result, _ = run(source([*actions, *good("a")], "a", quiet_s=4))
    assert result.ok
    assert "still here" in [record.getMessage() for record in caplog.records]


def test_a_slow_destination_makes_the_connector_wait(tmp_path: Path) -> None:
    written, go = tmp_path / "written", threading.Event()

    class Waiting(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            go.wait(300)
            return None

    single_source = source([{"fill": {"stream": "a", "notes": str(written)}}], "a")
    cancel = threading.Event()
    thread = threading.Thread(target=lambda: sync(single_source, Waiting(), cancel=cancel))
    thread.start()
    before, now = -1, 0
    deadline = time.monotonic() + 300
    while (before != now or now <= 0) and time.monotonic() < deadline:
        time.sleep(0.7)
        before, now = now, int(written.read_text() or 0) if written.exists() else 0
    cancel.set()
    go.set()
    thread.join(300)
    assert not thread.is_alive()
    # The queue of the engine (16 MiB), a batch or three on their way, and the pipe; not the millions it could write.
    assert 0 < now < 60_000


def test_a_cancelled_sync_ends_the_program_and_what_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    single_source = source(
        [{"spawn": str(child)}, records("a", 3), {"sleep": 600}], "a", config={"notes": str(tmp_path)}
    )
    cancel = threading.Event()
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(sync(single_source, MemoryDestination(), cancel=cancel)))
    thread.start()
    deadline = time.monotonic() + 300
    while not (child.exists() and child.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    cancel.set()
    thread.join(300)
    assert results[0].status is Status.cancelled
    for pid in (int(child.read_text()), json.loads((tmp_path / "read.json").read_text())["pid"]):
        assert has_exited(pid)


def has_exited(pid: int) -> bool:
    for _ in range(6000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":  # dead, and not yet fetched by its parent
                return True
        time.sleep(0.05)
    return False


def test_a_passing_trouble_is_tried_again_from_the_last_state(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    program = tmp_path / "source.py"
    program.write_text(
        "import json, os, sys\n"
        "def say(m): print(json.dumps(m), flush=True)\n"
        f"flag, said = {str(flag)!r}, {catalog('a')!r}\n"
        "if sys.argv[1] == 'discover': say(said)\n"
        "else:\n"
        "    second = os.path.exists(flag)\n"
        "    state = json.load(open(sys.argv[sys.argv.index('--state') + 1])) if second else None\n"
        "    start = state[0]['stream']['stream_state']['id'] if second else 0\n"
        "    for n in range(start, start + 5): say({'type': 'RECORD', 'record': {'stream': 'a', 'data': {'id': n}}})\n"
        "    say({'type': 'STATE', 'state': {'type': 'STREAM', 'stream': {'stream_descriptor': {'name': 'a'},"
        " 'stream_state': {'id': start + 5}}}})\n"
        "    if not second:\n"
        "        open(flag, 'w').close()\n"
        "        say({'type': 'TRACE', 'trace': {'type': 'ERROR', 'emitted_at': 1,"
        " 'error': {'message': 'busy', 'failure_type': 'transient_error'}}})\n"
        "        sys.exit(1)\n"
    )
    airbyte_source = AirbyteSource.load({"command": [sys.executable, str(program)]})
    result, destination = run(airbyte_source, streams=[Selection("a", write_mode="append")])
    assert result.ok
    assert [row["id"] for row in destination.stored["a"]] == list(range(10))


def test_an_empty_namespace_is_none() -> None:
    line = {"type": "RECORD", "record": {"stream": "a", "namespace": "", "data": {"id": 1}, "emitted_at": 1}}
    done = {"stream_descriptor": {"name": "a", "namespace": ""}, "status": "COMPLETE"}
    trace = {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": done}}
    result, destination = run(source([{"say": line}, {"say": trace}], "a"))
    assert result.ok
    assert destination.stored["a"] == [{"id": 1}]
