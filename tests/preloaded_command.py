"""The command line in processes that are forked from one that has imported it: a server starts for a third of the work.

    process = PreloadedCommand(["up", "--port", "0"], folder, environment, stdout, stderr)
    done = preloaded_python("-c", "import kitestring", environment=os.environ)

Other Python programs that import Kitestring run likewise: to start one takes one to two seconds of CPU time.
Passwords are hashed with the cheapest parameters there, as in the process of the tests. What a start itself has to
import is tested where `python -m kitestring` runs: `test_cli.py`, `test_wheel.py`, `test_killed_server.py`.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import sys
import tempfile
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

from kitestring.server.jobs import forkserver
from kitestring.server.jobs.forkserver import ForkServer, serve

LEASE_S = 86_400.0


class PreloadedCommand:
    """A running command. It has what tests use of a `Popen`."""

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: int,
        stderr: int,
        stdin: str = "",
        *,
        python: bool = False,
    ) -> None:
        """`python`: the words are those of Python (`-c TEXT …` or `FILE …`), not of the command line."""
        order = {
            "words": list(words),
            "folder": str(folder),
            "environment": dict(environment),
            "stdin": stdin,
            "python": python,
        }
        read, write = os.pipe()
        self._child = fork_server().spawn(read, os.dup(stdout), os.dup(stderr), LEASE_S)
        with open(write, "w", encoding="utf-8") as pipe:
            json.dump(order, pipe)
        self.pid = self._child.pid

    def poll(self) -> int | None:
        return self._child.status

    def wait(self, timeout_s: float | None = None) -> int:
        if not self._child.wait(timeout_s):
            raise TimeoutExpired("kitestring", timeout_s or 0)
        assert self._child.status is not None
        return self._child.status

    def send_signal(self, sign: int) -> None:
        self._child.kill(sign)

    def terminate(self) -> None:
        self._child.kill(signal.SIGTERM)

    def kill(self) -> None:
        self._child.kill()


def preloaded_python(
    *words: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Run a Python program to its end: `-c TEXT …`, or `FILE …`."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = PreloadedCommand(
            words, folder or Path.cwd(), environment or os.environ, out.fileno(), errors.fileno(), python=True
        )
        status = process.wait()
        for file in (out, errors):
            file.seek(0)
        return CompletedProcess(words, status, out.read(), errors.read())


@functools.cache
def fork_server() -> ForkServer:
    """One for all tests of this process. It ends with it."""
    from tests.preloaded_forkserver import fork_servers

    program = fork_servers().program if sys.platform == "linux" else forkserver.PROGRAM
    server = ForkServer(program=(__file__, *program))
    atexit.register(server.close)
    return server


def run() -> int:
    """Run the command or the program that standard input names; its exit code."""
    from kitestring.cli import main

    with open(0, encoding="utf-8", closefd=False) as pipe:
        order = json.load(pipe)
    with tempfile.TemporaryFile() as stdin:
        stdin.write(order["stdin"].encode())
        stdin.seek(0)
        os.dup2(stdin.fileno(), 0)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    places = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:0] = [place for place in places if place not in sys.path]
    try:
        if order["python"]:
            run_python(order["words"])
        else:
            sys.argv = ["kitestring", *order["words"]]
            main()
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
    return 0


def run_python(words: list[str]) -> None:
    """Run a program as Python would with these words."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        text, file = words[1], "<string>"
    else:
        sys.argv = words
        text, file = Path(words[0]).read_text("utf-8"), words[0]
        module.__file__ = file
        sys.path.insert(0, str(Path(file).resolve().parent))
    try:
        exec(compile(text, file, "exec"), vars(module))
    finally:
        atexit._run_exitfuncs()


def preload() -> None:
    """Import what a server and the commands about it need. None of it may start a thread."""
    import gc

    import alembic.command
    import alembic.migration  # noqa: F401
    import uvicorn.loops.auto
    import uvicorn.protocols.http.auto  # noqa: F401

    import kitestring.cli.command_line
    import kitestring.cli.server
    import kitestring.client
    import kitestring.server.app
    import kitestring.server.connections.scheduler
    import kitestring.server.connections.unsealed_secrets
    import kitestring.server.http.header_timeout
    import kitestring.server.jobs.job_end
    import kitestring.server.jobs.worker
    import kitestring.server.notifications.outbox
    import kitestring.server.run  # noqa: F401
    from kitestring.server.auth import password

    password.PASSES, password.MEMORY_KIB, password.LANES = 1, 8, 1
    threads = len(list(Path("/proc/self/task").iterdir())) if sys.platform == "linux" else 1
    assert threads == 1, f"an import has started {threads - 1} threads, which no child would have"
    gc.freeze()


if __name__ == "__main__":
    preload()
    forkserver.PROGRAM = sys.argv[1:-1]
    serve(int(sys.argv[-1]), run)
