"""What is written to PostgreSQL stays, whenever the server is killed or the connection breaks."""

import socket
import threading
from contextlib import nullcontext, suppress
from dataclasses import replace

import pyarrow as pa
import pytest
from postgres_server import running

from kitestring.batch import Batch
from kitestring.destinations.postgres import Postgres
from kitestring.errors import TransientError
from kitestring.schema import Schema
from kitestring.types import Stream, Write

pytestmark = pytest.mark.slow

NEW_LATEST = Write(replace=True, keep="latest", deletes="remove")


def table_of(*ids, text="new"):
    return pa.table({"id": list(ids), "t": [text] * len(ids)})


def stream_of(name, write):
    return Stream(name, schema=Schema.of(table_of(1).schema), primary_key=(("id",),), write=write)


def put(destination, stream, table):
    """Write a batch as the engine does: again, where the server was not there."""
    batch = destination.prepare(stream, Batch(stream.key, table=table))
    for _ in range(4):
        try:
            return destination.write(stream, batch)
        except TransientError:
            continue
    raise AssertionError("the server does not come back")


def test_nothing_is_lost_when_all_processes_of_the_server_are_killed():
    """Between a write and its commit, and just after a swap; with everything that PostgreSQL does for durability."""
    with running("-c max_connections=20 -c autovacuum=off -c checkpoint_timeout=1h") as server:
        ids = {name: f"SELECT id FROM {name} ORDER BY id" for name in ("copied", "merged", "added")}
        seen = lambda name: [row["id"] for row in server.run(ids[name])]  # noqa: E731
        destination = Postgres.load({**server.config, "airbyte_columns": False})
        copied, merged, added = (
            stream_of("copied", NEW_LATEST),
            stream_of("merged", Write(keep="latest", deletes="remove")),
            stream_of("added", Write()),
        )
        destination.begin(copied)
        put(destination, copied, table_of(0, text="old"))
        destination.commit(copied)
        for stream in (copied, merged, added):
            destination.begin(stream)
            put(destination, stream, table_of(1, 2))
            put(destination, stream, table_of(2, 3))

        server.kill()
        server.start()
        assert (seen("copied"), seen("merged"), seen("added")) == ([0], [1, 2, 3], [1, 2, 2, 3])
        for stream in (copied, merged, added):
            put(destination, stream, table_of(3, 4))
        destination.commit(copied)

        server.kill()
        server.start()
        assert (seen("copied"), seen("merged"), seen("added")) == ([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 2, 3, 3, 4])
        kinds = server.run(
            "SELECT DISTINCT relpersistence::text AS kind FROM pg_class WHERE relname = ANY('{copied,merged,added}')"
        )
        assert kinds == [{"kind": "p"}]
        destination.close()


class Cutting:
    """Stands between a client and a server, and once swallows the wish to commit, or the word that it was done."""

    def __init__(self, port, answers):
        self.port = port
        self.swallowed = b"COMMIT\0" if answers else b"COMMIT"
        self.answers = answers
        self.cut = False
        self.armed = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(*ends, ends[0] is server), daemon=True).start()

    def _forward(self, origin, target, answers):
        try:
            while data := origin.recv(65536):
                if answers == self.answers and self.armed and self.swallowed in data:
                    self.armed, self.cut = False, True
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (origin, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("answers", [True, False], ids=["after", "before"])
def test_a_connection_that_breaks_around_the_commit_leaves_no_batch_twice_and_none_out(database, answers):
    proxy = Cutting(database.port, answers)
    config = replace(database, port=proxy.listener.getsockname()[1]).config
    destination = Postgres.load({**config, "airbyte_columns": False, "ssl_mode": "disable"})
    added, copied = stream_of("added", Write()), stream_of("copied", NEW_LATEST)
    merged = stream_of("merged", Write(keep="latest", deletes="remove"))
    for stream in (added, merged, copied):
        destination.begin(stream)
        put(destination, stream, table_of(1))
        proxy.armed = True
        assert put(destination, stream, table_of(2)).written == 1
        assert proxy.cut
        proxy.cut = False
    proxy.armed = True
    with nullcontext() if answers else pytest.raises(TransientError):
        destination.commit(copied)
    assert proxy.cut
    if not answers:
        destination.commit(copied)
    proxy.listener.close()
    destination.close()
    for name in ("added", "merged", "copied"):
        assert database.run(f"SELECT id FROM {name} ORDER BY id") == [{"id": 1}, {"id": 2}]


def test_after_a_crash_the_number_of_a_transaction_may_be_that_of_another(database):
    database.run("CREATE TABLE ours (id int)", "CREATE TABLE others (id int)", "INSERT INTO others VALUES (1)")
    ((number,),) = [tuple(row.values()) for row in database.run("SELECT xmin::text FROM others")]
    connection = Postgres.load(database.config)._connect()
    connection._traces = [("SELECT 1 FROM ours WHERE true", "")]
    assert not connection._was_committed(int(number))
    assert not connection._was_committed(int(number) + 1_000_000)
    connection._traces.append(("SELECT 1 FROM others WHERE true", ""))
    assert connection._was_committed(int(number))
    connection.close()
