"""Change data capture from PostgreSQL or MariaDB under fire: transactions while syncs are killed, then a comparison.

    python scripts/cdc_under_fire.py --destination postgres --seconds 120 --rate 500 --kills 10 --cuts 2 --restarts 1

Transactions insert, update, delete, change keys, truncate and alter tables: with a replica identity of the key and of
whole rows, with long values, partitions and generated columns, several tables in one transaction. Several sessions send
them, each transaction in one message. Meanwhile one sync follows the other, each in a process of its own, over a relay.
Some are killed (SIGKILL) at a random moment, the relay resets the connections of some, the server is killed and started
again. At the end one more sync has to find nothing, and source and destination have to be equal row by row. A table
without a key is only inserted into: every row must have arrived, some may have twice. `--source mariadb` does the same
with `mariadb_fire.py` (without the relay).

Into a vector store (`milvus`, a Lite folder) each text is embedded once: as often as texts were written, and at most
the batches that were in flight when a sync was killed or cut are embedded a second time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "integration"))

TABLES = {
    "accounts": "id integer PRIMARY KEY, name text, amount numeric(12,2), body text, seen timestamptz",
    "notes": "id integer PRIMARY KEY, name text, amount numeric(12,2), body text, seen timestamptz",
    "lines": "a integer, b text, name text, amount numeric(12,2), body text, seen timestamptz, PRIMARY KEY (a, b)",
    "parts": "id integer, name text, amount numeric(12,2), body text, seen timestamptz, PRIMARY KEY (id)",
    "sums": "id integer PRIMARY KEY, name text, amount numeric(12,2), body text, seen timestamptz, "
    "twice numeric GENERATED ALWAYS AS (amount * 2) STORED",
    "trail": "entry bigint, name text",
}
KEYS = 400
DIMENSION = 32
IN_FLIGHT = 4
"""How many batches of a vector store may be embedded and not yet written: those prepared ahead, and the one written."""


WRITERS = 4
"""How many sessions write at once: one alone waits for the server most of the time."""
TEXTS = ("INSERT", " SET name = ", " SET id = ", " SET a = ")
"""What is in statements that write the text of a row, or give a row another key."""


class RefusedError(Exception):
    """The server has rolled a transaction back: a key is taken, say, or another transaction waits for it."""


class LostError(Exception):
    """The server is away; whether it has committed what was sent last is unknown."""


class Fire:
    """The writers: random transactions from a seed, and what else happens to the server."""

    connector = "postgres"
    namespace = "public"
    no_log = "Standard"
    committing: tuple[str, ...] = ()
    """Words of the statements that commit what is before them."""

    def __init__(self, database: Any, seed: int, rate: float) -> None:
        self.random = random.Random(seed)
        self.database = database
        self.rate = rate
        self.transactions = 0
        self.kinds: Counter[str] = Counter()
        self.added: dict[str, list[str]] = {table: [] for table in TABLES}
        self.columns = 0
        self.entries = 0
        self.relay: Relay
        self.texts = 0
        """The texts that were written to a row: each has to be embedded at most once."""
        self.began = 0.0
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.write, name=f"fire {n}") for n in range(WRITERS)]
        self.error: BaseException | None = None

    def start(self) -> None:
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def prepare(self) -> None:
        for name, columns in TABLES.items():
            self.database.run(f"CREATE TABLE {name} ({columns}){' PARTITION BY RANGE (id)' if name == 'parts' else ''}")
        for n, (low, high) in enumerate([("MINVALUE", 100), (100, 250), (250, "MAXVALUE")]):
            self.database.run(f"CREATE TABLE parts_{n} PARTITION OF parts FOR VALUES FROM ({low}) TO ({high})")
        self.database.run(
            "ALTER TABLE notes REPLICA IDENTITY FULL",
            "ALTER TABLE trail REPLICA IDENTITY FULL",
            *(f"ALTER TABLE {name} ALTER body SET STORAGE EXTERNAL" for name in ("accounts", "notes", "lines")),
            *(
                f"INSERT INTO {name} (id, name, amount, body) SELECT n, 'n' || n, n, repeat(n::text, 50) "
                f"FROM generate_series(1, {KEYS}) n"
                for name in ("accounts", "notes", "parts", "sums")
            ),
            "INSERT INTO lines (a, b, name) SELECT n, 'b' || n, 'n' FROM generate_series(1, 100) n",
        )
        self.texts = 4 * KEYS + 100

    def source(self) -> dict[str, Any]:
        method = {"method": "CDC", "replication_slot": "fire", "publication": "fire"}
        return {**self.database.config, "port": self.relay.port, "replication_method": method}

    @contextmanager
    def copies(self) -> Iterator[dict[str, Any]]:
        """The settings of a PostgreSQL database for the copies."""
        self.database.run("CREATE DATABASE copies")
        yield {**self.database.config, "database": "copies"}

    def cut(self) -> None:
        self.relay.cut()

    def restart(self) -> None:
        self.database.kill()
        time.sleep(0.5)
        self.database.start()

    def write(self) -> None:
        """One session: transaction after transaction, each at its time by the rate, or as fast as it goes."""
        session = None
        try:
            while not self.stop.is_set():
                if session is None:
                    try:
                        session = self.connect()
                    except LostError:  # the server is killed
                        time.sleep(0.05)
                        continue
                with self.lock:
                    statements = list(self.transaction())
                    end = "ROLLBACK" if self.random.random() < 0.03 else "COMMIT"
                    self.transactions += 1
                    due = self.began + self.transactions / self.rate
                time.sleep(max(0.0, due - time.monotonic()))
                session = self.send(session, statements, end)
        except BaseException as error:
            self.error = error
            raise
        finally:
            if session is not None:
                session.close()

    def send(self, session: Any, statements: Sequence[str], end: str) -> Any:
        """Run a transaction; the session, or None where another one is needed."""
        is_done, is_lost = False, False
        # Whether a lost transaction was committed is unknown, and some statements commit what is before them.
        texts = sum(any(text in statement for text in TEXTS) for statement in statements)
        try:
            counts = self.execute(session, [*statements, end])
            is_done = True
            if end == "COMMIT":
                texts = sum(
                    count
                    for statement, count in zip(statements, counts, strict=True)
                    if any(text in statement for text in TEXTS)
                )
        except RefusedError:
            end = "ROLLBACK"
        except LostError:
            end, is_lost = "", True
        if end == "ROLLBACK" and not any(word in statement for statement in statements for word in self.committing):
            texts = 0
        with self.lock:
            self.texts += texts
            self.transactions -= not is_done
            self.kinds["refused"] += end == "ROLLBACK" and not is_done
        return None if is_lost else session

    def connect(self) -> Any:
        import psycopg

        options = "-c deadlock_timeout=50ms"
        try:
            return psycopg.connect(self.database.dsn, options=options, autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError as error:
            raise LostError from error

    def execute(self, session: Any, statements: Sequence[str]) -> list[int]:
        """Run the statements of a transaction in one go; the number of rows that each but the last has changed."""
        import psycopg

        counts = []
        try:
            # One message: a round trip for each statement would take longer than its execution.
            cursor = session.execute("; ".join(["BEGIN", *statements]))
            while cursor.nextset():
                counts.append(cursor.rowcount)
        except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateColumn, psycopg.OperationalError) as error:
            try:
                session.rollback()
            except psycopg.OperationalError:
                raise LostError from error
            raise RefusedError from error
        return counts[:-1]

    def transaction(self) -> Iterator[str]:
        if self.random.random() < 0.004:
            yield from self.alter()
            return
        for _ in range(self.random.choice([1, 1, 1, 2, 3, 8])):
            yield self.change()

    def change(self) -> str:
        r = self.random
        table = r.choice(list(TABLES))
        kind = r.choices(
            ["insert", "update", "long", "text", "delete", "key", "truncate"], [25, 30, 8, 10, 12, 6, 0.04]
        )[0]
        if table == "trail":
            kind = "insert"
        self.kinds[kind] += 1
        key = r.randrange(1, KEYS * 2)
        where = f"a = {key} AND b = 'b{key}'" if table == "lines" else f"id = {key}"
        text = f"{r.random()} {r.random()}"
        match kind:
            case "insert" if table == "trail":
                self.entries += 1
                return f"INSERT INTO trail VALUES ({self.entries}, '{text}')"
            case "insert":
                keys, values = ("a, b", f"{key}, 'b{key}'") if table == "lines" else ("id", f"{key}")
                body = f"repeat('{r.random()} ', {r.choice([1, 10, 400])})"
                return (
                    f"INSERT INTO {table} ({keys}, name, amount, body, seen) VALUES "
                    f"({values}, '{text}', {r.randrange(10**6) / 100}, {body}, now()) ON CONFLICT DO NOTHING"
                )
            case "update":
                return f"UPDATE {table} SET amount = {r.randrange(10**6) / 100}, seen = now() WHERE {where}"
            case "long":
                return f"UPDATE {table} SET body = repeat('{r.random()} ', {r.choice([1, 400])}) WHERE {where}"
            case "text":
                return f"UPDATE {table} SET name = '{text}' WHERE {where}"
            case "delete":
                return f"DELETE FROM {table} WHERE {where}"
            case "key":
                new = r.randrange(1, KEYS * 2)
                change = f"a = {new}, b = 'b{new}'" if table == "lines" else f"id = {new}"
                taken = f"a = {new} AND b = 'b{new}'" if table == "lines" else f"id = {new}"
                return f"UPDATE {table} SET {change} WHERE {where} AND NOT EXISTS (SELECT FROM {table} WHERE {taken})"
        return f"TRUNCATE {table}"

    def alter(self) -> Iterator[str]:
        r = self.random
        table = r.choice([name for name in TABLES if name != "trail"])
        added = self.added[table]
        yield "SET LOCAL lock_timeout = '5s'"
        if added and r.random() < 0.4:
            column = added.pop()
            self.kinds["drop"] += 1
            yield f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column}"
        elif added and r.random() < 0.3:
            self.kinds["type"] += 1
            yield f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {added[-1]} integer"
            yield f"ALTER TABLE {table} ALTER COLUMN {added[-1]} TYPE text USING {added[-1]}::text"
        else:
            self.columns += 1
            column = f"c{self.columns}"
            added.append(column)
            self.kinds["add"] += 1
            default = r.choice(["", "DEFAULT 7", "DEFAULT (random() * 100)::int"])
            yield f"ALTER TABLE {table} ADD COLUMN {column} integer {default}"
        yield f"UPDATE {table} SET name = 'altered' WHERE name = (SELECT min(name) FROM {table})"


@dataclass
class Figures:
    seconds: float = 0.0
    transactions: int = 0
    rate: int = 0
    """Transactions a second."""
    load: float = 0.0
    """The load average of the machine in the last minute of the transactions."""
    changes: dict[str, int] = field(default_factory=dict)
    syncs: int = 0
    succeeded: int = 0
    kills: int = 0
    cuts: int = 0
    restarts: int = 0
    failed: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    embedded: int = 0
    texts: int = 0
    wrong: dict[str, Any] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", choices=["postgres", "mariadb"], default="postgres")
    parser.add_argument("--destination", choices=["postgres", "duckdb", "milvus"], default="postgres")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rate", type=float, default=500, help="transactions a second")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--cuts", type=int, default=2)
    parser.add_argument("--restarts", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mariadb-data", type=Path, help="data of a new MariaDB server, made where they are not there")
    parser.add_argument("--child", help="a sync's settings as JSON: run it, print its result")
    options = parser.parse_args()
    if options.child:
        return child(json.loads(options.child))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.source == "mariadb":
            from mariadb_fire import MariadbFire
            from mariadb_server import running as mariadb

            server = stack.enter_context(mariadb(options.mariadb_data or folder / "template"))
            fire: Fire = MariadbFire(server, options.seed, options.rate)
        else:
            from postgres_server import running

            fire = Fire(stack.enter_context(running()), options.seed, options.rate)
            fire.relay = Relay((fire.database.host, fire.database.port))
        place: dict[str, Any] = {"path": str(folder / "copies.duckdb")}
        fire.prepare()
        if options.destination == "postgres":
            place = stack.enter_context(fire.copies())
        elif options.destination == "milvus":
            place = vectors_in(folder)
        figures = burn(fire, place, folder, options)
    print(json.dumps(figures.__dict__, indent=1, default=str))
    return 1 if figures.wrong else 0


def burn(fire: Fire, place: dict[str, Any], folder: Path, options: Any) -> Figures:
    """One run on a server's own database."""
    figures, chance = Figures(), random.Random(options.seed + 1)
    order = {
        "connector": fire.connector,
        "namespace": fire.namespace,
        "no_log": fire.no_log,
        "source": fire.source(),
        "embedded": str(folder / "embedded"),
        "destination": [options.destination, place],
        "state": str(folder / "state.db"),
    }
    began = time.monotonic()
    events = [*["kill"] * options.kills, *["cut"] * options.cuts, *["restart"] * options.restarts]
    chance.shuffle(events)
    moments = sorted(chance.uniform(0.05, 0.95) * options.seconds for _ in events)
    fire.start()
    try:
        while time.monotonic() - began < options.seconds or events:
            process = start(order)
            while process.poll() is None:
                if events and time.monotonic() - began > moments[0]:
                    moments.pop(0)
                    strike(events.pop(0), process, fire, figures)
                time.sleep(0.01)
            finish(process, figures)
    finally:
        fire.end()
    if fire.error is not None:
        raise fire.error
    figures.seconds = round(time.monotonic() - began, 1)
    figures.rate = round(fire.transactions / figures.seconds)
    figures.load = os.getloadavg()[0]
    for _ in range(3):  # the first may still find changes; what it has to read again, the second
        result = finish(start(order), figures)
        reads = [stream["read"] for stream in result["streams"].values()] if result is not None else []
        if result is not None and result["status"] == "succeeded" and not any(reads):
            break
    if result is None or result["status"] != "succeeded":
        figures.wrong["last sync"] = result or figures.failed[-1:]
    elif any(reads):
        figures.wrong["last sync"] = "found changes although nothing changed"
    figures.transactions, figures.changes = fire.transactions, dict(fire.kinds)
    if options.destination == "milvus":
        count_embeddings(fire.texts, order, figures)
    for table in TABLES:
        compare(table, order, figures)
    return figures


