"""`kitestring up` (or api, or worker) in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.preloaded_command import PreloadedCommand

ROOT = Path(__file__).parents[3]


class Running:
    """A process of the server, the API on a free port. `url` is where it is reached, "" for a worker.

    It is forked from one that has imported the server already; where it is `new`, it starts as a user starts it.
    """

    process: subprocess.Popen[bytes] | PreloadedCommand

    def __init__(
        self, folder: Path, verb: str = "up", name: str = "up", *, new: bool = False, **environment: str
    ) -> None:
        self.folder = folder
        self.log = folder / f"{name}.log"
        variables = {**os.environ, "KITESTRING_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), **environment}
        variables.pop("KITESTRING_SERVER", None)
        self.environment = variables
        self.began = time.monotonic()
        words = [verb, *([] if verb == "worker" else ["--port", "0"])]
        with self.log.open("w") as log:
            if new:
                command = [sys.executable, "-m", "kitestring", *words]
                self.process = subprocess.Popen(command, cwd=folder, env=variables, stderr=log)
            else:
                self.process = PreloadedCommand(words, folder, variables, log.fileno(), log.fileno())
        while " is up" not in (output := self.log.read_text()):
            assert self.process.poll() is None, output
            assert time.monotonic() - self.began < 600, output
            time.sleep(0.05)
        self.url = output.split(" is up at ")[1].split()[0] if " is up at " in output else ""
        self.ready_s = time.monotonic() - self.began

    def command(self, *words: str, code: int = 0) -> str:
        """What a command prints that talks to this server."""
        return self.local_command("--server", self.url, *words, code=code)

    def local_command(self, *words: str, code: int = 0, stdin: str = "") -> str:
        """What a command prints that works on the data folder of this server."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
            files = out.fileno(), errors.fileno()
            status = PreloadedCommand(words, self.folder, self.environment, *files, stdin=stdin).wait()
            for file in (out, errors):
                file.seek(0)
            printed, wrong = out.read(), errors.read()
        assert status == code, f"{status}\n{printed}\n{wrong[-3000:]}"
        return printed if code == 0 else printed + wrong

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(600)
