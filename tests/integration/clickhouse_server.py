"""ClickHouse for tests of the destination: its stand-in over chdb, in a process that can be killed."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "reader", "se'cr+t 1"
TESTS = Path(__file__).parents[1]


@dataclass
class ClickhouseServer:
    """The process, on a folder that keeps its data."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self) -> None:
        command = [sys.executable, "-m", "stand_ins.clickhouse", str(self.folder), str(self.port)]
        self.process = subprocess.Popen(
            command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def config(self) -> dict[str, Any]:
        """What a connector needs to connect."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "database": "kept",
            "username": USER,
            "password": PASSWORD,
        }

    def run(self, statement: str, **settings: Any) -> list[dict[str, Any]]:
        """Run a statement as a reader does who has `final` on; the rows."""
        import pyarrow as pa

        body = self._post(f"/?{query_of(settings)}", statement.encode())
        return list(pa.ipc.open_stream(body).read_all().to_pylist()) if body else []

    def fail(self, failures: Mapping[str, tuple[int, int, str, bool]]) -> None:
        """See `ClickhouseStandIn.failures`."""
        self._post("/failures", json.dumps(failures).encode())

    def _post(self, path: str, body: bytes) -> bytes:
        from urllib.request import Request, urlopen

        headers = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD}
        request = Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method="POST")
        with urlopen(request) as answer:
            received: bytes = answer.read()
        return received


def query_of(settings: Mapping[str, Any]) -> str:
    from urllib.parse import urlencode

    reading = {"final": 1, "default_format": "ArrowStream", "output_format_arrow_string_as_string": 1}
    # `CREATE TABLE t (id INTEGER)` of the contract names no engine.
    plain = {"create_table_empty_primary_key_by_default": 1, "output_format_arrow_compression_method": "none"}
    return urlencode({**reading, **plain, **settings})


@contextmanager
def running() -> Iterator[ClickhouseServer]:
    """A server with a new folder."""
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("chdb is not installed here")
    with tempfile.TemporaryDirectory() as folder:
        server = ClickhouseServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                os.kill(server.pid, signal.SIGKILL)
                server.process.wait()


@pytest.fixture(scope="session")
def clickhouse_server() -> Iterator[ClickhouseServer]:
    """One for each worker of a run."""
    with running() as server:
        yield server
