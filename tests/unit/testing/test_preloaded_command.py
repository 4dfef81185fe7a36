"""Commands in processes that are forked from one that has imported them end, print and stop as new ones do."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from kitestring.server.jobs.forkserver import ForkServer
from tests.preloaded_command import PreloadedCommand, preloaded_python
from tests.preloaded_forkserver import ForkServers

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


def test_a_python_program_has_its_words_its_folder_its_path_and_its_status(tmp_path: Path) -> None:
    places = tmp_path / "places"
    places.mkdir()
    (places / "a_place.py").write_text("NAME = 'from a place'")
    (tmp_path / "beside.py").write_text("NAME = 'from beside'")
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, a_place, beside\n"
        "print(__name__, sys.argv[1:], os.getcwd(), a_place.NAME, beside.NAME)\n"
        "sys.exit(3)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(places)}
    done = preloaded_python(str(program), "one", "two", folder=tmp_path, environment=environment)
    assert done.returncode == 3, done.stderr
    assert done.stdout == f"__main__ ['one', 'two'] {tmp_path.resolve()} from a place from beside\n"
    done = preloaded_python("-c", "import sys; sys.exit('the reason: ' + sys.argv[1])", "it is late")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "the reason: it is late\n")
    done = preloaded_python("-c", "def ends():\n    return 1 / 0\nends()")
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each fork server starts by itself")
def test_a_forked_fork_server_ends_as_one_that_was_started() -> None:
    fork_servers = ForkServers()
    try:
        for end in (ForkServer.close, lambda server: os.kill(server.pid, signal.SIGKILL)):
            server = ForkServer(fork_servers.program)
            read, write = os.pipe()
            child = server.spawn(read, os.open(os.devnull, os.O_WRONLY), os.dup(2), 600.0)
            parent = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[1])
            assert parent != server.pid
            end(server)
            assert child.wait(300)
            for pid in (parent, child.pid):
                while Path(f"/proc/{pid}").exists():
                    time.sleep(0.02)
            os.close(write)
            server.close()
    finally:
        fork_servers.close()


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
