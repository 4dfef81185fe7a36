"""A server with 10,000 connections and 1,000,000 jobs: how long its requests take, and what it takes when idle.

    python benchmarks/server.py [--postgres] [--jobs 1000000] [--connections 10000] [--idle 30]

On SQLite in a temporary folder, or (`--postgres`) on a PostgreSQL that it starts. Requests are made over HTTP, one at a
time, the first of each kind left out.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3
from sqlalchemy import insert, text, update

from kitestring.server.connections.scheduler import Scheduler
from kitestring.server.context import Context
from kitestring.server.run import Server
from kitestring.server.settings import Settings
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import connections, destinations, organizations, sources, workspaces

DAY_MS = 24 * 3600 * 1000
TRIES = 15


def fill(context: Context, count: int, job_count: int) -> tuple[list[str], list[str]]:
    """Ten workspaces with a tenth of the connections each, and their jobs of the last hundred days."""
    store = context.store
    homes = [new_id() for _ in range(10)]
    connection_rows = []
    with store.write() as db:
        now = store.now_ms(db)
        owner = new_id()
        db.execute(insert(organizations).values(id=owner, name="bench", email="", created_at_ms=now))
        workspace = {"organization_id": owner, "name": "bench", "notifications": {}, "created_at_ms": now}
        db.execute(insert(workspaces), [{"id": home, **workspace} for home in homes])
        actor = {"name": "bench", "definition_id": new_id(), "config": {}, "created_at_ms": now, "updated_at_ms": now}
        ends = [(home, new_id(), new_id()) for home in homes]
        for table, connector, at in ((sources, "sample", 1), (destinations, "files", 2)):
            rows = [{"id": end[at], "workspace_id": end[0], "connector": connector, **actor} for end in ends]
            db.execute(insert(table), rows)
        stream = {"name": "users", "syncMode": "full_refresh_overwrite"}
        for number in range(count):
            home, source, destination = ends[number % 10]
            connection_rows.append(
                {
                    "id": new_id(),
                    "workspace_id": home,
                    "name": f"connection {number}",
                    "source_id": source,
                    "destination_id": destination,
                    "status": "active",
                    "schedule": {"type": "basic", "every": 24, "unit": "hours"},
                    "next_run_at_ms": now + DAY_MS + number,
                    "namespace_definition": "destination",
                    "prefix": "",
                    "schema_policy": "ignore",
                    "streams": [stream],
                    "options": {},
                    "created_at_ms": now - 100 * DAY_MS + number,
                    "updated_at_ms": now,
                }
            )
        db.execute(insert(connections), connection_rows)
        db.execute(text("CREATE TEMPORARY TABLE numbered (n INTEGER PRIMARY KEY, c TEXT, w TEXT, s TEXT)"))
        rows = [
            {"n": n, "c": row["id"], "w": row["workspace_id"], "s": row["source_id"]}
            for n, row in enumerate(connection_rows)
        ]
        db.execute(text("INSERT INTO numbered VALUES (:n, :c, :w, :s)"), rows)
        counted = (
            "WITH RECURSIVE g(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM g WHERE i + 1 < :jobs)"
            if store.sqlite
            else "WITH g AS (SELECT generate_series(0, :jobs - 1) AS i)"
        )
        off = "0" if store.sqlite else "false"
        db.execute(
            text(
                "INSERT INTO jobs (workspace_id, connection_id, source_id, kind, status, cause, options, attempts, "
                "failures, most_attempts, run_after_ms, cancel, epoch, records, nbytes, created_at_ms, started_at_ms, "
                f"updated_at_ms, ended_at_ms) {counted} SELECT w, c, s, "
                "CASE WHEN i % 1000 = 7 THEN 'clear' ELSE 'sync' END, CASE WHEN i % 100 < 4 THEN 'failed' "
                "WHEN i % 100 = 4 THEN 'suspicious' WHEN i % 100 = 5 THEN "
                f"'cancelled' ELSE 'succeeded' END, 'schedule', '{{}}', 1, 0, 3, t, {off}, 2, 100, 10000, t, t + 10, "
                "t + 5000, t + 5000 FROM (SELECT i, :begin + CAST(i AS BIGINT) * :step AS t FROM g) AS many "
                "JOIN numbered ON n = i % :count"
            ),
            {"jobs": job_count, "begin": now - 100 * DAY_MS, "step": 100 * DAY_MS // job_count, "count": count},
        )
        db.execute(
            text(
                "INSERT INTO attempts (job_id, number, status, worker, epoch, started_at_ms, ended_at_ms) "
                "SELECT id, 1, status, 'bench', 1, started_at_ms, ended_at_ms FROM jobs"
            )
        )
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("ANALYZE" if store.sqlite else "VACUUM ANALYZE"))  # as PostgreSQL does by itself a minute later
    return homes, [row["id"] for row in connection_rows]


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds: the median, and the slowest of all but the first."""
    call()
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times), max(times)


