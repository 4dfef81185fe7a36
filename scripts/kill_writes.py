"""Kill syncs of every way to write at random moments, and compare the result with the expected one.

    python scripts/kill_writes.py --destination duckdb --kills 50 --events 4000 --seed 1

One sync moves a stream for each way to write at once. Its process kills itself (SIGKILL) before or behind a write, a
deletion, a commit or a save, or at a random time; then it is started again, and has more events to read whenever it
ran through. PostgreSQL itself, or the engine of ClickHouse, is killed at such moments too, all of its processes at
once; it is started again at once or a while later, and that sync may fail. At the end nothing may be missing, nothing
may stand twice, what was deleted or emptied is gone or marked, and a database holds no other tables. Only where all
versions are added to what is there (`append`) a record may come again that was written behind the last saved
checkpoint: delivery is at least once there, and the figures say how many did.
"""

from __future__ import annotations

import argparse
import functools
import importlib
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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
    Truncate,
    Write,
)

KEYS = 200
CALLS = {"write": "written", "delete": "deleted", "mark": "marked", "truncate": "truncated", "commit": "committed"}
"""Methods of destinations, and the name of the moment behind each."""
MOMENTS = (*CALLS, *CALLS.values(), "save", "saved", "time")
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


def events(seed: int, count: int) -> Iterator[dict[str, Any] | Truncate]:
    """The first events of the history of this seed: versions of records, and deletions (one in five); at times all
    records are deleted at once, in front of a version."""
    dice = random.Random(seed)
    for version in range(1, count + 1):
        key, deleted, truncated = dice.randrange(KEYS), dice.random() < 0.2, dice.random() < 0.01
        moment = f"2026-01-01T00:00:{version % 60:02}Z"
        if truncated:
            yield Truncate(moment)
        text = f"record {key} in version {version}"
        yield {"id": key, "v": version, "text": text, DELETED_AT: moment if deleted else None}


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
        version = 0
        for event in events(self.seed, self.count):
            if isinstance(event, Truncate):
                if version >= since:
                    yield event
                continue
            version = event["v"]
            if version > since:
                yield event
                if stream.incremental and version % 25 == 0:
                    yield Checkpoint({"cursor": version})
        yield Checkpoint({"cursor": self.count})


@dataclass
class Place:
    """Where the destination writes: its configuration, and the server that can be killed."""

    destination: str
    config: dict[str, Any]
    server: Any = None


VECTOR_STORES = ("pgvector", "milvus", "lancedb", "qdrant", "chroma")
THREADED = {"pymilvus", "lancedb", "chromadb"}
"""Packages whose threads do not live in a child."""
VECTORS = {
    "processing": {"chunk_size": 512, "text_fields": ["text"], "metadata_fields": ["id", "v", DELETED_AT]},
    "embedding": {"mode": "fake"},
}


@contextmanager
def place_of(destination: str, folder: Path) -> Iterator[Place]:
    if destination in ("duckdb", "sqlite"):
        yield Place(destination, {"path": str(folder / f"all.{destination}")})
    elif destination == "files":
        yield Place(destination, {"path": str(folder / "files"), "format": "jsonl"})
    elif destination == "delta":
        yield Place(destination, {"path": str(folder / "lake")})
    elif destination == "iceberg":
        yield Place(destination, {"warehouse_location": str(folder / "lake")})
    elif destination == "milvus":
        indexing = {"host": str(folder / "all.db"), "collection": "everything", "auth": {"mode": "no_auth"}}
        yield Place(destination, {**VECTORS, "indexing": indexing})
    elif destination == "lancedb":
        yield Place(
            destination, {**VECTORS, "indexing": {"path": str(folder / "all.lance"), "collection": "everything"}}
        )
    elif destination == "chroma":
        mode = {"mode": "persistent_client", "path": str(folder / "all.chroma")}
        yield Place(destination, {**VECTORS, "indexing": {"auth_method": mode, "collection_name": "everything"}})
    elif destination == "qdrant":
        indexing = {"url": str(folder / "all.qdrant"), "collection": "everything"}
        yield Place(destination, {**VECTORS, "indexing": indexing})
    elif destination == "clickhouse":
        sys.path.append(str(Path(__file__).parents[1] / "tests" / "integration"))
        from clickhouse_server import running as clickhouse

        with clickhouse() as server:
            yield Place(destination, {**server.config, "database": "fire"}, server)
    else:
        sys.path.append(str(Path(__file__).parents[1] / "tests" / "integration"))
        from postgres_server import running

        with running() as server:
            if destination == "postgres":
                yield Place(destination, server.config, server)
            else:
                indexing = {**server.config, "collection": "everything"}
                staging = str(folder / "staging")
                yield Place(destination, {**VECTORS, "indexing": indexing, "shadow_folder": staging}, server)


