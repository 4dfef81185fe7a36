"""A long continuous sync of a PostgreSQL table into another schema: its memory over time, and its delay.

    PYTHONPATH=.:tests python scripts/continuous_soak.py --minutes 12 --changes 200

Writes `changes` rows a second in transactions of four, asks once a second how long a marked change takes from its
commit to the copy, and reads the proportional set size of the sync every ten seconds. Compares both tables at the end.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
from integration.postgres_server import Database, created, running

from benchmarks.memory import pss_of

ROWS = 5_000


def show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def write(database: Database, changes: int, stop: threading.Event) -> None:
    pick = random.Random(7)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        next_at = time.monotonic()
        while not stop.is_set():
            with connection.transaction():
                for _ in range(4):
                    key, kind = pick.randrange(1, ROWS), pick.random()
                    if kind < 0.8:
                        connection.execute("UPDATE t SET n = n + 1, v = %s WHERE id = %s", (str(pick.random()), key))
                    elif kind < 0.9:
                        connection.execute("DELETE FROM t WHERE id = %s", (key,))
                    else:
                        connection.execute("INSERT INTO t VALUES (%s, 'new', 0) ON CONFLICT DO NOTHING", (key,))
            next_at += 4 / changes
            stop.wait(max(0.0, next_at - time.monotonic()))


def delay_s(connection: psycopg.Connection[object], number: int) -> float:
    connection.execute("UPDATE t SET n = %s WHERE id = 0", (number,))
    began = time.monotonic()
    while connection.execute("SELECT n FROM copied.t WHERE id = 0").fetchone() != (number,):
        if time.monotonic() - began > 120:
            raise SystemExit("a change did not arrive within 120 s")
        time.sleep(0.02)
    return time.monotonic() - began


def soak(database: Database, folder: Path, minutes: float, changes: int, window_s: int) -> int:
    database.run(
        "CREATE SCHEMA copied",
        "CREATE TABLE t (id int PRIMARY KEY, v text, n bigint)",
        f"INSERT INTO t SELECT n, 'first', 0 FROM generate_series(0, {ROWS}) n",  # noqa: S608
    )
    project = {
        "sources": {"shop": {"connector": "postgres", "config": {**database.config, "replication_method": "CDC"}}},
        "destinations": {"copy": {"connector": "postgres", "config": database.config}},
        "connections": {
            "soak": {"source": "shop", "destination": "copy", "streams": ["public.t"], "namespace": "copied"}
        },
    }
    (folder / "kitestring.yaml").write_text(json.dumps(project))
    command = [sys.executable, "-m", "kitestring", "sync", "soak", "--continuous", "--window", str(window_s), "--json"]
    log = (folder / "log").open("w")
    process = subprocess.Popen(command, cwd=folder, stdout=(folder / "result").open("w"), stderr=log)
    stop = threading.Event()
    thread = threading.Thread(target=write, args=(database, changes, stop))
    sizes: list[tuple[float, float]] = []
    delays: list[float] = []
    began = time.monotonic()
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        while connection.execute("SELECT to_regclass('copied.t') IS NOT NULL").fetchone() != (True,):
            if process.poll() is not None:
                show((folder / "result").read_text()[-3000:])
                return 1
            time.sleep(0.5)
        time.sleep(5)
        thread.start()
        looked = 0.0
        while time.monotonic() - began < minutes * 60:
            delays.append(delay_s(connection, len(delays) + 1))
            if time.monotonic() - looked > 10:
                looked = time.monotonic()
                sizes.append((round(looked - began), pss_of(process.pid) / 2**20))
                show(f"{sizes[-1][0]:.0f} s: PSS {sizes[-1][1]:.1f} MB, delay {delays[-1]:.2f} s")
            time.sleep(1)
        stop.set()
        thread.join()
        last = delay_s(connection, -1)
    process.send_signal(signal.SIGTERM)
    code = process.wait(300)
    differ = database.run("SELECT count(*) AS n FROM (TABLE t EXCEPT SELECT id, v, n FROM copied.t) d")[0]["n"]
    differ += database.run("SELECT count(*) AS n FROM (SELECT id, v, n FROM copied.t EXCEPT TABLE t) d")[0]["n"]
    half = sorted(size for at, size in sizes if at > minutes * 30)
    early = sorted(size for at, size in sizes if at <= minutes * 30)
    show(f"exit code {code}, rows that differ: {differ}, the last change after {last:.2f} s")
    show(f"PSS: first half median {statistics.median(early):.1f} MB, second half {statistics.median(half):.1f} MB")
    quantiles = statistics.quantiles(delays, n=20)
    show(
        f"delay of {len(delays)} changes: median {statistics.median(delays):.2f} s, 95 % {quantiles[18]:.2f} s, "
        f"longest {max(delays):.2f} s"
    )
    show((folder / "result").read_text()[-1500:])
    return 1 if differ or code else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--window", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running() as server, created(server) as database:
        return soak(database, Path(folder), options.minutes, options.changes, options.window)


if __name__ == "__main__":
    sys.exit(main())
