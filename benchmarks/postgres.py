"""A PostgreSQL table of 2,000,000 rows and 12 columns into PostgreSQL, DuckDB and Parquet, beside floors and peers.

    python benchmarks/postgres.py [--rows 2000000] [--rounds 3] [--only postgres] [--no-peers]

`postgres`: full refresh overwrite without and with Airbyte's columns, beside `COPY` to `COPY` (two `psql`, one pipe),
ingestr, dlt and sling (`peers.py` installs them). `load`, `changes`: append_dedup of a tenth of the rows into an empty
table, and of a tenth of those that have changed, beside the same by hand. `percent`: the sync of a hundredth of all
rows that changed, beside the first sync. `duckdb` and `parquet`: beside ADBC's record
batches written by hand. Both ends are databases of one server, that of the tests, with `fsync` on. What was written is
counted after each run, outside its time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from peers import QUIET, program
from rounds import Command, Run, rounds, show

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT)]
SERVER = "-c max_wal_size=8GB -c shared_buffers=512MB -c checkpoint_timeout=30min"

TABLE = """
CREATE TABLE {name} (
    id bigint PRIMARY KEY, customer_id integer NOT NULL, amount numeric(12,2), weight double precision, paid boolean,
    name text, email varchar(100), note text, country char(2), created_at timestamptz, updated_at timestamp, day date
)"""
ROWS = """
INSERT INTO {name}
SELECT n, n % 50000, (n % 100000) / 100.0, n / 7.0, n % 3 = 0, 'Customer number ' || n % 50000,
       'user' || n || '@example.com', CASE WHEN n % 4 > 0 THEN 'A note of some length about order ' || n END,
       (ARRAY['DE','FR','US','JP'])[1 + n % 4], '2024-01-01'::timestamptz + n * interval '1 second',
       '2024-01-01'::timestamp + n * interval '2 seconds', '2020-01-01'::date + n % 2000
FROM generate_series(1, {rows}) n"""
COLUMNS = TABLE.partition("(")[2].rpartition(")")[0].replace(" PRIMARY KEY", "")

KITESTRING = """
import json, sys
import kitestring as ks
order = json.loads(sys.argv[1])
result = ks.sync(
    ks.source("postgres", order["source"]),
    ks.destination(*order["destination"]),
    [ks.Selection(**order["selection"])],
    state=order["state"],
)
print(json.dumps(result.as_dict()))
sys.exit(not result.ok)
"""
PARQUET = """
import os, sys
import pyarrow.parquet as pq
from adbc_driver_postgresql import dbapi
os.makedirs(sys.argv[2])
with dbapi.connect(sys.argv[1]) as connection, connection.cursor() as cursor:
    cursor.execute("SELECT * FROM orders")
    with cursor.fetch_record_batch() as reader:
        with pq.ParquetWriter(sys.argv[2] + "/orders.parquet", reader.schema, compression=sys.argv[3]) as writer:
            for batch in reader:
                writer.write_batch(batch)
"""
DUCKDB = """
import sys
import duckdb
from adbc_driver_postgresql import dbapi
with dbapi.connect(sys.argv[1]) as connection, connection.cursor() as cursor, duckdb.connect(sys.argv[2]) as database:
    cursor.execute("SELECT * FROM orders")
    with cursor.fetch_record_batch() as reader:
        database.execute("CREATE TABLE orders AS SELECT * FROM reader")
"""
DLT = """
import sys, dlt
from dlt.sources.sql_database import sql_table
source = sys.argv[1].replace("postgresql:", "postgresql+psycopg2:")
table = sql_table(credentials=source, table="orders", backend="connectorx", chunk_size=100_000,
                  backend_kwargs={"return_type": "arrow"}, reflection_level="full_with_precision")
pipeline = dlt.pipeline("orders", pipelines_dir=sys.argv[3], dataset_name="dlt",
                        destination=dlt.destinations.postgres(sys.argv[2]))
