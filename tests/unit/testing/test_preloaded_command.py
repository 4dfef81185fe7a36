"""Commands in processes that are forked from one that has imported them end, print and stop as new ones do."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.preloaded_command import PreloadedCommand

pytestmark = pytest.mark.slow


def run(folder: Path, *words: str, stdin: str = "", **environment: str) -> tuple[int, str, str]:
    """The exit code of a command, and what it prints on each stream."""
    variables = {**os.environ, "KITESTRING_HOME": str(folder / "home"), **environment}
    with (folder / "out").open("w+") as out, (folder / "errors").open("w+") as errors:
        command = PreloadedCommand(words, folder, variables, out.fileno(), errors.fileno(), stdin=stdin)
        status = command.wait()
    return status, (folder / "out").read_text(), (folder / "errors").read_text()


def test_a_command_has_its_folder_its_environment_its_input_and_its_exit_code(tmp_path: Path) -> None:
    assert run(tmp_path, "spec", "sample")[1].startswith("source sample\n")
    status, out, errors = run(tmp_path, "spec", "nothing-like-it")
    assert (status, out) == (2, "")
    assert "nothing-like-it" in errors
    status, out, errors = run(tmp_path, "user", "add", "a@example.com", "--password-stdin", stdin="too short")
    assert status == 2, out + errors
    assert "the password has 9 characters" in errors
    other = tmp_path / "elsewhere"
    assert run(tmp_path, "user", "add", "a@example.com", "--password-stdin", stdin="a long password")[0] == 0
    assert "a@example.com" in run(tmp_path, "user", "list")[1]
    assert "a@example.com" not in run(tmp_path, "user", "list", KITESTRING_HOME=str(other))[1]


@pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)])
def test_a_server_ends_with_the_status_of_its_signal(tmp_path: Path, sign: int, status: int) -> None:
    variables = {**os.environ, "KITESTRING_HOME": str(tmp_path / "home")}
    with (tmp_path / "log").open("w+") as log:
        command = PreloadedCommand(["up", "--port", "0"], tmp_path, variables, log.fileno(), log.fileno())
    while " is up at " not in (tmp_path / "log").read_text():
        assert command.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.02)
    command.send_signal(sign)
    assert command.wait() == status
