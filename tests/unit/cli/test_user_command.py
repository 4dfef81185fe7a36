"""`kitestring user` and `kitestring secrets`: they work on the store of this machine's settings."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kitestring.cli.command_line import app

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KITESTRING_HOME", str(tmp_path))
    return tmp_path


def run(*words: str, typed: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words), input=typed)
    return done.exit_code, done.output


def test_users_are_added_changed_and_removed(home: Path) -> None:
    code, out = run("user", "add", "ada@example.com", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert (code, "instance_admin" in out, PASSWORD in out) == (0, True, False)
    add = ("user", "add", "bob@example.com", "--role", "workspace_editor")
    assert run(*add, "--password-stdin", typed="short\n")[0] == 2
    assert run(*add, "--no-password")[0] == 0
    assert run("user", "role", "bob@example.com", "workspace_reader")[0] == 0
    out = run("user", "list")[1]
    assert "ada@example.com\tinstance_admin" in out
    assert "bob@example.com\tworkspace_reader" in out
    assert run("user", "role", "bob@example.com", "workspace_god")[0] == 2
    assert run("user", "role", "bob@example.com", "none")[0] == 0
    assert "bob@example.com\tno role" in run("user", "list")[1]
    assert run("user", "disable", "bob@example.com")[0] == 0
    assert "bob@example.com (disabled)" in run("user", "list")[1]
    assert run("user", "passwd", "nobody@example.com", "--password-stdin", typed=f"{PASSWORD}\n")[0] == 2
    assert run("user", "remove", "bob@example.com")[0] == 0
    assert run("user", "remove", "ada@example.com")[0] == 2
    assert run("user", "remove", "ada@example.com", "--even-last")[0] == 0


def test_a_new_key_goes_in_front_and_the_old_one_stays_until_it_is_taken_away(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("user", "list")[0] == 0
    old = (home / "secret.key").read_text().strip()
    code, out = run("secrets", "rotate", "--new-key")
    assert (code, "0 sources" in out) == (0, True)
    new, _, kept = (home / "secret.key").read_text().strip().partition(",")
    assert kept == old
    assert len(base64.b64decode(new)) == 32
    assert (home / "secret.key").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("KITESTRING_SECRET_KEY", new)
    assert run("secrets", "rotate", "--new-key")[0] == 2
    assert run("secrets", "rotate")[0] == 0