def start(order: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--child", json.dumps(order)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def vectors_in(folder: Path) -> dict[str, Any]:
    """The settings of a Milvus Lite folder, with one chunk for each row."""
    metadata = ["id", "a", "b", "entry", "amount"]
    return {
        "processing": {"chunk_size": 8000, "text_fields": ["name"], "metadata_fields": metadata},
        "embedding": {"mode": "fake"},
        "indexing": {"host": str(folder / "copies.db"), "collection": "copies"},
        "shadow_folder": str(folder / "shadows"),
    }


def count_embeddings(texts: int, order: dict[str, Any], figures: Figures) -> None:
    """Every text is embedded once, but for what was in flight when a sync ended early."""
    from kitestring.vector.destination import VectorDestination

    figures.texts = texts
    figures.embedded = Path(order["embedded"]).stat().st_size
    early = figures.kills + len(figures.failed)
    if figures.embedded > texts + early * IN_FLIGHT * VectorDestination.batch_rows:
        figures.wrong["embedded"] = f"{figures.embedded} for {texts} texts, and {early} syncs ended early"


class Relay:
    """A TCP relay to a server; `cut` resets every connection through it."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for end in (end for pair in pairs for end in pair):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            try:
                server = socket.create_connection(self._server)
            except OSError:  # it is down
                client.close()
                continue
            with self._lock:
                self._pairs.add((client, server))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(256 * 1024):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def strike(event: str, process: subprocess.Popen[str], fire: Fire, figures: Figures) -> None:
    if event == "kill":
        process.kill()
        figures.kills += 1
    elif event == "cut":
        fire.cut()
        figures.cuts += 1
    else:
        fire.restart()
        figures.restarts += 1


def finish(process: subprocess.Popen[str], figures: Figures) -> dict[str, Any] | None:
    """Count how a sync ended; its result, if it had one."""
    output, errors = process.communicate()
    figures.syncs += 1
    if process.returncode == 0:
        figures.succeeded += 1
    result = None
    with suppress(ValueError):
        result = json.loads(output)
    if process.returncode > 0:
        figures.failed.append(failure(result) if result else errors[-2000:])
        if not result or "Traceback" in errors:
            figures.wrong[f"sync {figures.syncs}"] = errors[-2000:]
        elif result["status"] == "suspicious":
            figures.wrong[f"sync {figures.syncs}"] = failure(result)
    return result


def failure(result: dict[str, Any]) -> str:
    streams = {
        key: stream["error"] or stream["suspicions"]
        for key, stream in result["streams"].items()
        if stream["error"] or stream["suspicions"]
    }
    return f"{result['status']}: {result['error']} {streams}"


def child(order: dict[str, Any]) -> int:
    from kitestring import registry
    from kitestring.engine import Selection, SqliteStates, sync
    from kitestring.errors import TransientError

    count_texts(order["embedded"])
    source = registry.source(order["connector"], order["source"])
    destination = registry.destination(*order["destination"])
    selections = [
        Selection(f"{order['namespace']}.{table}", "incremental", "append" if table == "trail" else "append_dedup")
        for table in TABLES
    ]
    try:
        result = sync(source, destination, selections, states=SqliteStates(order["state"]))
    except TransientError as error:  # the server was away before the sync had begun
        print(json.dumps({"status": "failed", "error": error.message, "streams": {}}))
        return 1
    print(json.dumps(result.as_dict()))
    return 0 if result.ok else 1


def count_texts(path: str) -> None:
    """Make the trial embedder of this process small, and let it write a byte to a file for every text."""
    from kitestring.vector.embedders.fake import Fake

    embed = Fake.embed

    def counted(self: Fake, texts: Sequence[str]) -> Any:
        with open(path, "ab") as file:
            file.write(b"." * len(texts))
        return embed(self, texts)

    Fake.embed = counted
    Fake.dimension = property(lambda self: DIMENSION)


def compare(table: str, order: dict[str, Any], figures: Figures) -> None:
    """Compare a table with its copy, row by row."""
    from kitestring import registry
    from kitestring.identity import typed

    namespace = order["namespace"]
    source = registry.source(order["connector"], {**order["source"], "replication_method": order["no_log"]})
    expected = rows_of(source, f"{namespace}.{table}")
    kind, place = order["destination"]
    if kind == "postgres":
        actual = rows_of(registry.source("postgres", {**place, "schemas": []}), f"{namespace}.{table}")
    elif kind == "milvus":
        actual = chunks_of(place, f"{namespace}_{table}")
        expected = [{name: row[name] for name in row if name in CHUNK_FIELDS} for row in expected]
    else:
        import duckdb

        with duckdb.connect(place["path"], read_only=True) as database:
            database.execute("SET TimeZone = 'UTC'")
            from kitestring import arrow_values

            actual = arrow_values.rows(database.execute(f"SELECT * FROM {namespace}.{table}").to_arrow_table())
    figures.rows[table] = len(expected)
    names = sorted({name for row in expected for name in row})
    key = {"lines": ("a", "b"), "trail": ("entry",)}.get(table, ("id",))
    by_key: Callable[[dict[str, Any]], Any] = lambda row: tuple(row[name] for name in key)  # noqa: E731
    before, after = {by_key(row): row for row in expected}, {by_key(row): row for row in actual}
    problems = []
    if table != "trail" and len(actual) != len(after):
        problems.append(f"{len(actual)} rows for {len(after)} keys")
    if missing := before.keys() - after.keys():
        problems.append(f"missing {sorted(missing)[:5]} of {len(missing)}")
    if surplus := after.keys() - before.keys():
        problems.append(f"left over {sorted(surplus)[:5]} of {len(surplus)}")
    for each in sorted(before.keys() & after.keys()):
        different = {
            name: (str(after[each].get(name))[:40], str(before[each][name])[:40])
            for name in names
            if not is_same(after[each].get(name), before[each][name], typed)
        }
        if different:
            problems.append(f"{each}: {different}")
    if problems:
        figures.wrong[table] = problems[:10]


CHUNK_FIELDS = ("id", "a", "b", "entry", "name", "amount")


def chunks_of(place: dict[str, Any], stream: str) -> list[dict[str, Any]]:
    """The chunks of a stream as rows: each text is short, so that it is one chunk."""
    from pymilvus import MilvusClient

    client = MilvusClient(place["indexing"]["host"])
    client.load_collection("copies")
    pages = client.query_iterator("copies", 1000, filter=f"_ab_stream == '{stream}'", output_fields=["*"])
    rows = []
    while page := pages.next():
        for chunk in page:
            row = {name: chunk.get(f"_{name}" if name == "id" else name) for name in CHUNK_FIELDS}
            rows.append({**row, "name": chunk["text"]})
    client.close()
    return rows


def is_same(actual: Any, expected: Any, typed: Callable[[Any], Any]) -> bool:
    """A column that grew to text at the destination has the text of a number."""
    if isinstance(expected, Decimal) and isinstance(actual, float):  # a vector store has no decimals
        return actual == float(expected)
    return typed(actual) == typed(expected) or (actual is not None and str(actual) == str(expected))


def rows_of(source: Any, key: str) -> list[dict[str, Any]]:
    stream = source.discover().get(key)
    rows = [
        row
        for partition in source.partitions([stream], {})
        for batch in source.read(partition, {})
        for row in batch.rows()
    ]
    source.close()
    return rows


if __name__ == "__main__":
    sys.exit(main())
