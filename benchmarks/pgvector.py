"""10,000 one-chunk records with 1536-dimensional vectors into pgvector, beside a bare `COPY` and its index.

    python benchmarks/pgvector.py [--records 10000] [--rounds 3]

The floor are vectors that are ready, in a file: `psql` creates the table, copies them and builds the indexes that
Kitestring makes (HNSW among them). The first sync reads, chunks, compares, embeds (with the fake embedder) and writes
the same rows; the second finds all of them unchanged. Seconds of the syncs are from the call to its return, without
the imports; memory is that of whole processes. What PostgreSQL works counts in both.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from rounds import Command, Run, rounds, show
from vectors import DIMENSION, record

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT)]
SERVER = "-c max_wal_size=8GB -c shared_buffers=512MB -c checkpoint_timeout=30min"

OURS = """
import json, sys, time
from vectors import record
from kitestring.engine import sync
from kitestring.registry import destination
from kitestring.testing.memory import MemorySource
count, config, wanted = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
records = [record(number) for number in range(count)]
source = MemorySource(records={"tickets": records}, primary_keys={"tickets": "id"})
target = destination("pgvector", config)
import numpy, psycopg
began, worked = time.perf_counter(), time.process_time()
result = sync(source, target, ["tickets"])
spent = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - worked}
assert result.ok and getattr(result.streams["tickets"], wanted) == count, result.as_dict()
print(json.dumps(spent))
"""
FLOOR = """
CREATE TABLE bare (id text COLLATE "C" PRIMARY KEY, stream text NOT NULL, namespace text, record_id text,
    chunk_number integer, text text, metadata jsonb, digest text, metadata_digest text, embedding vector({dimension}));
\\copy bare FROM {file}
CREATE INDEX ON bare (stream, id);
SET maintenance_work_mem = '{memory}';
CREATE INDEX ON bare USING hnsw (embedding vector_cosine_ops);
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    from postgres_server import running

    with running(SERVER) as database, tempfile.TemporaryDirectory(prefix="kitestring-benchmark") as folder:
        database.run("CREATE ROLE bench SUPERUSER LOGIN PASSWORD 'bench'")
        place = database.run("SELECT current_setting('data_directory') AS path")[0]["path"]
        server = int((Path(place) / "postmaster.pid").read_text().split()[0])
        table = rounds(runs(database, Path(folder), arguments.records), arguments.rounds, server=server)
    show(f"{arguments.records:,} records, {DIMENSION} dimensions", table, "COPY and indexes")


def runs(database: Any, folder: Path, count: int) -> dict[str, Run]:
    file, script = folder / "rows.txt", folder / "floor.sql"
    write_rows(file, count)
    script.write_text(FLOOR.format(dimension=DIMENSION, file=file, memory="256MB"))
    target = type(database)(database.port, "target")

    def empty() -> None:
        database.run("DROP DATABASE IF EXISTS target WITH (FORCE)", "CREATE DATABASE target")
        target.run("CREATE EXTENSION vector", "CHECKPOINT")

    def verify(table: str) -> None:
        rows = target.run(f"SELECT count(*) AS rows, count(DISTINCT embedding) AS vectors FROM {table}")
        assert rows[0]["rows"] == count, rows
        assert rows[0]["vectors"] == count, rows
        indexes = target.run(f"SELECT count(*) AS n FROM pg_indexes WHERE tablename = '{table}' AND indexdef ~ 'hnsw'")
        assert indexes == [{"n": 1}], indexes

    config = {
        "processing": {
            "chunk_size": 1000,
            "text_fields": ["description"],
            "metadata_fields": ["id", "subject", "status", "organization_id", "updated_at"],
        },
        "embedding": {"mode": "fake"},
        "indexing": {
            "host": "127.0.0.1",
            "port": database.port,
            "database": "target",
            "username": "bench",
            "password": "bench",
            "collection": "chunks",
        },
        "shadow_folder": str(folder / "staging"),
    }
    floor: Command = [
        *("psql", "-q", "-v", "ON_ERROR_STOP=1", f"postgresql://bench:bench@127.0.0.1:{database.port}/target"),
        *("-f", script),
    ]
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"}
    ours: Command = [sys.executable, "-c", OURS, str(count), json.dumps(config)]
    return {
        "COPY and indexes": Run(floor, ready=empty, verify=lambda: verify("bare")),
        "first sync": Run([*ours, "written"], paths, empty, lambda: verify("chunks")),
    }


def write_rows(file: Path, count: int) -> None:
    """The rows of the floor as the text of a COPY: what a sync stores, with vectors that are ready."""
    import numpy as np

    dice = np.random.default_rng(0)
    with open(file, "w", encoding="utf-8") as out:
        for number in range(count):
            row = record(number)
            vector = json.dumps([float(f"{x:.7g}") for x in dice.normal(size=DIMENSION).astype(np.float32)])
            names = ("id", "subject", "status", "organization_id", "updated_at")
            metadata = json.dumps({name: row[name] for name in names})
            digest = f"{number:032x}"
            cells = (f"tickets:{number}:0", "tickets", "", f"{number}", 0, row["description"], metadata, digest, digest)
            out.write("\t".join(map(str, (*cells, vector))) + "\n")


if __name__ == "__main__":
    main()