def requests(homes: list[str], ids: list[str], job_count: int) -> dict[str, str]:
    from kitestring.server.clock import iso, now_ms

    newest = "limit=100&orderBy=createdAt|DESC"
    now, connection, home = now_ms(), ids[4321 % len(ids)], homes[3]
    own = "/api/kitestring/v1/jobs"
    return {
        "jobs, first page": "/v1/jobs?limit=100",
        "jobs, newest first": "/v1/jobs?limit=100&orderBy=createdAt|DESC",
        "jobs of a connection": f"/v1/jobs?connectionId={connection}&limit=100",
        "jobs of a connection, newest": f"/v1/jobs?connectionId={connection}&limit=1&orderBy=createdAt|DESC",
        "failed jobs of a workspace, newest": f"/v1/jobs?workspaceIds={home}&status=failed&{newest}",
        "running jobs (none)": "/v1/jobs?status=running&limit=100",
        "cleared": "/v1/jobs?jobType=clear&limit=100&orderBy=createdAt|DESC",
        "refreshed (none)": "/v1/jobs?jobType=refresh&limit=100",
        "refreshed of a workspace (none)": f"/v1/jobs?jobType=refresh&workspaceIds={home}&limit=100",
        "updated in the last hour": f"/v1/jobs?updatedAtStart={iso(now - 3_600_000)}&limit=100",
        "failed in the last day": f"/v1/jobs?createdAtStart={iso(now - DAY_MS)}&status=failed&limit=100",
        "updated, newest": "/v1/jobs?limit=100&orderBy=updatedAt|DESC",
        "a page far behind": f"/v1/jobs?limit=100&offset={job_count // 2}",
        "a job": f"/v1/jobs/{job_count // 2}",
        "own: newest": f"{own}?limit=50",
        "own: suspicious of a workspace": f"{own}?status=suspicious&workspaceIds={home}&limit=50",
        "own: a page behind": f"{own}?limit=50&before={job_count // 2}",
        "own: running or pending (none)": f"{own}?status=running&status=pending&limit=50",
        "connections, first page": "/v1/connections?limit=100",
        "connections of a workspace, page 5": f"/v1/connections?workspaceIds={home}&limit=100&offset=400",
        "connections, far behind": f"/v1/connections?limit=100&offset={len(ids) * 9 // 10}",
        "a connection": f"/v1/connections/{connection}",
    }


def processor_s() -> float:
    """The resources that this process and its fork server have used."""
    total = sum(os.times()[:2])
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(url: str, folder: Path, words: argparse.Namespace) -> None:
    context = Context.of(Settings(home=folder / "home", database_url=url, port=0))
    try:
        began = time.perf_counter()
        homes, ids = fill(context, words.connections, words.jobs)
        print(f"{words.connections:,} connections and {words.jobs:,} jobs in {time.perf_counter() - began:.0f} s")
        server = Server(context)
        server.start()
        try:
            http = urllib3.PoolManager()
            for name, path in requests(homes, ids, words.jobs).items():

                def call(path: str = path) -> None:
                    response = http.request("GET", server.url + quote(path, safe="/?&=:"))
                    assert response.status == 200, response.data

                median, most = timed(call)
                print(f"{name:40} {median:8.1f} ms   slowest {most:8.1f} ms{'   OVER 50' if median > 50 else ''}")
            for name, look in looks(context, ids).items():
                median, most = timed(look)
                print(f"{name:40} {median:8.1f} ms   slowest {most:8.1f} ms{'   OVER 50' if median > 50 else ''}")
            time.sleep(2)
            used, began = processor_s(), time.perf_counter()
            time.sleep(words.idle)
            print(f"idle: {(processor_s() - used) / (time.perf_counter() - began):.2%} of a processor")
        finally:
            server.stop()
    finally:
        context.close()


def looks(context: Context, ids: list[str]) -> dict[str, Callable[[], Any]]:
    """The work of the scheduler and a worker, without HTTP."""
    scheduler = Scheduler(context)

    def cycle() -> None:
        """A job is enqueued, claimed, renewed, and ended."""
        connection = ids[int(time.time_ns() // 1000) % len(ids)]
        with context.store.write() as db:
            context.queue.enqueue(db, connection, run_after_ms=0)
        claim = context.queue.claim("bench")
        if claim is not None:  # else the worker of this process was faster
            context.queue.heartbeat(claim)
            context.queue.finish(claim, "cancelled")

    def due() -> None:
        with context.store.write() as db:
            late = context.store.now_ms(db) - 1
            db.execute(update(connections).where(connections.c.id.in_(ids[:20])).values(next_run_at_ms=late))
        scheduler.run_due()

    return {
        "scheduler: nothing is due": scheduler.run_due,
        "worker: nothing is due": lambda: context.queue.claim("bench"),
        "20 connections are made due, and scheduled": due,
        "enqueue, claim, renew, finish": cycle,
    }


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "integration"))
    from postgres_server import running

    with running("-c fsync=off -c shared_buffers=512MB -c max_connections=60") as database:
        password = quote(database.password, safe="")
        yield f"postgresql://{database.username}:{password}@{database.host}:{database.port}/{database.name}"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--postgres", action="store_true")
    asked.add_argument("--jobs", type=int, default=1_000_000)
    asked.add_argument("--connections", type=int, default=10_000)
    asked.add_argument("--idle", type=float, default=30.0)
    words = asked.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="kitestring-bench-") as folder, contextlib.ExitStack() as stack:
        measure(stack.enter_context(postgres()) if words.postgres else "", Path(folder), words)


if __name__ == "__main__":
    main()
