"""A BigQuery on the loopback interface: bqemulator in a process of its own, with what it lacks.

Its environment is separate, since it needs another version of sqlglot than fakesnow. It does not require numpy, without
which it does not start: it gets that of the tests.

- DuckDB's extensions for geography and Avro are not loaded: they would be downloaded.
- Names have up to 1,024 characters.
- `CREATE TABLE … COPY` is a copy of the rows.
- ALTER TABLE adds several columns, and a comma joins tables whose names are quoted.
- The API shows the columns that ALTER TABLE has added.
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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

COPY = re.compile(r"(CREATE OR REPLACE TABLE \S+) COPY (\S+) (OPTIONS \(.*\))$", re.DOTALL)

ALTERED = re.compile(r"ALTER TABLE (?:`\w+`\.)?`(\w+)`\.`(\w+)` ADD COLUMN")
JOINED = re.compile(r", ([\w`.]+ AS incoming)\b")
ADDED = re.compile(r"ADD COLUMN `([^`]+)` (\w+)")


@contextmanager
def bigquery_server(python: str) -> Iterator[str]:
    """The address of the API. `python`: that of an environment with bqemulator."""
    ports = [free_port(), free_port()]
    numpy = str(Path(find_spec("numpy").origin).parents[1])  # type: ignore[union-attr, arg-type]
    process = subprocess.Popen([python, __file__, *map(str, ports), numpy])
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
    rest, grpc, numpy = sys.argv[1:]
    sys.path.append(numpy)
    from bqemulator import cli, server
    from bqemulator.api.routes import jobs, tables
    from bqemulator.storage import engine, sql_identifiers

    sql_identifiers._SQL_SAFE_ID_RE = re.compile(r"\w[\w-]{0,1023}")
    engine.DuckDBEngine._load_spatial = lambda self: None
    engine.DuckDBEngine._load_format_extensions = lambda self: None
    run, create = jobs.execute_query_job, server.create_app

    async def corrected(project: str, job: str, statement: str, *arguments: Any, **options: Any) -> Any:
        altered = ALTERED.match(statement)
        if altered and ", ADD COLUMN" in statement:
            first, _, rest = statement.partition(", ADD COLUMN")
            await corrected(project, f"{job}_first", first, *arguments, **options)
            return await corrected(project, job, f"{altered[0]}{rest}", *arguments, **options)
        copied = COPY.sub(r"\1 \3 AS SELECT * FROM \2", statement.strip())
        copied = JOINED.sub(r" CROSS JOIN \1", copied)
        known = "SELECT 1" if copied == "CALL BQ.ABORT_SESSION()" else copied
        result = await run(project, job, known, *arguments, **options)
        if altered:
            catalog = next(value for value in (*arguments, *options.values()) if hasattr(value, "catalog")).catalog
            table = catalog.get_table(project, altered[1], altered[2])
            fields = [{"name": name, "type": type_} for name, type_ in ADDED.findall(known)]
            schema = tables.TableSchema(fields=(*table.schema_.fields, *tables._parse_schema_fields(fields)))
            catalog.update_table(table.model_copy(update={"schema_": schema}))
        return result

    def with_tokens(context: Any) -> Any:
        app = create(context)
        answer = {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}
        app.add_api_route("/token", lambda: answer, methods=["POST"])
        return app

    jobs.execute_query_job, server.create_app = corrected, with_tokens
    cli.main(["start", "--rest-port", rest, "--grpc-port", grpc, "--log-level", "error"])


if __name__ == "__main__":
    main()