def postmaster(place: Place) -> int:
    """The first process of a server."""
    server = place.server
    if place.destination == "clickhouse":
        return int(server.pid)
    rows = server.run("SELECT current_setting('data_directory') AS folder")
    return int((Path(rows[0]["folder"]) / "postmaster.pid").read_text().split()[0])


def kill(first: int) -> None:
    """All processes of a server at once, as the machine's end would."""
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    for pid in (first, *map(int, children)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while any(is_alive(pid) for pid in (first, *map(int, children))):
        time.sleep(0.01)


# -- the process that dies -------------------------------------------------------------------------------------------


class Death:
    """Kills the process, or this server's, when its moment has come so many times."""

    def __init__(self, moment: str, after: float, server: int | None = None) -> None:
        self.moment, self.left = moment, after
        self.server = server
        self.lock = threading.Lock()
        if moment == "time":
            timer = threading.Timer(after, self.come)
            timer.daemon = True
            timer.start()

    def passes(self, moment: str) -> None:
        if moment == self.moment:
            with self.lock:
                self.left -= 1
                if self.left < 0:
                    self.come()

    def come(self) -> None:
        self.moment = "past"
        if self.server is None:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            kill(self.server)

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
    for method, behind in CALLS.items():
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


# -- stored rows -----------------------------------------------------------------------------------------------------


def expected(write: Write, seed: int, count: int) -> Counter[tuple[int, int, bool]]:
    """Key, version and whether it bears a mark: what these events leave."""
    if write.keep == "all":
        rows: list[tuple[int, int, bool]] = []
        for event in events(seed, count):
            if not isinstance(event, Truncate):
                rows.append((event["id"], event["v"], event[DELETED_AT] is not None))
            elif write.deletes == "remove":
                rows.clear()
        return Counter(row for row in rows if write.deletes == "keep" or not row[2])
    last: dict[int, tuple[int, bool]] = {}
    for event in events(seed, count):
        if isinstance(event, Truncate):
            if write.deletes == "remove":
                last.clear()
            elif write.deletes == "mark":
                last = {key: (version, True) for key, (version, _) in last.items()}
        elif event[DELETED_AT] is None:
            last[event["id"]] = event["v"], False
        elif write.deletes == "remove":
            last.pop(event["id"], None)
        elif write.deletes == "mark" and event["id"] in last:
            last[event["id"]] = last[event["id"]][0], True
    return Counter((key, version, marked) for key, (version, marked) in last.items())


def stored(place: Place, name: str) -> Counter[tuple[int, int, bool]]:
    config = place.config
    rows: list[Any] = []
    if place.destination in ("duckdb", "sqlite"):
        with connected(place) as run:
            columns = [row[1] for row in run(f"PRAGMA table_info('{name}')")]
            mark = DELETED_AT if DELETED_AT in columns else "NULL"
            rows = run(f'SELECT id, v, {mark} FROM "{name}"')  # noqa: S608
    elif place.destination == "postgres":
        query = f"SELECT id, v, to_jsonb(t) ->> '{DELETED_AT}' AS mark FROM {name} AS t"  # noqa: S608
        rows = [(row["id"], row["v"], row["mark"]) for row in place.server.run(query)]
    elif place.destination == "clickhouse":
        columns = [row["name"] for row in place.server.run(f"DESCRIBE TABLE fire.{name}")]
        mark = DELETED_AT if DELETED_AT in columns else "NULL"
        query = f"SELECT id, v, {mark} AS mark FROM fire.{name}"  # noqa: S608
        rows = [(row["id"], row["v"], row["mark"]) for row in place.server.run(query)]
    elif place.destination == "pgvector":
        field = f"metadata ->> '{DELETED_AT}' AS mark"
        query = (
            f"SELECT metadata ->> 'id' AS id, metadata ->> 'v' AS v, {field} FROM everything WHERE stream = '{name}'"  # noqa: S608
        )
        rows = [(int(row["id"]), int(row["v"]), row["mark"]) for row in place.server.run(query)]
    elif place.destination == "delta":
        from deltalake import DeltaTable

        table = DeltaTable(f"{config['path']}/default/{name}").to_pyarrow_table()
        rows = [(row["id"], row["v"], row.get(DELETED_AT)) for row in table.to_pylist()]
    elif place.destination == "iceberg":
        with iceberg_catalog(place) as catalog:
            table = catalog.load_table(("default", name)).scan().to_arrow()
        rows = [(row["id"], row["v"], row.get(DELETED_AT)) for row in table.to_pylist()]
    elif place.destination == "lancedb":
        import lancedb

        table = lancedb.connect(config["indexing"]["path"]).open_table("everything")
        for row in table.search().where(f"stream = '{name}'").to_arrow().to_pylist():
            fields = json.loads(row["metadata"])
            rows.append((fields["id"], fields["v"], fields.get(DELETED_AT)))
    elif place.destination == "chroma":
        rows = chroma_rows(config["indexing"]["auth_method"]["path"])[name]
    elif place.destination == "qdrant":
        from qdrant_client import QdrantClient, models

        client = QdrantClient(path=config["indexing"]["url"])
        of_stream = models.FieldCondition(key="_ab_stream", match=models.MatchValue(value=name))
        points, _ = client.scroll("everything", scroll_filter=models.Filter(must=[of_stream]), limit=100_000)
        rows = [(p.payload["id"], p.payload["v"], p.payload.get(DELETED_AT)) for p in points]
        client.close()
    elif place.destination == "files":
        lines: list[dict[str, Any]] = []
        for path in sorted((Path(config["path"]) / name).glob("*.jsonl")):
            lines += [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        rows = [(row["id"], row["v"], row.get(DELETED_AT)) for row in lines]
    else:
        rows = milvus_rows(config["indexing"]["host"])[name]
    return Counter((key, version, mark is not None) for key, version, mark in rows)


MILVUS = """
import json, sys
from pymilvus import MilvusClient
client = MilvusClient(sys.argv[1])
client.load_collection("everything")
def rows_of(stream):
    pages = client.query_iterator("everything", batch_size=1000, consistency_level="Strong",
        filter='_ab_stream == "' + stream + '"', output_fields=["*"])
    rows = []
    while page := pages.next():
        rows += [(row["_id"], row["v"], row.get("_ab_cdc_deleted_at")) for row in page]
    return rows
print("ROWS" + json.dumps({stream: rows_of(stream) for stream in sys.argv[2:]}))
"""


CHROMA = """
import json, sys
import chromadb
collection = chromadb.PersistentClient(sys.argv[1]).get_collection("everything", embedding_function=None)
def rows_of(stream):
    found = collection.get(where={"_ab_stream": stream}, include=["metadatas"])["metadatas"]
    fields = [json.loads(row["_ks_metadata"]) for row in found]
    return [(row["id"], row["v"], row.get("_ab_cdc_deleted_at")) for row in fields]
print("ROWS" + json.dumps({stream: rows_of(stream) for stream in sys.argv[2:]}))
"""


@functools.cache
def chroma_rows(path: str) -> dict[str, list[Any]]:
    """The rows of all streams, read by a process of its own: Chroma's threads do not live in a child."""
    return rows_of_script(CHROMA, path)


def rows_of_script(script: str, place: str) -> dict[str, list[Any]]:
    done = subprocess.run([sys.executable, "-c", script, place, *WRITES], capture_output=True, text=True, check=True)
    rows: dict[str, list[Any]] = json.loads(done.stdout.partition("ROWS")[2])
    return rows


@functools.cache
def milvus_rows(host: str) -> dict[str, list[Any]]:
    """The rows of all streams, when all syncs have ended. One process reads them: to start it costs a second."""
    return rows_of_script(MILVUS, host)


@contextmanager
def connected(place: Place) -> Iterator[Any]:
    """A function that runs a statement in a database file and gives all rows."""
    path = place.config["path"]
    if place.destination == "duckdb":
        import duckdb

        with duckdb.connect(path, read_only=True) as database:
            yield lambda statement: database.execute(statement).fetchall()
    else:
        import sqlite3

        connection = sqlite3.connect(path)
        yield lambda statement: connection.execute(statement).fetchall()
        connection.close()


@contextmanager
def iceberg_catalog(place: Place) -> Iterator[Any]:
    from pyiceberg.catalog.sql import SqlCatalog

    folder = place.config["warehouse_location"]
    catalog = SqlCatalog("kitestring", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
    yield catalog
    catalog.close()


def tables(place: Place) -> list[str] | None:
    """All tables of a database; None where the destination is none."""
    if place.destination == "postgres":
        query = (
            "SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
        return sorted(row["name"] for row in place.server.run(query))
    if place.destination == "clickhouse":
        listed = place.server.run("SELECT name FROM system.tables WHERE database = 'fire'")
        return sorted(row["name"] for row in listed)
    if place.destination == "delta":
        return sorted(log.parent.name for log in Path(place.config["path"]).glob("*/*/_delta_log"))
    if place.destination == "iceberg":
        with iceberg_catalog(place) as catalog:
            return sorted(name[-1] for name in catalog.list_tables(("default",)))
    if place.destination in ("duckdb", "sqlite"):
        listed = {
            "duckdb": "SELECT table_name FROM duckdb_tables()",
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
        }
        with connected(place) as run:
            return sorted(row[0] for row in run(listed[place.destination]))
    return None


# -- the run ---------------------------------------------------------------------------------------------------------


def spawned(order: dict[str, Any], folder: Path) -> tuple[int, str]:
    """Run a child to its end; its status and what it wrote. It is forked: the imports are made once."""
    log = folder / "child.log"
    pid = start(order, log)
    return wait(pid, log)


def start(order: dict[str, Any], log: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        with open(log, "wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        status = child(order)
    except BaseException:  # noqa: BLE001 - the process ends here
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ends_first(server: int, pid: int) -> bool:
    """Whether a server comes to its end before a child of ours does."""
    while is_alive(server):
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return not is_alive(server)
        time.sleep(0.02)
    return True


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait(pid: int, log: Path) -> tuple[int, str]:
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), log.read_text("utf-8", "replace")[-3000:]


def run(destination: str, folder: Path, *, kills: int, count: int, seed: int) -> dict[str, Any]:
    """Start, kill and start again; figures of what came of it. `wrong` is empty where all is as it should be."""
    dice = random.Random(seed)
    with place_of(destination, folder) as place:
        kind = registry.destination(destination, place.config)
        for module in {*kind.facts.packages, *kind.facts.preload} - THREADED:
            importlib.import_module(module)
        order: dict[str, Any] = {
            "destination": destination,
            "config": place.config,
            "seed": seed,
            "batch_rows": 40,
            "state": str(folder / "state.db"),
            "names": sorted(name for name, write in WRITES.items() if write in kind.writes),
        }
        lacking = [call for call in CALLS if not hasattr(kind, call)]
        possible = [moment for moment in MOMENTS if moment not in (*lacking, *map(CALLS.get, lacking))]
        moments: Counter[str] = Counter()
        began, reached = time.monotonic(), count // 4
        while moments.total() - moments["ran through"] < kills:
            truncated = any(isinstance(event, Truncate) for event in events(seed, reached))
            moment = dice.choice([moment for moment in possible if truncated or not moment.startswith("truncate")])
            after = dice.uniform(0.1, 3) if moment == "time" else dice.randrange(12)
            server = postmaster(place) if place.server and dice.random() < 0.5 else None
            pid = start({**order, "count": reached, "die": [moment, after, server]}, folder / "child.log")
            killed = server is not None and ends_first(server, pid)
            if killed:
                time.sleep(dice.choice([0, 0, 1, 3]) if kills > 10 else 0)
                if isinstance(getattr(place.server, "process", None), subprocess.Popen):
                    place.server.process.wait()
                while Path(f"/proc/{server}").exists():  # a zombie holds its locks
                    time.sleep(0.02)
                place.server.start()
            status, text = wait(pid, folder / "child.log")
            if status not in (0, -signal.SIGKILL) and not (status == 1 and killed and "defect" not in text):
                raise RuntimeError(f"{moment}: {text}")
            if killed:
                moments[f"{moment}, of the server: the sync {'failed' if status else 'went on'}"] += 1
            else:
                moments[moment if status else "ran through"] += 1
            if status == 0:
                reached = min(count, reached + count // 10)
                if reached == count and moments["ran through"] > kills + 20:
                    break
        for last in range(2):  # the second has nothing to do
            status, text = spawned({**order, "count": count}, folder)
            if status:
                raise RuntimeError(f"the sync {last} after all kills: {text}")
        wrong: dict[str, Any] = {}
        again = 0
        for name in order["names"]:
            wanted, have = expected(WRITES[name], seed, count), stored(place, name)
            missing, more = wanted - have, have - wanted
            if WRITES[name].appends:  # at least once
                again += more.total()
                more = Counter({row: number for row, number in more.items() if row not in wanted})
            if missing or more:
                wrong[name] = {"missing": [*missing.elements()][:5], "too many": [*more.elements()][:5]}
        left = tables(place)
        if left is not None and [name for name in left if not name.startswith("_kitestring")] != order["names"]:
            wrong["tables"] = left
        return {
            "destination": destination,
            "writes": order["names"],
            "kills": moments.total() - moments["ran through"],
            "moments": dict(moments),
            "events": count,
            "emptied": sum(isinstance(event, Truncate) for event in events(seed, count)),
            "added again in append": again,
            "wrong": wrong,
            "seconds": round(time.monotonic() - began),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    places = ("duckdb", "sqlite", "delta", "iceberg", "files", "postgres", "clickhouse", *VECTOR_STORES)
    parser.add_argument("--destination", choices=places, default="duckdb")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--events", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(
            arguments.destination, Path(folder), kills=arguments.kills, count=arguments.events, seed=arguments.seed
        )
    print(json.dumps(figures, indent=2))
    sys.exit(1 if figures["wrong"] else 0)


if __name__ == "__main__":
    main()
