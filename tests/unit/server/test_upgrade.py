"""A store is brought to the version of the program: once, after a backup, or not at all."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kitestring.errors import ConfigError
from kitestring.server.store import Store
from kitestring.server.store.backup import BACKUP_LIMIT, backup
from kitestring.server.store.upgrade import MIGRATIONS, newest_version, scripts_of, stored_version, upgrade, versions

pytestmark = pytest.mark.slow

STEP = '''"""A step."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.create_table("t{revision}", sa.Column("id", sa.Integer))
    {more}
'''


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    created_store = Store(f"sqlite:///{tmp_path / 'home' / 'kitestring.sqlite'}")
    yield created_store
    created_store.close()


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The migrations, with one more step."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    add(folder, "9998", versions_of(MIGRATIONS)[-1])
    return folder


def versions_of(folder: Path) -> list[str]:
    return sorted(path.name[:4] for path in (folder / "versions").glob("0*.py"))


def add(folder: Path, revision: str, before: str, more: str = "") -> None:
    text = STEP.format(revision=revision, before=before, more=more or "pass")
    (folder / "versions" / f"{revision}_step.py").write_text(text)


def tables(store: Store) -> set[str]:
    with sqlite3.connect(store.path or "") as db:
        return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def backups(store: Store) -> list[Path]:
    assert store.path is not None
    return sorted((store.path.parent / "backups").glob("*"))


def test_an_empty_store_is_made_without_a_backup_and_a_second_start_changes_nothing(store: Store) -> None:
    assert upgrade(store) == versions_of(MIGRATIONS)
    assert upgrade(store) == []
    assert "jobs" in tables(store)
    assert not backups(store)


def test_a_start_knows_both_versions_without_alembic(store: Store, newer: Path) -> None:
    assert store.path is not None
    store.path.parent.mkdir()
    assert stored_version(store) == versions(store)[0] == ""
    upgrade(store)
    assert stored_version(store) == versions(store)[0] == versions_of(MIGRATIONS)[-1]
    for folder in (MIGRATIONS, newer):
        assert newest_version(folder) == scripts_of(folder).get_current_head()
    code = (
        "import sys; from kitestring.server.store import Store; from kitestring.server.store.upgrade import upgrade\n"
        f"assert upgrade(Store({store.display_url!r})) == []\n"
        "assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_store_is_backed_up_before_it_is_changed(store: Store, newer: Path) -> None:
    upgrade(store)
    assert upgrade(store, newer) == ["9998"]
    assert "t9998" in tables(store)
    (copy,) = backups(store)
    assert copy.name.endswith("-before-9998.sqlite")
    assert copy.stat().st_mode & 0o777 == 0o600
    old = Store(f"sqlite:///{copy}")
    assert "jobs" in tables(old)
    assert "t9998" not in tables(old)
    old.close()


def test_a_newer_store_refuses_an_older_program_with_both_versions(store: Store, newer: Path) -> None:
    upgrade(store, newer)
    with pytest.raises(
        ConfigError, match=rf"version 9998, and Kitestring .* knows it up to {versions_of(MIGRATIONS)[-1]}"
    ) as caught:
        upgrade(store)
    assert "backup" in caught.value.hint
    assert "t9998" in tables(store)


def test_a_step_that_fails_leaves_the_store_as_it_was_before_it(store: Store, newer: Path) -> None:
    upgrade(store)
    add(newer, "9999", "9998", 'op.execute("INSERT INTO nowhere VALUES (1)")')
    with pytest.raises(ConfigError, match="could not be brought to the version 9999"):
        upgrade(store, newer)
    assert "t9998" in tables(store)
    assert "t9999" not in tables(store)
    assert versions(store, newer)[0] == "9998"


def test_two_programs_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    done: list[list[str]] = []

    def begin() -> None:
        single_store = Store(f"sqlite:///{tmp_path / 'kitestring.sqlite'}")
        done.append(upgrade(single_store))
        single_store.close()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, done)) == [0, 0, 0, len(versions_of(MIGRATIONS))]


def test_jobs_of_the_first_store_keep_their_figures(store: Store, tmp_path: Path) -> None:
    first = tmp_path / "first"
    shutil.copytree(MIGRATIONS, first, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (first / "versions").glob("0*.py"):
        if path.name[:4] > "0001":
            path.unlink()
    upgrade(store, first)
    job = (1, *"wcs", "sync", "running", "manual", "{}", 1, 0, 3, 0, 0, 1, 7, 70, 0, 0)
    with sqlite3.connect(store.path or "") as db:
        db.execute(
            "INSERT INTO jobs (id, workspace_id, connection_id, source_id, kind, status, cause, options, attempts, "
            "failures, most_attempts, run_after_ms, cancel, epoch, records, nbytes, created_at_ms, updated_at_ms) "
            f"VALUES ({', '.join('?' * len(job))})",
            job,
        )
        db.execute(
            "INSERT INTO attempts (job_id, number, status, worker, epoch, started_at_ms, progress) "
            """VALUES (1, 1, 'running', 'w', 1, 0, '{"states": 2, "streams": {}}')"""
        )
    upgrade(store)
    with sqlite3.connect(store.path or "") as db:
        assert db.execute("SELECT records, nbytes FROM jobs").fetchall() == [(7, 70)]
        assert db.execute("SELECT status, durable, moved FROM attempts").fetchall() == [("running", None, 0)]


def test_old_backups_are_removed(store: Store) -> None:
    upgrade(store)
    created_backups = [backup(store) for _ in range(BACKUP_LIMIT + 2)]
    assert backups(store) == created_backups[2:]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        upgrade(Store(f"sqlite:///{tmp_path / 'file' / 'kitestring.sqlite'}"))


OLD_ROWS = """
INSERT INTO organizations (id, name, email, created_at_ms) VALUES ('o', 'o', 'o', 1);
INSERT INTO workspaces (id, organization_id, name, notifications, created_at_ms, deleted_at_ms)
    VALUES ('here', 'o', 'here', '{}', 1, NULL), ('gone', 'o', 'gone', '{}', 1, 7);
INSERT INTO sources (id, workspace_id, name, definition_id, connector, config, created_at_ms, updated_at_ms)
    VALUES ('admins', 'here', 's', 'd', 'airbyte', '{}', 1, 1), ('editors', 'here', 's', 'd', 'airbyte', '{}', 1, 1),
           ('renamed', 'here', 's', 'd', 'airbyte', '{}', 1, 1), ('custom', 'here', 's', 'own', '', '{}', 1, 1),
           ('unknown', 'here', 's', 'd', 'airbyte', '{}', 1, 1), ('left', 'gone', 's', 'd', 'airbyte', '{}', 1, 1);
INSERT INTO definitions (id, workspace_id, kind, name, manifest, version, created_at_ms)
    VALUES ('own', 'here', 'source', 'own', '{}', 1, 1);
INSERT INTO destinations (id, workspace_id, name, definition_id, connector, config, created_at_ms, updated_at_ms)
    VALUES ('kept', 'gone', 'd', 'd', 'files', '{}', 1, 1);
INSERT INTO audit (at_ms, actor, action, kind, resource_id, changes)
    VALUES (1, 'ada@x', 'create', 'source', 'editors', '{"config.path": [null, "x"]}'),
           (1, 'root@x (ci)', 'update', 'source', 'admins', '{"config.path": [null, "x"]}'),
           (2, 'root@x', 'update', 'source', 'renamed', '{"config.path": [null, "x"]}'),
           (3, 'ada@x', 'update', 'source', 'renamed', '{"name": ["a", "b"]}'),
           (3, 'root@x', 'create', 'source', 'custom', '{"config.path": [null, "x"]}'),
           (3, 'ada@x', 'update', 'definition', 'own', '{"manifest": ["a", "b"]}');
"""
OLD_USERS = """
INSERT INTO users (id, email, name, disabled, created_at_ms)
    VALUES ('r', 'root@x', 'r', 0, 1), ('a', 'ada@x', 'a', 0, 1);
INSERT INTO permissions (id, user_id, permission_type, workspace_id)
    VALUES ('p', 'r', 'instance_admin', NULL), ('q', 'a', 'workspace_editor', 'here'),
           ('t', 'a', 'workspace_admin', 'gone');
"""


@pytest.mark.parametrize("users", [True, False])
def test_what_an_admin_had_written_is_trusted_and_deleted_workspaces_end(
    store: Store, tmp_path: Path, users: bool
) -> None:
    first = tmp_path / "first"
    shutil.copytree(MIGRATIONS, first, ignore=shutil.ignore_patterns("__pycache__", "000[3-9]*", "00[1-9]*"))
    assert upgrade(store, first) == ["0001", "0002"]
    with sqlite3.connect(store.path or "") as db:
        db.executescript(OLD_ROWS + (OLD_USERS if users else ""))
    assert "0003" in upgrade(store)
    with sqlite3.connect(store.path or "") as db:
        trusted = {name for (name,) in db.execute("SELECT id FROM sources WHERE trusted AND deleted_at_ms IS NULL")}
        deleted = list(db.execute("SELECT id FROM sources WHERE deleted_at_ms = 7"))
        ends = list(db.execute("SELECT deleted_at_ms FROM destinations"))
        left = list(db.execute("SELECT workspace_id FROM permissions WHERE workspace_id = 'gone'"))
    assert trusted == ({"admins", "renamed"} if users else {"admins", "editors", "renamed", "custom", "unknown"})
    assert (deleted, ends, left) == ([("left",)], [(7,)], [])


ENDED_JOBS = """
INSERT INTO jobs (id, workspace_id, connection_id, source_id, kind, status, cause, options, attempts, failures,
        most_attempts, run_after_ms, cancel, epoch, records, nbytes, created_at_ms, updated_at_ms, ended_at_ms)
    VALUES (1, 'w', 'c', 's', 'sync', 'succeeded', 'manual', '{}', 2, 0, 3, 0, 0, 1, 0, 0, 0, 0, 86400000),
           (2, 'w', 'c', 's', 'sync', 'failed', 'manual', '{}', 0, 0, 3, 0, 0, 1, 0, 0, 0, 0, 86400001),
           (3, 'w', 'c', 's', 'sync', 'running', 'manual', '{}', 1, 0, 3, 0, 0, 1, 0, 0, 0, 0, NULL);
INSERT INTO attempts (job_id, number, status, worker, epoch, started_at_ms, streams)
    VALUES (1, 1, 'failed', 'w', 1, 0, '{"a": {"read": 5, "figures": {"tokens": 7}}}'),
           (1, 2, 'succeeded', 'w', 1, 0,
            '{"a": {"read": 6, "written": 6, "bytes": 60,
                    "figures": {"tokens": 10, "chunks_embedded": 2, "cost_usd": 0.5}}}');
INSERT INTO audit (at_ms, actor, action, kind, resource_id, changes)
    VALUES (1, 'ada@x', 'create', 'source', 'admins', '{}');
"""


def test_what_older_jobs_moved_and_who_created_a_source_is_known_after_the_upgrade(
    store: Store, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    shutil.copytree(MIGRATIONS, before, ignore=shutil.ignore_patterns("__pycache__", "000[89]*", "00[1-9]*"))
    upgrade(store, before)
    with sqlite3.connect(store.path or "") as db:
        db.executescript(OLD_ROWS + ENDED_JOBS)
    assert "0008" in upgrade(store)
    with sqlite3.connect(store.path or "") as db:
        owners = dict(db.execute("SELECT id, created_by FROM sources WHERE id IN ('admins', 'editors', 'unknown')"))
        names = "day, jobs, failed, read, written, bytes, chunks, tokens, unpriced_tokens, cost_usd"
        days = list(db.execute(f"SELECT {names} FROM consumption"))
    assert owners == {"admins": "ada@x", "editors": "ada@x", "unknown": ""}
    assert days == [("1970-01-02", 2, 1, 11, 6, 60, 2, 17, 7, 0.5)]
