"""A real Milvus server for tests, on loopback, one for the run: the standalone binary in the wheel milvus 2.3.5.

`KITESTRING_MILVUS_URI` names a server that runs already and knows the user of `TOKEN`; otherwise the wheel is installed
once into a cache folder. Where neither works, the tests that need it are skipped with the reason.
"""

from __future__ import annotations

import fcntl
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
from typing import IO

import pytest

WHEEL = "milvus==2.3.5"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kitestring-tests"
ADDRESS = CACHE / "address"
TOKEN = "root:Milvus"
ETCD_PORT = 2380
READY_S, TURN_S = 90.0, 180.0
TIMERS = ("queryCoord.distPullInterval=50", "proxy.timeTickInterval=50")
"""Milliseconds. The server's own intervals are up to 20 times as long, and a new collection waits for each in turn."""
MORE_TIMERS = {"QUERYCOORD_CHECKCHANNELINTERVAL": "50", "QUERYCOORD_CHECKSEGMENTINTERVAL": "50"}
"""Of those that the wheel's template does not have; Milvus takes any setting from the environment."""


@pytest.fixture(scope="module")
def guarded_milvus_server() -> Iterator[str]:
    """The uri of a server that asks for credentials: those of `TOKEN`. It does not outlive its module: it is busy while
    nobody asks it."""
    response = os.environ.get("KITESTRING_MILVUS_URI")
    if response:
        yield response
        return
    program = installed()
    # Its etcd listens on a port that cannot be chosen, so there is one server on a machine at a time: whoever holds
    # `owner` runs it and has written its address; the others hold `users` as long as they need it.
    deadline = time.monotonic() + TURN_S
    with (CACHE / "owner").open("w") as owner, (CACHE / "users").open("w") as users:
        while time.monotonic() < deadline:
            fcntl.flock(users, fcntl.LOCK_SH)
            if ADDRESS.exists() and answers(ADDRESS.read_text(), 5.0):
                yield ADDRESS.read_text()
                return
            fcntl.flock(users, fcntl.LOCK_UN)
            if alone(owner):
                ADDRESS.unlink(missing_ok=True)
                yield from serve(program, users)
                return
            time.sleep(1.0)
    pytest.skip(f"another Milvus server has been running on this machine for {TURN_S:.0f} s")


def alone(owner: IO[str]) -> bool:
    """Whether no other server runs here, of another test run or of anything else."""
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as single_socket:
            single_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            single_socket.bind(("127.0.0.1", ETCD_PORT))
    except OSError:
        fcntl.flock(owner, fcntl.LOCK_UN)
        return False
    return True


def serve(program: Path, users: IO[str]) -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="kitestring-milvus-"))
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    options = ["--data", str(folder / "data"), "--proxy-port", str(port), "--authorization-enabled", "true"]
    options += [option for timer in TIMERS for option in ("--extra-config", timer)]
    # The wheel unpacks 200 MB into its data folder wherever they are not there yet.
    (folder / "data").mkdir()
    (folder / "data" / "bin").symlink_to(program.parents[1] / "unpacked")
    with (folder / "out").open("w") as out:
        child = subprocess.Popen(
            [str(program), *options],
            stdout=out,
            stderr=out,
            cwd=folder,
            env={**os.environ, **MORE_TIMERS},
            start_new_session=True,
        )
    try:
        if not answers(uri, READY_S):
            pytest.skip(f"the Milvus server did not start within {READY_S:.0f} s")
        ADDRESS.write_text(uri)
        yield uri
    finally:
        ADDRESS.unlink(missing_ok=True)
        fcntl.flock(users, fcntl.LOCK_EX)  # until the others have done
        # It ignores SIGTERM, and killing the wrapper alone would leave the server behind.
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        shutil.rmtree(folder, ignore_errors=True)


def installed() -> Path:
    """The server's program, in an environment of its own that is kept for the next run."""
    cache = CACHE / WHEEL
    program = cache / "bin" / "milvus-server"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "milvus-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists():
            (cache / "unpacked").mkdir(exist_ok=True)
            return program
        try:
            subprocess.run([sys.executable, "-m", "venv", str(cache)], check=True, capture_output=True)
            pip = [str(cache / "bin" / "python"), "-m", "pip", "install", "--quiet", WHEEL]
            subprocess.run(pip, check=True, capture_output=True, timeout=600)
            (cache / "unpacked").mkdir(exist_ok=True)
        except (OSError, subprocess.SubprocessError) as error:
            shutil.rmtree(cache, ignore_errors=True)
            pytest.skip(f"{WHEEL} cannot be installed here: {error}")
    return program


def free_port() -> int:
    with socket.socket() as single_socket:
        single_socket.bind(("127.0.0.1", 0))
        return int(single_socket.getsockname()[1])


def answers(uri: str, within_s: float) -> bool:
    """Whether it serves within the time."""
    from pymilvus import MilvusClient

    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            client = MilvusClient(uri, token=TOKEN, timeout=2)
            client.list_collections(timeout=2)
            client.close()
        except Exception:
            time.sleep(0.5)
        else:
            return True
    return False
