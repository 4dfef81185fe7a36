"""pgvector, beyond what every vector store does: rights, names, the index, and what SQL shows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from integration.postgres_server import Database

from kitestring.batch import Batch
from kitestring.destinations.pgvector import Pgvector
from kitestring.engine import Selection, Status, sync
from kitestring.errors import AuthError, ConfigError, KitestringError, RecordError, TransientError
from kitestring.filters import parse
from kitestring.testing.memory import MemorySource
from kitestring.types import Stream, Write

pytestmark = pytest.mark.slow
THINGS = Stream("things", primary_key=(("id",),), write=Write(keep="latest", deletes="remove"))


@pytest.fixture
def config(database: Database, tmp_path: Any) -> dict[str, Any]:
    return {
        "processing": {"chunk_size": 100, "text_fields": ["text"]},
        "embedding": {"mode": "from_field", "field_name": "v", "dimensions": 3},
        "indexing": {**database.config, "collection": "chunks"},
        "shadow_folder": str(tmp_path),
    }


class opened:
    """A destination that is closed again. `changes` are those of `indexing`."""

    def __init__(self, config: dict[str, Any], **changes: Any) -> None:
        self.destination = Pgvector.load({**config, "indexing": {**config["indexing"], **changes}})

    def __enter__(self) -> Pgvector:
        return self.destination

    def __exit__(self, *_: object) -> None:
        self.destination.close()


def put(destination: Pgvector, *rows: dict[str, Any], stream: Stream = THINGS) -> Any:
    destination.expect([stream])
    destination.begin(stream)
    receipt = destination.write(stream, destination.prepare(stream, Batch(stream.key, rows=list(rows))))
    destination.commit(stream)
    return receipt


def thing(number: int, vector: list[float] | None = None, **more: Any) -> dict[str, Any]:
    return {"id": number, "text": f"text {number}", "v": vector or [1.0, number / 100, 0.0], **more}


def nearest_to(destination: Pgvector, vector: list[float], **how: Any) -> list[str]:
    """The records that a search by a vector finds."""
    options = {"where": None, "limit": 5, "threshold": None, "hybrid": False, "stream": None, "include_deleted": False}
    hits = destination.store.search(np.asarray(vector, dtype=np.float32), "", **{**options, **how})
    return [hit["record_id"].removeprefix("things_") for hit in hits]


def plan_of(destination: Pgvector, database: Database) -> str:
    rows = database.run("SELECT indexdef FROM pg_indexes WHERE tablename = 'chunks' AND indexdef LIKE '%hnsw%'")
    return "; ".join(row["indexdef"] for row in rows)


def test_what_is_stored_is_plain_to_a_reader_of_sql(config: dict[str, Any], database: Database) -> None:
    with opened(config) as destination:
        put(destination, thing(7, [1, 2, 3], status="new", url="https://x/7"), stream=replace(THINGS, namespace="a"))
    (row,) = database.run(
        "SELECT stream, namespace, record_id, chunk_number, text, metadata ->> 'status' AS status,"
        " metadata ->> 'id' AS record, metadata ? '_ab_stream' AS twice, embedding::text AS v FROM chunks"
    )
    assert row == {
        "stream": "a_things", "namespace": "a", "record_id": "a_things_7", "chunk_number": 0, "text": "text 7",
        "status": "new", "record": "7", "twice": False, "v": "[1,2,3]",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "operators", "nearest", "distance"),
    [
        ("COSINE", "vector_cosine_ops", "1", 1.0),
        ("L2", "vector_l2_ops", "1", 0.0),
        ("IP", "vector_ip_ops", "3", 30.0),
    ],
)
def test_each_metric_has_its_index_and_its_distance(
    config: dict[str, Any], database: Database, metric: str, operators: str, nearest: str, distance: float
) -> None:
    with opened(config, metric=metric) as destination:
        put(destination, thing(1, [3, 0, 0]), thing(2, [0, 3, 0]), thing(3, [10, 10, 10]))
        assert operators in plan_of(destination, database)
        assert nearest_to(destination, [3, 0, 0])[0] == nearest
        threshold = distance + 1e-6 if metric == "L2" else distance - 1e-6
        (hit,) = destination.store.search(
            np.array([3, 0, 0], dtype=np.float32), "", where=None, limit=1, threshold=threshold, hybrid=False,
            stream=None, include_deleted=False,
        )  # fmt: skip
        assert hit["distance"] == pytest.approx(distance, abs=1e-6)


def test_a_filter_that_passes_few_rows_finds_all_of_them_through_an_index(
    config: dict[str, Any], database: Database
) -> None:
    with opened(config) as destination:
        put(destination, *(thing(n, [1.0, n / 1000, 0.0], rare=n % 500 == 499) for n in range(2_000)))
        database.run("ANALYZE chunks")
        assert "hnsw" in plan_of(destination, database)
        rare = nearest_to(destination, [1, 0, 0], where=parse({"rare": True}))
        assert sorted(rare) == ["1499", "1999", "499", "999"]
        assert nearest_to(destination, [1, 0, 0], limit=3) == ["0", "1", "2"]


def test_the_index_is_built_when_all_streams_of_the_first_sync_are_written(
    config: dict[str, Any], database: Database
) -> None:
    records = {"one": [thing(1)], "two": [thing(2)], "three": []}
    source = MemorySource(records=records, primary_keys=dict.fromkeys(records, "id"))
    built: list[bool] = []

    class Watching(Pgvector):
        def commit(self, stream: Stream) -> None:
            built.append(bool(plan_of(self, database)))
            super().commit(stream)

    destination = Watching.load(config)
    result = sync(source, destination, [Selection(name) for name in records])
    assert result.status in (Status.succeeded, Status.suspicious), result.as_dict()
    destination.close()
    assert built == [False, False, False]
    assert plan_of(destination, database).count("hnsw") == 1


@pytest.mark.parametrize(("dimension", "kind"), [(2_000, "vector_cosine"), (2_001, "halfvec_cosine"), (4_001, "")])
def test_vectors_that_are_too_long_for_an_index_have_half_the_precision_there_or_none(
    config: dict[str, Any], database: Database, dimension: int, kind: str
) -> None:
    config["embedding"]["dimensions"] = dimension
    with opened(config) as destination:
        rows = [thing(n, [1.0, n / 10] + [0.0] * (dimension - 2)) for n in range(5)]
        put(destination, *rows)
        assert kind in plan_of(destination, database)
        assert bool(plan_of(destination, database)) == bool(kind)
        assert nearest_to(destination, rows[3]["v"], limit=2)[0] == "3"


def test_a_hybrid_search_finds_by_words(config: dict[str, Any]) -> None:
    config["embedding"] = {"mode": "fake"}
    with opened(config, hybrid=True) as destination:
        put(destination, *({"id": n, "text": f"ordinary sentence {n}"} for n in range(20)))
        put(destination, {"id": 77, "text": "the zeppelin's landed: a & b | c"})
        by_meaning = destination.search("zeppelin", limit=3, hybrid=False)
        assert "things_77" not in {hit["record_id"] for hit in by_meaning}, "the fake embedder knows no words"
        for text in ("where is a zeppelin?", "zeppelin & ! (", "a.com/zeppelin?x&y zeppelin's"):
            assert "things_77" in {hit["record_id"] for hit in destination.search(text, limit=3)}, text
        assert len(destination.search("", limit=3)) == 3
    with opened(config, collection="plain") as destination:
        put(destination, {"id": 1, "text": "a"})
        with pytest.raises(ConfigError, match="needs an index of words"):
            destination.search("a", hybrid=True)


def test_a_filter_as_text_is_a_jsonpath_and_reads_nothing_else(config: dict[str, Any]) -> None:
    config["embedding"] = {"mode": "fake"}
    with opened(config) as destination:
        put(destination, *({"id": n, "text": "x", "n": n, "s": f"it's {n}"} for n in range(4)))
        hits = destination.search("x", where='$.n > 1 && $.s == "it\'s 3"')
        assert [hit["n"] for hit in hits] == [3]
        for text in ("n > 1) OR (SELECT true", "true); DROP TABLE chunks; --", "$.n >", "nul \0", 'status == "new"'):
            with pytest.raises(ConfigError, match="not a jsonpath predicate"):
                destination.search("x", where=text)
        assert destination.count(THINGS) == 4


@pytest.mark.parametrize("name", ['odd "name" % $1 %s', "é" * 31, "UPPER", "select"])
def test_names_are_taken_as_they_are(config: dict[str, Any], name: str) -> None:
    with opened(config, collection=name, default_schema=f"s {name}"[:31]) as destination:
        destination.check()
        put(destination, thing(1, **{"a % b": 1, "%s": 2, "%(p0)s": 3}))
        assert put(destination, thing(1, **{"a % b": 1, "%s": 2, "%(p0)s": 3})).unchanged == 1
        for where in ({"a % b": 1}, {"%s": 2}, {"%(p0)s": 3}):
            assert nearest_to(destination, [1, 0, 0], where=parse(where)) == ["1"]
        assert destination.delete(THINGS, [(1,)]).deleted == 1


@pytest.mark.parametrize("name", ["", "x" * 64, "é" * 32, "nul\0"])
def test_a_name_that_postgresql_would_cut_is_refused(config: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match="63 bytes"), opened(config, collection=name):
        pass


def test_a_table_that_is_not_ours_is_refused_and_stays(config: dict[str, Any], database: Database) -> None:
    database.run("CREATE TABLE chunks (id int, name text)", "INSERT INTO chunks VALUES (1, 'theirs')")
    with opened(config) as destination, pytest.raises(ConfigError, match="not created by Kitestring"):
        destination.check()
    with opened(config) as destination, pytest.raises(ConfigError, match="not created by Kitestring"):
        destination.begin(THINGS)
    assert database.run("SELECT name FROM chunks") == [{"name": "theirs"}]


def test_what_a_user_may_not_do_is_said_with_the_way_out(config: dict[str, Any], database: Database) -> None:
    user = f"reader_{database.name}"
    database.run(f"CREATE USER {user} PASSWORD 'p'", f"REVOKE CREATE ON DATABASE {database.name} FROM {user}")
    limited = {"username": user, "password": "p"}
    try:
        with opened(config, **limited) as destination, pytest.raises(ConfigError) as error:
            destination.check()
        assert "has no extension `vector`" in error.value.message
        assert "CREATE EXTENSION vector" in error.value.hint
        with opened(config, **limited) as destination, pytest.raises(ConfigError, match="has no extension `vector`"):
            destination.begin(THINGS)
        database.run(f"GRANT CREATE ON DATABASE {database.name} TO {user}")
        with opened(config, **limited) as destination, pytest.raises(ConfigError, match="permission denied to create"):
            destination.check()
        database.run(f"REVOKE CREATE ON DATABASE {database.name} FROM {user}")
        with opened(config) as destination:
            destination.check()
        installed = database.run("SELECT 1 AS n FROM pg_extension WHERE extname = 'vector'")
        assert installed == [], "a check installs nothing"
        database.run("CREATE SCHEMA extensions", "CREATE EXTENSION vector SCHEMA extensions")
        with opened(config, **limited) as destination, pytest.raises(ConfigError, match="may not use the schema ext"):
            destination.check()
        database.run(f"GRANT USAGE ON SCHEMA extensions TO {user}")
        with opened(config, **limited) as destination, pytest.raises(ConfigError, match="may not create a table"):
            destination.check()
        with opened(config) as destination:
            put(destination, thing(1))
        with opened(config, **limited) as destination, pytest.raises(ConfigError, match="may not SELECT, INSERT"):
            destination.check()
        database.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON chunks TO {user}", "DROP INDEX chunks_embedding_idx")
        with opened(config, **limited) as destination:
            destination.check()
            put(destination, thing(2))
            assert nearest_to(destination, [1, 0, 0]) == ["1", "2"], "without an index, which only the owner may create"
        database.run(f"ALTER ROLE {user} SET default_transaction_read_only = on")
        with opened(config, **limited) as destination, pytest.raises(ConfigError, match="read-only"):
            destination.check()
        with opened(config, username=user, password="wrong") as destination, pytest.raises(AuthError):
            destination.check()
        with opened(config, database="nowhere") as destination, pytest.raises(ConfigError, match="does not exist"):
            destination.check()
    finally:
        database.run(f"DROP OWNED BY {user}", f"DROP USER {user}")


def test_a_lost_connection_is_replaced_and_nothing_is_there_twice(config: dict[str, Any], database: Database) -> None:
    with opened(config) as destination:
        put(destination, thing(1))
        database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kitestring'")
        with pytest.raises(TransientError):
            destination.count(THINGS)
        assert put(destination, thing(1), thing(2)).written == 1
        assert destination.count(THINGS) == 2


def test_a_batch_is_durable_where_the_server_commits_late(config: dict[str, Any], database: Database) -> None:
    database.run(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    with opened(config) as destination:
        with destination.store.table.connection() as connection:  # type: ignore[attr-defined]
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)
        with destination.store.table.durable_transaction() as connection:  # type: ignore[attr-defined]
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_airbytes_configuration_is_taken(config: dict[str, Any], database: Database) -> None:
    password = config["indexing"].pop("password")
    config["indexing"] |= {"credentials": {"password": password}, "default_schema": "airbyte"}
    with opened(config) as destination:
        put(destination, thing(1))
    assert database.run("SELECT count(*) AS n FROM airbyte.chunks") == [{"n": 1}]


def test_a_value_that_no_column_takes_is_the_record_s_own_fault(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        destination.begin(THINGS)
        rows = [thing(1, n=Decimal("1e200000")), thing(2)]
        with pytest.raises(RecordError):
            destination.write(THINGS, destination.prepare(THINGS, Batch("things", rows=rows)))
        assert destination.count(THINGS) == 0


def test_a_password_is_in_no_error(config: dict[str, Any]) -> None:
    with opened(config, port=1) as destination, pytest.raises(KitestringError) as error:
        destination.check()
    assert config["indexing"]["password"] not in str(error.value) + repr(error.value.fields) + error.value.hint


def test_two_syncs_that_write_one_record_at_once_try_again(config: dict[str, Any]) -> None:
    with opened(config) as first, opened(config) as second:
        put(first, thing(1))
        second.begin(THINGS)
        batch = second.prepare(THINGS, Batch("things", rows=[thing(2)]))
        errors: list[BaseException] = []

        def write() -> None:
            try:
                second.write(THINGS, batch)
            except BaseException as error:
                errors.append(error)

        with first.store.table.durable_transaction() as connection:  # type: ignore[attr-defined]
            key = batch.diffs[0].chunked.key  # type: ignore[attr-defined]
            connection.execute(
                "INSERT INTO chunks SELECT %s, stream, namespace, record_id, chunk_number, text, metadata, digest,"
                " metadata_digest, embedding FROM chunks",
                [f"{key}:0"],
            )
            thread = threading.Thread(target=write)
            thread.start()
            thread.join(0.5)
        thread.join()
        assert [type(error) for error in errors] == [TransientError]
        second.write(THINGS, batch)
        assert nearest_to(second, [1, 0, 0]) == ["1", "2"]


def test_a_look_at_data_ends_in_time_whatever_holds_it_up(
    config: dict[str, Any], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitestring.destinations.pgvector.vector_table.LOOK_S", 0.5)
    with opened(config) as destination, opened(config) as other:
        put(destination, thing(1))
        with other.store.table.connection() as connection, connection.transaction():
            connection.execute("LOCK TABLE chunks IN ACCESS EXCLUSIVE MODE")
            for where in (None, "$.id == 1"):
                with pytest.raises(ConfigError, match="statement timeout"):
                    destination.stored_rows("things", where=where)
        assert destination.stored_rows("things").total == 1
        assert destination.store.table.rows("SHOW statement_timeout")[0][0] == "0"


def test_a_pinned_connection_goes_to_the_checked_address(config: dict[str, Any], database: Database) -> None:
    requests: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> str:
        requests.append((host, port))
        return "127.0.0.1"

    with opened(config, host="vectors.invalid") as destination:
        destination.pin(resolve)
        put(destination, thing(1))
        assert nearest_to(destination, [1, 0, 0]) == ["1"]
    assert requests == [("vectors.invalid", database.port)]


def test_many_threads_find_and_search_at_once(config: dict[str, Any]) -> None:
    with opened(config) as destination, ThreadPoolExecutor(8) as threads:
        put(destination, *(thing(n, [1.0, n / 10, 0.0]) for n in range(50)))
        rankings = list(threads.map(lambda n: nearest_to(destination, [1.0, n / 10, 0.0], limit=1), range(40)))
        assert rankings == [[str(n)] for n in range(40)]
        assert 1 <= len(destination.store.table._idle) <= 9  # type: ignore[attr-defined]
