"""1,000,000 rows of 12 columns from an Arrow file into ClickHouse, beside bare INSERTs of the same batches.

    python benchmarks/clickhouse.py [--rows 1000000] [--rounds 3]

`load`: append and overwrite, without and with Airbyte's columns, and append_dedup into an empty table, beside INSERTs
of 100,000 rows each over HTTP into a `MergeTree` without our columns. `changes`: append_dedup of a tenth of the rows,
half of which have changed, beside bare INSERTs of the same rows, which replace nothing. The engine is chdb behind the
stand-in of the tests, which writes each batch to a file before the engine reads it, on both sides.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rounds import Run, rounds, show

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT)]
BATCH = 100_000

KITESTRING = """
import json, sys
import pyarrow as pa
import kitestring as ks
from kitestring.batch import Batch
from kitestring.schema import Schema
from kitestring.source import Source
from kitestring.types import Catalog, Stream
order = json.loads(sys.argv[1])
file = pa.ipc.open_file(pa.memory_map(order["file"]))
class Orders(Source):
    def discover(self):
        return Catalog((Stream("orders", schema=Schema.of_arrow(file.schema), primary_key=(("id",),)),))
    def read(self, partition, states):
        for number in range(file.num_record_batches):
            yield Batch("orders", table=pa.Table.from_batches([file.get_batch(number)]))
destination = ks.destination("clickhouse", order["config"])
result = ks.sync(Orders(), destination, [ks.Selection("orders", write_mode=order["mode"])])
print(json.dumps(result.as_dict()))
sys.exit(not result.ok)
"""
BARE = """
import io, json, sys
import pyarrow as pa
import urllib3
order = json.loads(sys.argv[1])
file = pa.ipc.open_file(pa.memory_map(order["file"]))
pool = urllib3.PoolManager()
for number in range(file.num_record_batches):
    body = io.BytesIO()
    with pa.ipc.new_stream(body, file.schema) as writer:
        writer.write_batch(file.get_batch(number))
    answer = pool.request("POST", order["url"], headers=order["headers"],
        body=b"INSERT INTO bench.bare FORMAT ArrowStream\\n" + body.getvalue())
    assert answer.status == 200, answer.data
"""
COLUMNS = (
    "id Int64, customer_id Int32, amount Nullable(Decimal(12, 2)), weight Nullable(Float64), paid Nullable(Bool), "
    "name Nullable(String), email Nullable(String), note Nullable(String), country Nullable(String), "
    "created_at Nullable(DateTime64(6, 'UTC')), updated_at Nullable(DateTime64(6, 'UTC')), day Nullable(Date32)"
)


def orders(count: int, step: int = 1, changed: bool = False) -> pa.Table:
    """Rows with the ids 0, `step`, …; every second is another version if `changed`."""
    ids = pa.array(range(0, count, step), pa.int64())
    text = ids.cast(pa.string())
    version = pa.array([" changed" if changed and n % 2 else "" for n in range(len(ids))])
    days = pc.subtract(ids, pc.multiply(pc.divide(ids, 2000), 2000))
    seconds = pc.add(pc.multiply(ids, 1_000_000), 1_700_000_000_000_000)
    return pa.table(
        {
            "id": ids,
            "customer_id": pc.divide(ids, 7).cast(pa.int32()),
            "amount": pc.divide(ids.cast(pa.float64()), 100.0).cast(pa.decimal128(12, 2)),
            "weight": pc.divide(ids.cast(pa.float64()), 7.0),
            "paid": pc.equal(pc.bit_wise_and(ids, 1), 0),
            "name": pc.binary_join_element_wise("Customer number ", text, version, ""),
            "email": pc.binary_join_element_wise("user", text, "@example.com", ""),
            "note": pc.binary_join_element_wise("A note of some length about order ", text, ""),
            "country": pc.if_else(pc.equal(pc.bit_wise_and(ids, 1), 0), "DE", "FR"),
            "created_at": seconds.cast(pa.timestamp("us", "UTC")),
            "updated_at": seconds.cast(pa.timestamp("us")),
            "day": pc.add(days, 18_000).cast(pa.int32()).cast(pa.date32()),
        }
    )


def saved(table: pa.Table, path: Path) -> str:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH)
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    from clickhouse_server import PASSWORD, USER, running

    with running() as server, tempfile.TemporaryDirectory() as folder:
        whole = saved(orders(options.rows), Path(folder, "whole.arrow"))
        tenth = saved(orders(options.rows, 10, changed=True), Path(folder, "tenth.arrow"))
        headers = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD}
        bare = {"url": f"http://127.0.0.1:{server.port}/", "headers": headers}

        def empty() -> None:
            server.run("DROP DATABASE IF EXISTS bench SYNC")
            server.run("CREATE DATABASE bench")
            server.run(f"CREATE TABLE bench.bare ({COLUMNS}) ENGINE = MergeTree ORDER BY id")

        def counted(table: str, count: int) -> None:
            (row,) = server.run(f"SELECT count() AS n FROM bench.{table}")
            assert row["n"] == count, row

        def filled() -> None:
            empty()
            command = kitestring(whole, "append_dedup").command
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        def kitestring(file: str, mode: str, ready: Any = empty, **config: Any) -> Run:
            settings = {**server.config, "database": "bench", "airbyte_columns": False, **config}
            order = {"file": file, "mode": mode, "config": settings}
            command = [sys.executable, "-c", KITESTRING, json.dumps(order)]
            return Run(command, ready=ready, verify=partial(counted, "orders", options.rows))

        def floor(file: str, count: int) -> Run:
            command = [sys.executable, "-c", BARE, json.dumps({"file": file, **bare})]
            return Run(command, ready=empty, verify=partial(counted, "bare", count))

        load = {
            "bare INSERT": floor(whole, options.rows),
            "append": kitestring(whole, "append"),
            "append, columns": kitestring(whole, "append", airbyte_columns=True),
            "overwrite": kitestring(whole, "overwrite"),
            "append_dedup": kitestring(whole, "append_dedup"),
        }
        show("load", rounds(load, options.rounds, server=server.pid), "bare INSERT")
        changes = {
            "bare INSERT": floor(tenth, options.rows // 10),
            "append_dedup": kitestring(tenth, "append_dedup", filled),
        }
        show("changes", rounds(changes, options.rounds, server=server.pid), "bare INSERT")


if __name__ == "__main__":
    main()
