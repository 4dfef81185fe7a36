"""The search daemon of the command line: one for a project, for its user alone, and never in the way of a sync."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kitestring.batch import Batch
from kitestring.cli import search_channel, search_daemon, warm_search
from kitestring.cli.search_daemon import SearchDaemon
from kitestring.destinations.chroma import connection as chroma
from kitestring.destinations.milvus import connection as milvus
from kitestring.destinations.qdrant import connection as qdrant
from kitestring.errors import TransientError
from kitestring.library import destination as destination_of
from kitestring.types import Stream

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the pid of a daemon is read by SO_PEERCRED"),
]
CONFIG: dict[str, Any] = {
    "processing": {"chunk_size": 50, "text_fields": ["text"]},
    "embedding": {"mode": "fake"},
    "indexing": {"host": "./m.db", "collection": "notes"},
}
STREAM = Stream("notes", primary_key=(("id",),))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with one note in Milvus Lite; its daemon ends with the test."""
    monkeypatch.setenv(search_channel.IDLE, "600")
    for limit in ("START_S", "RELEASE_S"):  # a loaded machine misses those of a user, who then searches without it
        monkeypatch.setattr(warm_search, limit, 300.0)
    monkeypatch.delenv("KITESTRING_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "kitestring.yaml"
    path.write_text(json.dumps({"destinations": {"notes": {"connector": "milvus", "config": CONFIG}}}))
    with destination_of("milvus", CONFIG) as handle:
        put(handle.connector, 1)
    (tmp_path / ".kitestring").mkdir()
    yield path
    pid = pid_of(tmp_path / ".kitestring")
    if pid:
        os.kill(pid, signal.SIGKILL)


def put(destination: Any, number: int) -> None:
    destination.begin(STREAM)
    destination.write(STREAM, Batch("notes", rows=[{"id": number, "text": f"note {number}"}]))


def pid_of(home: Path) -> int:
    """The process that listens; 0 for none."""
    connection = search_channel.connected(home)
    if connection is None:
        return 0
    with connection:
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", data)[0])


def found(project: Path, text: str = "note", name: str = "notes", **options: Any) -> Any:
    request = {"connection": name, "destination": "", "text": text, "options": options}
    answer = warm_search.search(project.parent / ".kitestring", project, request)
    if answer is None or "error" in answer:
        return answer and answer["error"]
    return sorted(hit["record_id"] for hit in answer["hits"])


def test_searches_share_a_daemon_which_a_crash_another_environment_and_a_sync_do_not_disturb(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = project.parent / ".kitestring"
    assert found(project) == ["notes_1"]
    first = pid_of(home)
    assert first
    assert found(project, limit=1) == ["notes_1"]
    assert pid_of(home) == first
    assert [oct(path.stat().st_mode & 0o777) for path in (home / "search", home / "search" / "search.sock")] == [
        "0o700",
        "0o600",
    ]
    assert found(project, permission={"id": 2}) == []
    assert found(project, where={"id": {"gtee": 1}})["type"] == "ConfigError"
    assert "gtee" in found(project, where={"id": {"gtee": 1}})["message"]
    assert "did you mean notes" in found(project, name="note")["message"]

    # A sync that owns the place answers the searches of the daemon, with what it has written so far.
    with destination_of("milvus", CONFIG) as writer:
        with warm_search.owner_of_place(home, writer.connector):
            put(writer.connector, 2)
            assert found(project) == ["notes_1", "notes_2"]
            assert found(project, permission={"id": 2}) == ["notes_2"]
            assert found(project, where={"id": {"gtee": 1}})["type"] == "ConfigError"
        assert found(project) == ["notes_1", "notes_2"]
    assert pid_of(home) == first

    os.kill(first, signal.SIGKILL)
    assert found(project) == ["notes_1", "notes_2"]
    second = pid_of(home)
    assert second not in (0, first)
    monkeypatch.setenv("A_SECRET", "another")
    assert found(project) == ["notes_1", "notes_2"]
    assert pid_of(home) not in (0, second)
    content = json.loads(project.read_text())
    content["destinations"]["other"] = content["destinations"].pop("notes")
    project.write_text(json.dumps(content))
    assert found(project, name="other") == ["notes_1", "notes_2"]
    assert "notes" in found(project)["message"]


def test_a_daemon_that_begins_during_a_sync_finds_its_owner(project: Path) -> None:
    home = project.parent / ".kitestring"
    with destination_of("milvus", CONFIG) as writer, warm_search.owner_of_place(home, writer.connector):
        put(writer.connector, 2)
        deadline = time.monotonic() + 300
        while (hits := found(project)) != ["notes_1", "notes_2"] and time.monotonic() < deadline:
            assert hits["type"] == TransientError.__name__  # until the sync has seen the daemon
        assert hits == ["notes_1", "notes_2"]


def test_a_folder_that_others_can_change_has_no_daemon(project: Path) -> None:
    folder = project.parent / ".kitestring" / "search"
    folder.mkdir(mode=0o700)
    folder.chmod(0o777)
    assert found(project) is None
    assert not (folder / "search.sock").exists()
    folder.rmdir()
    elsewhere = project.parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    assert found(project) is None


def test_it_ends_after_a_while_without_a_search_and_refuses_what_is_no_request(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.parent / "here"
    folder.mkdir()
    listener = socket.socket(socket.AF_UNIX)
    with search_channel.inside(folder):
        listener.bind("search.sock")
    listener.listen()
    daemon = SearchDaemon(project, 1.0)
    thread = threading.Thread(target=daemon.serve, args=(listener,))
    thread.start()
    for garbage in (b"\n", b"[]\n", b"{}\n", b"\xff\x00\n", b""):
        # On a loaded machine it may have ended by then.
        with search_channel.inside(folder), socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect("search.sock")
            client.sendall(garbage)
    thread.join(300)
    assert not thread.is_alive()
    monkeypatch.setenv(search_channel.IDLE, "0")
    assert found(project) is None
    assert pid_of(project.parent / ".kitestring") == 0


def test_a_place_is_closed_before_another_program_stops_waiting_for_it() -> None:
    for store in (chroma, milvus, qdrant):
        assert search_daemon.EXCLUSIVE_IDLE_S + search_daemon.LOOK_S < store.LOCK_WAIT_S
