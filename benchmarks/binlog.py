"""Changes of a MariaDB table from its binary log, beside `mysql-replication`, which gives a dict of each row.

    python benchmarks/binlog.py [--rows 300000]

One transaction inserts the rows (12 columns), another updates half of them. Figures are changes per CPU second of our
process, without the server: `receive` reads the events from the connection, `decode` gives typed Arrow batches,
`duckdb` is a whole sync in append_dedup, with what the drivers do in the process. `mysql-replication` is measured where
it is installed (`uv pip install mysql-replication`).
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT)]

from mariadb_server import PASSWORD, USER, running  # noqa: E402

from kitestring import registry  # noqa: E402
from kitestring.batch import Batch  # noqa: E402
from kitestring.engine import MemoryStates, Selection, sync  # noqa: E402
from kitestring.sources.mysql import Mysql  # noqa: E402
from kitestring.types import COUNTS, SyncMode, Write  # noqa: E402
from kitestring.vendors.mysql import binlog_event  # noqa: E402
from kitestring.vendors.mysql.binlog import Binlog, LogName, offset_of, position_of  # noqa: E402

TABLE = """
CREATE TABLE changed (id int PRIMARY KEY, name varchar(100), email varchar(100), amount decimal(12,2), weight double,
  count bigint, is_active tinyint(1), born date, seen datetime(6), code char(8), note text, kind varchar(20))
"""
ROWS = """
INSERT INTO changed SELECT seq, concat('name ', seq), concat('user', seq, '@example.com'), seq / 100, seq / 7,
  seq * 1000, seq % 2, '2000-01-01' + INTERVAL seq % 9000 DAY, '2026-01-01' + INTERVAL seq SECOND,
  lpad(seq % 100000, 8, '0'), concat('a note of some words for row ', seq), concat('kind ', seq % 20)
FROM seq_1_to_{rows}
"""


def measure(name: str, changes: int, run: Callable[[], int]) -> None:
    cpu, began = time.process_time(), time.monotonic()
    count = run()
    assert count == changes, (name, count, changes)
    cpu, wall = time.process_time() - cpu, time.monotonic() - began
    print(f"{name:20} {changes / cpu:12,.0f} changes/cpu-s {changes / wall:12,.0f} changes/s", flush=True)


def end_of(database: Any) -> int:
    (status,) = database.run("SHOW MASTER STATUS")
    return position_of(status["File"], status["Position"])


def received(source: Mysql, start: int, end: int) -> int:
    binlog, size = Binlog(source), 0
    binlog.start(LogName("binlog", 6).file(start), offset_of(start))
    for event in binlog.events():
        size += event.kind in binlog_event.ROW_EVENTS
        if event.end >= end:
            break
    binlog.close()
    return size


def decoded(source: Mysql, states: Any) -> int:
    latest = Write(keep="latest", deletes="remove")
    streams = [replace(s, sync_mode=SyncMode.incremental, write=latest) for s in source.discover()]
    count = 0
    for partition in source.partitions(streams, states):
        count += sum(len(item) for item in source.read(partition, states) if isinstance(item, Batch))
    source.close()
    return count


def peer(database: Any, start: int, end: int) -> int:
    from pymysqlreplication import BinLogStreamReader

    settings = {"host": "127.0.0.1", "port": database.port, "user": USER, "passwd": PASSWORD}
    stream = BinLogStreamReader(
        connection_settings=settings,
        server_id=77,
        log_file=LogName("binlog", 6).file(start),
        log_pos=offset_of(start),
        resume_stream=True,
        is_mariadb=True,
    )
    count = 0
    for event in stream:
        count += len(getattr(event, "rows", ()))
        if position_of(stream.log_file, stream.log_pos) >= end:
            break
    stream.close()
    return count


def copied(states: Any) -> MemoryStates:
    copy = MemoryStates()
    for key, state in states.load("default").items():
        if key != COUNTS:
            copy.save("default", key, state)
    return copy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=300_000)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "template") as server:
        server.run("CREATE DATABASE shop CHARACTER SET utf8mb4")
        database = replace(server, name="shop")
        database.run(TABLE)
        states = MemoryStates()
        way = Selection("changed", "incremental", "append_dedup")
        place = {"path": f"{folder}/copy.duckdb"}

        def source() -> Mysql:
            return Mysql.load({**database.config, "replication_method": {"method": "CDC"}})

        def synced(kept: Any) -> int:
            result = sync(source(), registry.destination("duckdb", place), [way], states=kept)
            assert result.ok, result.as_dict()
            return int(result.total("read"))

        synced(states)
        updates = f"UPDATE changed SET weight = weight + 1 WHERE id <= {options.rows // 2}"
        for title, statement, count in (
            ("inserts", ROWS.format(rows=options.rows), options.rows),
            ("updates", updates, options.rows // 2),
        ):
            start = end_of(database)
            database.run(statement)
            end = end_of(database)
            print(f"{title}: {count:,}", flush=True)
            events = received(source(), start, end)
            cpu = time.process_time()
            received(source(), start, end)
            cpu = time.process_time() - cpu
            print(f"{'receive':20} {count / cpu:12,.0f} changes/cpu-s, {events:,} events", flush=True)
            measure("decode", count, lambda kept=states: decoded(source(), kept.load("default")))
            if importlib.util.find_spec("pymysqlreplication"):
                measure("mysql-replication", count, lambda a=start, b=end: peer(database, a, b))
            measure("duckdb", count, lambda kept=states: synced(copied(kept)))
            decoded_states = copied(states)
            synced(decoded_states)
            states = decoded_states


if __name__ == "__main__":
    main()
