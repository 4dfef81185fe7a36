"""Kill syncs of every way to write at random moments, and compare what stands at the end with what should.

    python scripts/kill_writes.py --destination duckdb --kills 50 --events 4000 --seed 1

One sync moves a stream for each way to write at once. Its process kills itself (SIGKILL) before or behind a write, a
deletion, a commit or a save, or at a random time; then it is started again, and has more events to read whenever it
ran through. At the end nothing may be missing, nothing may stand twice, what was deleted is gone or marked. Only where
all versions are added to what is there (`append`) a record may come again that was written behind the last saved
checkpoint: delivery is at least once there, and the figures say how many did.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kitestring import registry
from kitestring.engine import Selection, SqliteStates, sync
from kitestring.source import Item, Source
from kitestring.types import (
    DELETED_AT,
    EVERY_WRITE,
    Catalog,
    Checkpoint,
    Partition,
    States,
    Stream,
    SyncMode,
    Write,
)

KEYS = 200
MOMENTS = ("write", "written", "delete", "deleted", "mark", "marked", "commit", "committed", "save", "saved", "time")
SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "v": {"type": "integer"},
        "text": {"type": "string"},
        DELETED_AT: {"type": ["null", "string"]},
    },
}


def name_of(write: Write) -> str:
    return f"{'replace' if write.replace else 'add'}_{write.keep}_{write.deletes}"


WRITES = {name_of(write): write for write in EVERY_WRITE}


def events(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """So many events of the history of this seed: versions of records, and deletions (one in five)."""
    dice = random.Random(seed)
    for version in range(1, count + 1):
        key, deleted = dice.randrange(KEYS), dice.random() < 0.2
        text = f"record {key} in version {version}"
        yield {
            "id": key,
            "v": version,
            "text": text,
            DELETED_AT: f"2026-01-01T00:00:{version % 60:02}Z" if deleted else None,
        }


class History(Source):
    """The events as a stream for each way to write."""

    seed: int
    count: int
    names: list[str]

    def discover(self) -> Catalog:
        both = (SyncMode.full_refresh, SyncMode.incremental)
        return Catalog(
            tuple(
                Stream(name, schema=SCHEMA, primary_key=(("id",),), cursor=("v",), sync_modes=both)
                for name in self.names
            )
        )

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        stream = partition.stream
        since = states.get(stream.key, {}).get("cursor", 0) if stream.incremental else 0
        for record in events(self.seed, self.count):
            if record["v"] > since:
                yield record
                if stream.incremental and record["v"] % 25 == 0:
                    yield Checkpoint({"cursor": record["v"]})
        yield Checkpoint({"cursor": self.count})


def config_of(destination: str, folder: Path) -> dict[str, Any]:
    if destination == "duckdb":
        return {"path": str(folder / "all.duckdb")}
    if destination == "files":
        return {"path": str(folder / "files"), "format": "jsonl"}
    return {
        "processing": {"chunk_size": 512, "text_fields": ["text"], "metadata_fields": ["id", "v", DELETED_AT]},
        "embedding": {"mode": "fake"},
        "indexing": {"host": str(folder / "all.db"), "collection": "everything", "auth": {"mode": "no_auth"}},
    }


# -- the process that dies -------------------------------------------------------------------------------------------


class Death:
    """Kills the process when its moment has come so many times."""

    def __init__(self, moment: str, after: float) -> None:
        self.moment, self.left = moment, after
        self.lock = threading.Lock()
        if moment == "time":
            timer = threading.Timer(after, lambda: os.kill(os.getpid(), signal.SIGKILL))
            timer.daemon = True
            timer.start()

    def passes(self, moment: str) -> None:
        if moment == self.moment:
            with self.lock:
                self.left -= 1
                if self.left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    def around(self, kind: Any, method: str, before: str, behind: str) -> None:
        call = getattr(kind, method, None)
        if call is None:
            return

        def mortal(destination: Any, *arguments: Any) -> Any:
            self.passes(before)
            answer = call(destination, *arguments)
            self.passes(behind)
            return answer

        setattr(kind, method, mortal)


def child(order: dict[str, Any]) -> int:
    death = Death(*order.get("die", ("never", 0)))

    class MortalStates(SqliteStates):
        def save(self, connection: str, stream: str, state: dict[str, Any]) -> None:
            death.passes("save")
            super().save(connection, stream, state)
            death.passes("saved")

    destination = registry.destination(order["destination"], order["config"])
    kind: Any = type(destination)
    for method, behind in (("write", "written"), ("delete", "deleted"), ("mark", "marked"), ("commit", "committed")):
        death.around(kind, method, method, behind)
    kind.batch_rows = order["batch_rows"]
    source = History(seed=order["seed"], count=order["count"], names=order["names"])
    selections = [
        Selection(
            name,
            sync_mode="full_refresh" if WRITES[name].replace else "incremental",
            write_mode={part: getattr(WRITES[name], part) for part in ("replace", "keep", "deletes")},
        )
        for name in order["names"]
    ]
    result = sync(source, destination, selections, states=MortalStates(order["state"]))
    print(json.dumps(result.as_dict()))
    return 0 if result.ok else 1


# -- what stands -----------------------------------------------------------------------------------------------------


def expected(write: Write, seed: int, count: int) -> Counter[tuple[int, int, bool]]:
    """Key, version and whether it bears a mark: what these events leave."""
    if write.keep == "all":
        rows = [(row["id"], row["v"], row[DELETED_AT] is not None) for row in events(seed, count)]
        return Counter(row for row in rows if write.deletes == "keep" or not row[2])
    last: dict[int, tuple[int, bool]] = {}
    for row in events(seed, count):
        if row[DELETED_AT] is None:
            last[row["id"]] = row["v"], False
        elif write.deletes == "remove":
            last.pop(row["id"], None)
        elif write.deletes == "mark" and row["id"] in last:
            last[row["id"]] = last[row["id"]][0], True
    return Counter((key, version, marked) for key, (version, marked) in last.items())


def stored(destination: str, config: dict[str, Any], name: str) -> Counter[tuple[int, int, bool]]:
    if destination == "duckdb":
        import duckdb

        with duckdb.connect(config["path"], read_only=True) as database:
            columns = [row[0] for row in database.execute(f'DESCRIBE "{name}"').fetchall()]
            mark = DELETED_AT if DELETED_AT in columns else "NULL"
            return Counter(
                (key, version, gone is not None)
                for key, version, gone in database.execute(f'SELECT id, v, {mark} FROM "{name}"').fetchall()  # noqa: S608
            )
    if destination == "files":
        rows = []
        for path in sorted((Path(config["path"]) / name).glob("*.jsonl")):
            rows += [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return Counter((row["id"], row["v"], row.get(DELETED_AT) is not None) for row in rows)
    script = (
        "import json, sys\n"
        "from pymilvus import MilvusClient\n"
        "client = MilvusClient(sys.argv[1])\n"
        "client.load_collection('everything')\n"
        "pages = client.query_iterator('everything', batch_size=1000, consistency_level='Strong',\n"
        "    filter='_ab_stream == \"' + sys.argv[2] + '\"', output_fields=['*'])\n"
        "rows = []\n"
        "while page := pages.next():\n"
        "    rows += [(row['_id'], row['v'], row.get('_ab_cdc_deleted_at') is not None) for row in page]\n"
        "print('ROWS' + json.dumps(rows))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, config["indexing"]["host"], name], capture_output=True, text=True, check=True
    )
    return Counter(map(tuple, json.loads(done.stdout.partition("ROWS")[2])))


# -- the run ---------------------------------------------------------------------------------------------------------


def run(destination: str, folder: Path, *, kills: int, count: int, seed: int) -> dict[str, Any]:
    """Start, kill and start again; figures of what came of it. `wrong` is empty where all is as it should be."""
    dice, config = random.Random(seed), config_of(destination, folder)
    writes = registry.destination(destination, config).writes
    order = {
        "destination": destination,
        "config": config,
        "seed": seed,
        "batch_rows": 40,
        "state": str(folder / "state.db"),
        "names": sorted(name for name, write in WRITES.items() if write in writes),
    }
    moments: Counter[str] = Counter()
    began, reached = time.monotonic(), count // 4
    while sum(moments.values()) - moments["ran through"] < kills:
        moment = dice.choice(MOMENTS)
        die = [moment, dice.uniform(0.3, 6) if moment == "time" else dice.randrange(12)]
        done = subprocess.run(
            [sys.executable, __file__, "--child", json.dumps({**order, "count": reached, "die": die})],
            capture_output=True,
            text=True,
            timeout=600,
        )
        if done.returncode not in (0, -signal.SIGKILL):
            raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
        moments[moment if done.returncode else "ran through"] += 1
        if done.returncode == 0:
            reached = min(count, reached + count // 10)
            if reached == count and moments["ran through"] > kills + 20:
                break
    for last in range(2):  # the second has nothing to do
        done = subprocess.run(
            [sys.executable, __file__, "--child", json.dumps({**order, "count": count})],
            capture_output=True,
            text=True,
            timeout=600,
        )
        if done.returncode:
            raise RuntimeError(f"the sync {last} after all kills: " + done.stdout[-3000:] + done.stderr[-3000:])
    wrong, again = {}, 0
    for name in order["names"]:
        wanted, have = expected(WRITES[name], seed, count), stored(destination, config, name)
        missing, more = wanted - have, have - wanted
        if WRITES[name].appends:  # at least once
            again += sum(more.values())
            more = Counter({row: number for row, number in more.items() if row not in wanted})
        if missing or more:
            wrong[name] = {"missing": list(missing.elements())[:5], "too many": list(more.elements())[:5]}
    return {
        "destination": destination,
        "writes": order["names"],
        "kills": sum(moments.values()) - moments["ran through"],
        "moments": dict(moments),
        "events": count,
        "added again in append": again,
        "wrong": wrong,
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--destination", choices=("duckdb", "files", "milvus"), default="duckdb")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--events", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        sys.exit(child(json.loads(arguments.child)))
    with tempfile.TemporaryDirectory() as folder:
        figures = run(
            arguments.destination, Path(folder), kills=arguments.kills, count=arguments.events, seed=arguments.seed
        )
    print(json.dumps(figures, indent=2))
    sys.exit(1 if figures["wrong"] else 0)


if __name__ == "__main__":
    main()