pipeline.run(table, loader_file_format=sys.argv[4], write_disposition="replace")
"""
MERGE = """
\\set ON_ERROR_STOP 1
CREATE UNLOGGED TABLE staged (LIKE small);
\\copy staged FROM PSTDIN
INSERT INTO small SELECT * FROM staged
ON CONFLICT (id) DO UPDATE SET
(customer_id, amount, weight, paid, name, email, note, country, created_at, updated_at, day)
= ROW (excluded.customer_id, excluded.amount, excluded.weight, excluded.paid, excluded.name, excluded.email,
       excluded.note, excluded.country, excluded.created_at, excluded.updated_at, excluded.day)
WHERE (small.*) IS DISTINCT FROM (excluded.*);
DROP TABLE staged;
"""


@dataclass(frozen=True)
class Bench:
    """The two databases of one server, and how many rows are moved."""

    database: Any
    folder: Path
    rows: int

    def url(self, name: str) -> str:
        return f"postgresql://bench:bench@127.0.0.1:{self.database.port}/{name}"

    def config(self, name: str) -> dict[str, Any]:
        place = {"host": "127.0.0.1", "port": self.database.port, "database": name}
        return {**place, "username": "bench", "password": "bench"}

    def run(self, name: str, *statements: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = type(self.database)(self.database.port, name).run(*statements)
        return rows

    def empty(self, *statements: str) -> None:
        """An empty target, and no pages left to write that another run has made."""
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        self.run("postgres", "DROP DATABASE IF EXISTS target WITH (FORCE)", "CREATE DATABASE target")
        self.run("target", *statements, "CHECKPOINT")

    def kitestring(self, destination: list[Any], *, state: Path | None = None, **selection: Any) -> Command:
        usual = {"name": "orders", "namespace": "", "sync_mode": "full_refresh", "write_mode": "overwrite"}
        order = {
            "source": self.config("postgres"),
            "destination": destination,
            "selection": {**usual, **selection},
            "state": str(state) if state else False,
        }
        return [sys.executable, "-c", KITESTRING, json.dumps(order)]

    def to_postgres(self, columns: bool) -> list[Any]:
        return ["postgres", {**self.config("target"), "schema": "public", AIRBYTE_COLUMNS: columns}]


AIRBYTE_COLUMNS = "airbyte_columns"
OURS = {"PYTHONPATH": str(ROOT)}


def to_postgres(bench: Bench, peers: bool) -> tuple[dict[str, Run], str]:
    def verify(table: str) -> Callable[[], None]:
        def counts() -> None:
            figures = f"SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(amount)::text AS amount FROM {table}"
            have, wanted = bench.run("target", figures)[0], bench.run("postgres", figures.replace(table, "orders"))[0]
            assert have == wanted, f"{table} holds {have}, the source {wanted}"

        return counts

    source, target = bench.url("postgres"), bench.url("target")
    copy = "psql -q '{0}' -c 'COPY orders TO STDOUT{2}' | psql -q '{1}' -c 'COPY orders FROM STDIN{2}'"
    create = f"CREATE TABLE orders ({COLUMNS})"

    def piped(form: str, more: str = "") -> Run:
        line = f"set -o pipefail; {copy.format(source, target, form)}{more}"
        return Run(["bash", "-c", line], ready=lambda: bench.empty(create), verify=verify("orders"))

    index = f" && psql -q '{target}' -c 'ALTER TABLE orders ADD PRIMARY KEY (id)'"
    versions = {"replace": True, "keep": "all", "deletes": "keep"}
    runs = {
        "COPY to COPY": piped(""),
        "COPY to COPY, binary": piped(" (FORMAT binary)"),
        "COPY to COPY, then the primary key": piped("", index),
    }
    for name, columns, mode in (
        ("kitestring", False, "overwrite"),
        ("kitestring, all versions", False, versions),
        ("kitestring, with _airbyte_*", True, "overwrite"),
    ):
        command = bench.kitestring(bench.to_postgres(columns), write_mode=mode)
        runs[name] = Run(command, OURS, bench.empty, verify("orders"))
    if peers and (dlt := program("dlt")):
        for form in ("parquet", "csv"):
            line: Command = [dlt, "-c", DLT, source, target, bench.folder / "out", form]
            runs[f"dlt, connectorx, {form}"] = Run(line, QUIET, bench.empty, verify("dlt.orders"))
    if peers and (ingestr := program("ingestr")):
        ends = ["--source-uri", source, "--dest-uri", target, "--source-table", "public.orders"]
        line = [ingestr, "ingest", "--yes", "--progress", "log", *ends, "--dest-table", "public.orders"]
        line += ["--pipelines-dir", bench.folder / "out", "--sql-backend", "pyarrow"]
        runs["ingestr, pyarrow"] = Run(line, QUIET, bench.empty, verify("public.orders"))
    if peers and (sling := program("sling")):
        ends = ["--src-conn", f"{source}?sslmode=disable", "--tgt-conn", f"{target}?sslmode=disable"]
        line = [sling, "run", *ends, "--src-stream", "public.orders", "--tgt-object", "public.orders"]
        line += ["--mode", "full-refresh"]
        runs["sling"] = Run(
            line, {**QUIET, "SLING_HOME_DIR": str(bench.folder / "sling")}, bench.empty, verify("orders")
        )
    return runs, "COPY to COPY"


def deduplicated(bench: Bench, peers: bool, *, changes: bool) -> tuple[dict[str, Run], str]:
    """A first load, or the sync of the changes behind one, which is made outside the time."""
    small = bench.rows // 10
    state = bench.folder / "state.db"
    source, target = bench.url("postgres"), bench.url("target")
    tables = ("DROP TABLE IF EXISTS small", TABLE.format(name="small"), ROWS.format(name="small", rows=small))
    change = "UPDATE small SET amount = amount + 1, updated_at = updated_at + interval '1 year' WHERE id % 10 = 0"

    def fresh() -> None:
        state.unlink(missing_ok=True)
        bench.run("postgres", *tables, "VACUUM ANALYZE small")
        bench.empty()

    def verify() -> None:
        figures = "SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(amount)::text AS amount FROM small"
        have, wanted = bench.run("target", figures)[0], bench.run("postgres", figures)[0]
        assert have == wanted, f"the target holds {have}, the source {wanted}"

    def ready(first: Command) -> Callable[[], None]:
        def changed() -> None:
            fresh()
            subprocess.run(first, env={**os.environ, **OURS}, check=True, capture_output=True)
            bench.run("postgres", change, "VACUUM ANALYZE small")
            bench.run("target", "VACUUM ANALYZE small", "CHECKPOINT")

        return changed if changes else fresh

    script = bench.folder / "merge.sql"
    script.write_text(MERGE)
    copy = f"set -o pipefail; psql -q '{source}' -c \"COPY ({{}}) TO STDOUT\" | psql -q '{target}'"
    whole = copy.format("TABLE small") + " -c 'COPY small FROM STDIN'"
    load: Command = ["bash", "-c", f"psql -q '{target}' -c '{TABLE.format(name='small')}' && {whole}"]
    some = copy.format("SELECT * FROM small WHERE updated_at > '2025-01-01'") + f" -f {script}"
    floor: Command = ["bash", "-c", some]
    runs = {"by hand": Run(floor if changes else load, ready=ready(load), verify=verify)}
    for name, columns in (("kitestring", False), ("kitestring, with _airbyte_*", True)):
        selection = {"name": "small", "sync_mode": "incremental", "write_mode": "append_dedup", "cursor": "updated_at"}
        command = bench.kitestring(bench.to_postgres(columns), state=state, **selection)
        runs[name] = Run(command, OURS, ready(command), verify)
    return runs, "by hand"


def one_percent(bench: Bench, peers: bool) -> tuple[dict[str, Run], str]:
    """The first sync of all rows by a cursor, beside the sync of the hundredth of them that changed since."""
    state = bench.folder / "state.db"
    selection = {"name": "moving", "sync_mode": "incremental", "write_mode": "append_dedup", "cursor": "updated_at"}
    command = bench.kitestring(bench.to_postgres(False), state=state, **selection)
    change = "UPDATE moving SET amount = amount + 1, updated_at = updated_at + interval '1 year' WHERE id % 100 = 0"
    tables = ("DROP TABLE IF EXISTS moving", TABLE.format(name="moving"), ROWS.format(name="moving", rows=bench.rows))

    def fresh() -> None:
        state.unlink(missing_ok=True)
        bench.run("postgres", *tables, "VACUUM ANALYZE moving")
        bench.empty()

    def changed() -> None:
        if not state.exists():
            fresh()
            subprocess.run(command, env={**os.environ, **OURS}, check=True, capture_output=True)
        bench.run("postgres", change, "VACUUM ANALYZE moving")
        bench.run("target", "VACUUM ANALYZE moving", "CHECKPOINT")

    def verify() -> None:
        figures = "SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(amount)::text AS amount FROM moving"
        have, wanted = bench.run("target", figures)[0], bench.run("postgres", figures)[0]
        assert have == wanted, f"the target holds {have}, the source {wanted}"

    runs = {"first": Run(command, OURS, fresh, verify), "1 % changed": Run(command, OURS, changed, verify)}
    return runs, "first"


def to_duckdb(bench: Bench, peers: bool) -> tuple[dict[str, Run], str]:
    path = bench.folder / "out" / "all.duckdb"

    def ready() -> None:
        bench.empty()
        path.parent.mkdir()

    def verify() -> None:
        import duckdb

        with duckdb.connect(str(path), read_only=True) as database:
            counts = database.execute("SELECT count(*), count(DISTINCT id) FROM orders").fetchone()
        assert counts == (bench.rows, bench.rows), counts

    floor: Command = [sys.executable, "-c", DUCKDB, bench.url("postgres"), path]
    ours = bench.kitestring(["duckdb", {"path": str(path)}])
    runs = {"ADBC to DuckDB": Run(floor, {}, ready, verify), "kitestring": Run(ours, OURS, ready, verify)}
    return runs, "ADBC to DuckDB"


def to_parquet(bench: Bench, peers: bool) -> tuple[dict[str, Run], str]:
    out = bench.folder / "out"

    def verify() -> None:
        import pyarrow.parquet as pq

        files = list(out.rglob("*.parquet"))
        total = sum(pq.read_metadata(file).num_rows for file in files)
        distinct = set().union(*(pq.read_table(file, columns=["id"])["id"].to_pylist() for file in files))
        assert total == len(distinct) == bench.rows, f"{total} rows, {len(distinct)} distinct, {bench.rows} expected"

    runs = {
        f"ADBC to Parquet, {compression}": Run(
            [sys.executable, "-c", PARQUET, bench.url("postgres"), out, compression], {}, bench.empty, verify
        )
        for compression in ("snappy", "zstd")
    }
    ours = bench.kitestring(["files", {"path": str(out), "format": "parquet"}])
    runs["kitestring, zstd"] = Run(ours, OURS, bench.empty, verify)
    return runs, "ADBC to Parquet, snappy"


PARTS: dict[str, Callable[[Bench, bool], tuple[dict[str, Run], str]]] = {
    "postgres": to_postgres,
    "load": partial(deduplicated, changes=False),
    "changes": partial(deduplicated, changes=True),
    "percent": one_percent,
    "duckdb": to_duckdb,
    "parquet": to_parquet,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    arguments = parser.parse_args()
    from postgres_server import running

    with running(SERVER) as database, tempfile.TemporaryDirectory(prefix="kitestring-benchmark") as folder:
        bench = Bench(database, Path(folder), arguments.rows)
        print(f"a table of {arguments.rows:,} rows and 12 columns …", flush=True)
        fill = (TABLE.format(name="orders"), ROWS.format(name="orders", rows=arguments.rows), "VACUUM ANALYZE orders")
        bench.run("postgres", "CREATE ROLE bench SUPERUSER LOGIN PASSWORD 'bench'", *fill)
        for part in arguments.only or PARTS:
            runs, floor = PARTS[part](bench, arguments.peers)
            table = rounds(runs, arguments.rounds, server=server_of(bench))
            show(f"{arguments.rows:,} rows, {part}", table, floor)


def server_of(bench: Bench) -> int:
    """The server's first process: its data folder's `postmaster.pid` tells."""
    folder = bench.run("postgres", "SELECT current_setting('data_directory') AS path")[0]["path"]
    return int((Path(folder) / "postmaster.pid").read_text().splitlines()[0])


if __name__ == "__main__":
    main()
