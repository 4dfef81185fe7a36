"""A warm search of a server beside one in a process of its own, with the local model: Milvus Lite and pgvector.

    python benchmarks/search.py [--records 1000] [--cold 5] [--warm 200] [--chunks 100000]

The searches pass everything but HTTP: the store of the server, the turn at the place, the search process. A cold
search is what a server does with `KITESTRING_SEARCH_PROCESSES=0`; its process is forked from one that has imported the
packages before. CPU seconds are those of the processes that search, not of PostgreSQL. `--chunks` fills the collection
with chunks of random vectors up to this number: the text of a question goes through the model, the stored texts do not.
Each store is searched without a filter, with one, and with a permission of the reader.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vectors import record

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT)]

from kitestring import registry  # noqa: E402
from kitestring.engine import sync  # noqa: E402
from kitestring.server.connections.exclusive_place import exclusive_place  # noqa: E402
from kitestring.server.context import Context  # noqa: E402
from kitestring.server.jobs.connection_plan import Endpoint  # noqa: E402
from kitestring.server.settings import Settings  # noqa: E402
from kitestring.testing.memory import MemorySource  # noqa: E402
from kitestring.vector.store import Chunk  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
QUESTIONS = ("the parcel arrived broken", "how do I get a refund", "exports are empty", "login fails after the update")
COLUMNS = {"status": "VARCHAR", "team": "INT64"}
STATUSES = ("new", "open", "pending", "closed")
SEARCHES: dict[str, dict[str, Any]] = {
    "all": {},
    "a filter (a quarter)": {"where": {"status": "open"}},
    "a permission (a fiftieth)": {"permission": {"team": 7}},
}
SHARED: dict[str, Any] = {
    "processing": {"chunk_size": 200, "text_fields": ["subject", "description"], "metadata_fields": []},
    "embedding": {"mode": "local"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000)
    parser.add_argument("--cold", type=int, default=5)
    parser.add_argument("--warm", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=0)
    arguments = parser.parse_args()
    from postgres_server import running

    with running() as database, tempfile.TemporaryDirectory(prefix="kitestring-benchmark") as folder:
        database.run("CREATE ROLE bench SUPERUSER LOGIN PASSWORD 'bench'", "CREATE EXTENSION vector")
        account = {"username": "bench", "password": "bench", "collection": "tickets"}
        places = {
            "milvus": {"host": f"{folder}/milvus.db", "collection": "tickets", "scalar_fields": COLUMNS},
            "pgvector": {"host": "127.0.0.1", "port": database.port, "database": "postgres", **account},
        }
        context = Context.of(Settings(home=Path(folder) / "home"))
        print(f"{arguments.records:,} records, the local model\n")
        print("| store | chunks | search | cold p50, ms | warm p50, p95, ms | cold of warm | cold, warm CPU ms |")
        print("|---|---|---|---|---|---|---|")
        try:
            for name, indexing in places.items():
                measure(context, name, {**SHARED, "indexing": indexing}, arguments)
        finally:
            context.close()


def measure(context: Context, name: str, config: dict[str, Any], arguments: Any) -> None:
    records = [{**record(number), "description": record(number)["description"][:200]} for number in
               range(arguments.records)]  # fmt: skip
    source = MemorySource(records={"tickets": records}, primary_keys={"tickets": "id"})
    result = sync(source, registry.destination(name, config), ["tickets"])
    assert result.ok, result.as_dict()
    chunks = int(result.streams["tickets"].figures["chunks_written"])
    chunks += fill(registry.destination(name, config), max(0, arguments.chunks - chunks))
    end = Endpoint(name, config, name, workspace_id="aaaa", trusted=True)
    place = exclusive_place(context, end)

    def cold(text: str) -> Any:
        return context.runner.run("search", {"destination": end.body(), "text": text}, place=place)

    options: dict[str, Any] = {}

    def warm(text: str) -> Any:
        request = {"destination": end.body(), "text": text, **options}
        return context.searches.run("search", request, destination_id=name, generation="", limit_s=60.0, place=place)

    fork_server = context.runner.fork_server
    assert [hit["id"] for hit in cold(QUESTIONS[0])] == [hit["id"] for hit in warm(QUESTIONS[0])]
    cold_ms, cold_cpu_ms = times(cold, arguments.cold, lambda: cpu_s(fork_server.pid or 0, 15))
    warm(QUESTIONS[0])
    (pid,) = context.searches.pids()
    slow = statistics.median(cold_ms)
    for kind, asked in SEARCHES.items():
        options.clear()
        options.update(asked)
        warm(QUESTIONS[0])
        warm_ms, warm_cpu_ms = times(warm, arguments.warm, lambda: cpu_s(pid, 13))
        p50, p95 = statistics.median(warm_ms), sorted(warm_ms)[int(len(warm_ms) * 0.95)]
        print(
            f"| {name} | {chunks:,} | {kind} | {slow:,.0f} | {p50:.1f}, {p95:.1f} | {slow / p50:.0f} "
            f"| {cold_cpu_ms:,.0f}, {warm_cpu_ms:.0f} |",
            flush=True,
        )


def fill(destination: Any, count: int) -> int:
    """Store so many chunks with random vectors, as a sync does."""
    import numpy as np

    generator, store = np.random.default_rng(7), destination.store
    for start in range(0, count, 5_000):
        size = min(5_000, count - start)
        vectors = generator.normal(size=(size, destination.embedding.dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store.upsert([filler(start + row, vector) for row, vector in enumerate(vectors)])
    store.finish()
    destination.close()
    return count


def filler(number: int, vector: Any) -> Chunk:
    metadata = {"id": number, "status": STATUSES[number % 4], "team": number % 50}
    key = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    text = f"Note {number}: the parcel with the blue lamp was sent on Tuesday and has not arrived. " * 3
    return Chunk(key, 0, "tickets", f"tickets_x{number}", text, vector, "", "", metadata)


def times(search: Callable[[str], Any], count: int, cpu: Callable[[], float]) -> tuple[list[float], float]:
    """The milliseconds of each search, and the CPU milliseconds of one on average."""
    spent, before = [], cpu()
    for number in range(count):
        began = time.perf_counter()
        assert search(f"{QUESTIONS[number % len(QUESTIONS)]} {number}")
        spent.append((time.perf_counter() - began) * 1000)
    return spent, (cpu() - before) * 1000 / count


def cpu_s(pid: int, field: int) -> float:
    """CPU seconds by /proc: field 13 is that of the process, 15 that of its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[field - 2]) + int(fields[field - 1])) / TICKS


if __name__ == "__main__":
    main()
