"""A real Milvus server for tests, on loopback, one for the run: the standalone binary in the wheel milvus 2.3.5.

`KITESTRING_MILVUS_URI` names a server that runs already; otherwise the wheel is installed once into a cache folder.
Where neither works, the tests that need it are skipped with the reason.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

WHEEL = "milvus==2.3.5"
READY_S = 90.0


@pytest.fixture(scope="session")
def milvus_server() -> Iterator[str]:
    """The uri of a server without credentials."""
    given = os.environ.get("KITESTRING_MILVUS_URI")
    if given:
        yield given
        return
    yield from serve()


@pytest.fixture(scope="session")
def guarded_milvus_server() -> Iterator[str]:
    """The uri of a server that asks for credentials: root with the password Milvus, to begin with."""
    yield from serve("--authorization-enabled", "true")


def serve(*options: str) -> Iterator[str]:
    program = installed()
    folder = Path(tempfile.mkdtemp(prefix="kitestring-milvus-"))
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with (folder / "out").open("w") as out:
        child = subprocess.Popen(
            [str(program), "--data", str(folder / "data"), "--proxy-port", str(port), *options],
            stdout=out,
            stderr=out,
            cwd=folder,
            start_new_session=True,
        )
    try:
        if not answers(uri, child):
            pytest.skip(f"the Milvus server did not start within {READY_S:.0f} s")
        yield uri
    finally:
        # It ignores SIGTERM, and killing the wrapper alone would leave the server behind.
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        shutil.rmtree(folder, ignore_errors=True)


def installed() -> Path:
    """The server's program, in an environment of its own that is kept for the next run."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kitestring-tests" / WHEEL
    program = cache / "bin" / "milvus-server"
    if program.exists():
        return program
    try:
        subprocess.run([sys.executable, "-m", "venv", str(cache)], check=True, capture_output=True, timeout=120)
        pip = [str(cache / "bin" / "python"), "-m", "pip", "install", "--quiet", WHEEL]
        subprocess.run(pip, check=True, capture_output=True, timeout=600)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(cache, ignore_errors=True)
        pytest.skip(f"{WHEEL} cannot be installed here: {error}")
    return program


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(uri: str, child: subprocess.Popen[bytes]) -> bool:
    """Whether it serves within the time: a connection that is refused for its credentials is an answer too."""
    from pymilvus import MilvusClient

    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and child.poll() is None:
        for token in ("", "root:Milvus"):
            try:
                client = MilvusClient(uri, token=token, timeout=2)
                client.list_collections(timeout=2)
                client.close()
            except Exception:
                time.sleep(0.5)
            else:
                return True
    return False
