"""`kitestring up` (or api, or worker) in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]


class Running:
    """A process of the server, the API on a free port. `url` is where it is reached, "" for a worker."""

    def __init__(self, folder: Path, verb: str = "up", name: str = "up", **environment: str) -> None:
        self.folder = folder
        self.log = folder / f"{name}.log"
        variables = {**os.environ, "KITESTRING_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), **environment}
        variables.pop("KITESTRING_SERVER", None)
        self.environment = variables
        self.began = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kitestring", verb, *([] if verb == "worker" else ["--port", "0"])],
                cwd=folder,
                env=variables,
                stderr=log,
            )
        while " is up" not in (said := self.log.read_text()):
            assert self.process.poll() is None, said
            assert time.monotonic() - self.began < 600, said
            time.sleep(0.05)
        self.url = said.split(" is up at ")[1].split()[0] if " is up at " in said else ""
        self.ready_s = time.monotonic() - self.began

    def command(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "kitestring", "--server", self.url, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr[-3000:]}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)
