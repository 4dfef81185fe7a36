"""A PostgreSQL table of 2,000,000 rows and 12 columns to Parquet: Kitestring beside the bare path, dlt and ingestr.

    python benchmarks/postgres_parquet.py [--rows 2000000] [--rounds 3] [--peers FOLDER]

The bare path is what one writes by hand: ADBC's record batches into a `pyarrow.parquet.ParquetWriter`, with zstd (what
Kitestring writes) and with pyarrow's default, snappy. Every run is a process of its own, so that its time holds its
imports and its memory is its own; the runs alternate, the medians are shown. The peers are installed from PyPI into
environments in FOLDER (ingestr in its last version that fetches nothing at run time); what cannot be installed is left
out, with a word. The server is the one of the tests.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT)]

TABLE = """
CREATE TABLE orders (
    id bigint PRIMARY KEY, customer_id integer NOT NULL, amount numeric(12,2), weight double precision, paid boolean,
    name text, email varchar(100), note text, country char(2), created_at timestamptz, updated_at timestamp, day date
)"""
ROWS = """
INSERT INTO orders
SELECT n, n % 50000, (n % 100000) / 100.0, n / 7.0, n % 3 = 0, 'Customer number ' || n % 50000,
       'user' || n || '@example.com', CASE WHEN n % 4 > 0 THEN 'A note of some length about order ' || n END,
       (ARRAY['DE','FR','US','JP'])[1 + n % 4], '2024-01-01'::timestamptz + n * interval '1 second',
       '2024-01-01'::timestamp + n * interval '2 seconds', '2020-01-01'::date + n % 2000
FROM generate_series(1, {rows}) n"""

KITESTRING = """
import sys, json
from kitestring.engine import Selection, sync
from kitestring.sources.postgres import Postgres
from kitestring.destinations.files import Files
result = sync(Postgres(url=sys.argv[1]), Files(path=sys.argv[2]), [Selection("orders", write_mode="overwrite")])
print(json.dumps(result.as_dict()), file=sys.stderr)
sys.exit(not result.ok)
"""
BARE = """
import sys, os
import pyarrow.parquet as pq
from adbc_driver_postgresql import dbapi
os.makedirs(sys.argv[2])
with dbapi.connect(sys.argv[1]) as connection, connection.cursor() as cursor:
    cursor.execute("SELECT * FROM orders")
    with cursor.fetch_record_batch() as reader:
        with pq.ParquetWriter(sys.argv[2] + "/orders.parquet", reader.schema, compression="{compression}") as writer:
            for batch in reader:
                writer.write_batch(batch)
"""
DLT = """
import sys, dlt
from dlt.sources.sql_database import sql_table
url = sys.argv[1].replace("postgresql:", "postgresql+psycopg2:")
table = sql_table(credentials=url, table="orders", backend="{backend}", chunk_size=100_000, backend_kwargs={kwargs})
pipeline = dlt.pipeline("orders", pipelines_dir=sys.argv[2] + "/state", dataset_name="d",
                        destination=dlt.destinations.filesystem(sys.argv[2] + "/out"))
