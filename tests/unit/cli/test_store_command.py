"""Copies of the store by the command line: taken beside a running server, put back only without one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kitestring.cli.command_line import app
from kitestring.server.context import Context
from kitestring.server.notifications.notification_settings import seal_channels
from kitestring.server.settings import Settings
from kitestring.server.workspaces import workspaces


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KITESTRING_HOME", str(tmp_path / "home"))
    for name in ("KITESTRING_DATABASE_URL", "KITESTRING_SERVER", "KITESTRING_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return done.output


def name_of(home: Path, name: str = "") -> str:
    """The name of the first workspace, another one if it is given."""
    context = Context.of(Settings(home=home))
    try:
        with context.store.write() as db:
            row = workspaces.default(db)
            if name:
                messages = {"failure": {"webhook": {"enabled": True, "url": f"https://hooks.example.com/{name}"}}}
                kept = seal_channels(context.secret_box, row.id, messages, row.notifications)
                workspaces.change(db, row.id, {"name": name, "notifications": kept})
            return str(workspaces.default(db).name)
    finally:
        context.close()


@pytest.mark.slow
def test_a_copy_is_taken_while_a_server_runs_and_put_back_when_none_does(home: Path, tmp_path: Path) -> None:
    name_of(home, "before")
    copy = tmp_path / "copy.sqlite"
    running = Context.of(Settings(home=home))
    output = run("store", "backup", "copy.sqlite")
    assert "secret.key" in output
    assert (copy.stat().st_mode & 0o777, not copy.with_name("copy.sqlite-wal").exists()) == (0o600, True)
    assert "is there already" in run("store", "backup", "copy.sqlite", code=2)
    run("store", "backup", "copy.sqlite", "--force")
    assert "is in use" in run("store", "restore", "copy.sqlite", "--yes", code=2)
    running.close()
    name_of(home, "after")
    assert "Add --yes" in run("store", "restore", "copy.sqlite", code=2)
    output = run("store", "restore", "copy.sqlite", "--yes")
    assert name_of(home) == "before"
    assert "before-restore" in output
    (saved,) = (home / "backups").glob("*before-restore.sqlite")
    run("store", "restore", str(saved), "--yes")
    assert name_of(home) == "after"


def test_a_copy_goes_to_the_folder_of_backups_without_a_name(home: Path) -> None:
    name_of(home, "x")
    assert str(home / "backups") in run("store", "backup")


def test_what_is_no_copy_is_damaged_newer_or_sealed_with_another_key_is_told(home: Path, tmp_path: Path) -> None:
    assert "there is no store" in run("store", "backup", code=2)
    name_of(home, "x")
    (tmp_path / "text").write_text("not a store")
    assert "is not a copy" in run("store", "restore", "text", "--yes", code=2)
    assert "there is no file" in run("store", "restore", "nowhere", "--yes", code=2)
    run("store", "backup", "copy.sqlite")
    (home / "secret.key").unlink()
    assert "1 sources, destinations or other rows" in run("store", "restore", "copy.sqlite", "--yes")
    with sqlite3.connect(tmp_path / "copy.sqlite") as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "a newer Kitestring" in run("store", "restore", "copy.sqlite", "--yes", code=2)


def test_a_store_on_postgresql_is_left_to_its_own_tools(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITESTRING_DATABASE_URL", "postgresql://kite:secret-word@db.example/kite")
    output = run("store", "backup", code=2)
    assert "pg_dump" in output
    assert "secret-word" not in output
