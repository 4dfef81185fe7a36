"""Change data capture from a server that was restored to an earlier moment, or is another one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from capturing import Captured
from postgres_server import running

from kitestring.engine import Status
from kitestring.types import GLOBAL

pytestmark = pytest.mark.slow


def folder_of(database: Any) -> Path:
    return Path(database.run("SELECT current_setting('data_directory') AS data_directory")[0]["data_directory"])


def error_of(copy: Captured) -> str:
    result = copy.attempt()
    assert result.status is Status.failed, copy.destination.stored
    return str(result.error or result.streams["public.t"].error)


def test_a_server_that_was_restored_with_its_slot_is_refused_also_when_its_log_has_grown(tmp_path: Path) -> None:
    with running() as database:
        database.run("CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'a'), (2, 'a')")
        copy = Captured(database)
        copy.sync()
        folder = folder_of(database)
        database.stop()
        shutil.copytree(folder, tmp_path / "backup", symlinks=True)
        database.start()
        database.run("INSERT INTO t SELECT n, repeat('a', 100) FROM generate_series(3, 3000) n")
        copy.sync()
        database.stop()
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "backup", folder, symlinks=True)
        folder.chmod(0o700)
        (owner, group) = folder.parent.owner(), folder.parent.group()
        for path in [folder, *folder.rglob("*")]:
            shutil.chown(path, owner, group)
        database.start()
        database.run("UPDATE t SET a = 'b' WHERE id = 1", "DELETE FROM t WHERE id = 2")
        assert "it was restored to an earlier moment, so the changes" in error_of(copy)
        assert "it was restored to an earlier moment, so the changes" in error_of(copy)


def test_a_promoted_server_goes_on_where_its_log_has_the_state_and_not_where_another_has_it() -> None:
    with running() as database:
        database.run("CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'a'), (2, 'a')")
        copy = Captured(database)
        copy.sync()
        database.stand_by()
        database.run("SELECT pg_promote()")
        database.run("UPDATE t SET a = 'b' WHERE id = 1")
        assert {row["a"] for row in copy.sync()["public.t"]} == {"a", "b"}
        state = copy.states.load("default")
        system, timeline = state[GLOBAL]["server"]
        assert timeline == 2
        for server, sentence in (
            (["7", timeline], f"the server is another one (system identifier {system}, was 7)"),
            ([system, 9], "the server was restored to an earlier moment (timeline 2, was 9)"),
            ([system, 1], "the server was restored to an earlier moment (timeline 2, was 1)"),
        ):
            copy.states.save("default", GLOBAL, {**state[GLOBAL], "server": server})
            assert sentence in error_of(copy)