pipeline.run(table, loader_file_format="parquet", write_disposition="replace")
"""
QUIET = {**os.environ, "DISABLE_TELEMETRY": "true", "RUNTIME__DLTHUB_TELEMETRY": "false"}
"""Without it, a peer may wait for a server of its maker after its work is done."""

LIMIT_S = 300
"""What takes longer is ended."""

PEERS = {
    "dlt": ["dlt[parquet,sql_database]", "connectorx", "psycopg2-binary"],
    "ingestr": ["ingestr<0.14"],
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=2_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--peers", type=Path, help="install dlt and ingestr here and measure them too")
    asked = arguments.parse_args()
    from postgres_server import running

    with running("-c max_wal_size=4GB -c shared_buffers=256MB") as database:
        print(f"a table of {asked.rows:,} rows and 12 columns …", flush=True)
        fill(database.config, asked.rows)
        url = f"postgresql://postgres:{quote(database.password)}@127.0.0.1:{database.port}/postgres"
        runs = {
            "kitestring": [sys.executable, "-c", KITESTRING, url],
            "bare ADBC, snappy": [sys.executable, "-c", BARE.format(compression="snappy"), url],
            "bare ADBC, zstd": [sys.executable, "-c", BARE.format(compression="zstd"), url],
        }
        runs |= peers(asked.peers, url) if asked.peers else {}
        show(measure(runs, asked.rounds, asked.rows))


def fill(config: dict[str, object], rows: int) -> None:
    """In a process of its own: the memory of this one would count for the runs that it starts."""
    code = "import sys; from postgres_server import Database; Database(int(sys.argv[1]), 'postgres').run(*sys.argv[2:])"
    statements = [TABLE, ROWS.format(rows=rows), "VACUUM ANALYZE orders"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:2])}
    subprocess.run([sys.executable, "-c", code, str(config["port"]), *statements], check=True, env=environment)


def peers(folder: Path, url: str) -> dict[str, list[str]]:
    """The commands of the peers that can be installed."""
    runs: dict[str, list[str]] = {}
    for name, packages in PEERS.items():
        home = folder / name
        try:
            if not home.exists():
                subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
                subprocess.run([home / "bin" / "python", "-m", "pip", "install", "-q", *packages], check=True)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"{name} is left out, it cannot be installed: {error}")
            continue
        python = str(home / "bin" / "python")
        if name == "dlt":
            for backend, more in (("connectorx", "{'return_type': 'arrow'}"), ("pyarrow", "{}")):
                runs[f"dlt, {backend}"] = [python, "-c", DLT.format(backend=backend, kwargs=more), url]
        else:
            runs["ingestr (to DuckDB)"] = [str(home / "bin" / "ingestr"), url]
    return runs


def measure(runs: dict[str, list[str]], rounds: int, rows: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds and peak megabytes of each run, round by round."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, command in runs.items():
            folder = Path(tempfile.mkdtemp(prefix="kitestring-benchmark"))
            out = folder / "out"
            if name.startswith("ingestr"):
                program, url = command
                places = ["--source-uri", url, "--dest-uri", f"duckdb:///{folder}/x.duckdb"]
                tables = ["--source-table", "public.orders", "--dest-table", "main.orders"]
                line = [program, "ingest", "--yes", "--progress", "log", *places, *tables]
            else:
                line = [*command, str(out)]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)} if command[0] == sys.executable else QUIET
            began = time.perf_counter()
            with open(folder / "log", "wb") as log:
                process = subprocess.Popen(line, stdout=log, stderr=log, env=environment, cwd=folder)
                limit = threading.Timer(LIMIT_S, process.kill)
                limit.start()
                _, status, usage = os.wait4(process.pid, 0)
                limit.cancel()
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                print(f"{name} failed ({process.returncode}):\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
            else:
                figures[name].append((seconds, usage.ru_maxrss / 1024))
                print(f"  round {number + 1}: {name:22} {seconds:6.1f} s {usage.ru_maxrss / 1024:7.0f} MB", flush=True)
            if not name.startswith(("ingestr", "dlt")):
                verify(out, rows)
            shutil.rmtree(folder, ignore_errors=True)
    return figures


def verify(out: Path, rows: int) -> None:
    """That all rows are there: a benchmark that loses some is none."""
    code = """
import sys, pathlib, pyarrow.parquet as pq
files = list(pathlib.Path(sys.argv[1]).rglob("*.parquet"))
ids = set().union(*(pq.read_table(f, columns=["id"])["id"].to_pylist() for f in files))
print(sum(pq.read_metadata(f).num_rows for f in files), len(ids), len(files))"""
    done = subprocess.run([sys.executable, "-c", code, str(out)], capture_output=True, text=True, check=True)
    total, distinct, files = map(int, done.stdout.split())
    assert total == distinct == rows, (
        f"{total} rows, {distinct} of them distinct, in {files} files; {rows} were expected"
    )


def show(figures: dict[str, list[tuple[float, float]]]) -> None:
    bare = statistics.median(seconds for seconds, _ in figures["bare ADBC, snappy"])
    print(f"\n{'':24}{'median s':>10}{'x bare':>8}{'peak MB':>9}")
    for name, runs in figures.items():
        if runs:
            seconds = statistics.median(one for one, _ in runs)
            print(f"{name:24}{seconds:10.1f}{seconds / bare:8.2f}{max(memory for _, memory in runs):9.0f}")


if __name__ == "__main__":
    main()
