"""A BigQuery on the loopback interface: bqemulator in a process of its own, with what it lacks.

Its environment is separate: it needs another version of sqlglot than fakesnow.

- DuckDB's extensions for geography and Avro are not loaded: they would be downloaded.
- `CREATE TABLE … COPY` is a copy of the rows.
"""

from __future__ import annotations

import functools
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

COPY = re.compile(r"(CREATE OR REPLACE TABLE \S+) COPY (\S+) (OPTIONS \(.*\))$", re.DOTALL)


@contextmanager
def bigquery_server(python: str) -> Iterator[str]:
    """The address of the API. `python`: that of an environment with bqemulator."""
    ports = [free_port(), free_port()]
    process = subprocess.Popen([python, __file__, *map(str, ports)])
    address = f"http://127.0.0.1:{ports[0]}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}/bigquery/v2/projects/p/datasets", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@functools.cache
def service_account(server: str) -> str:
    """The key of a service account, whose tokens come from a server that gives any."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "shop",
            "client_email": "writer@shop.iam.gserviceaccount.com",
            "private_key": pem,
            "token_uri": f"{server}/token",
        }
    )


def main() -> None:
    from bqemulator import cli, server
    from bqemulator.api.routes import jobs
    from bqemulator.storage import engine

    engine.DuckDBEngine._load_spatial = lambda self: None
    engine.DuckDBEngine._load_format_extensions = lambda self: None
    run, create = jobs.execute_query_job, server.create_app

    async def corrected(project: str, job: str, statement: str, *arguments: Any, **options: Any) -> Any:
        copied = COPY.sub(r"\1 \3 AS SELECT * FROM \2", statement.strip())
        known = "SELECT 1" if copied == "CALL BQ.ABORT_SESSION()" else copied
        return await run(project, job, known, *arguments, **options)

    def with_tokens(context: Any) -> Any:
        app = create(context)
        answer = {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}
        app.add_api_route("/token", lambda: answer, methods=["POST"])
        return app

    jobs.execute_query_job, server.create_app = corrected, with_tokens
    rest, grpc = sys.argv[1:]
    cli.main(["start", "--rest-port", rest, "--grpc-port", grpc, "--log-level", "error"])


if __name__ == "__main__":
    main()
