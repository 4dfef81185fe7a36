"""Change data capture on a real PostgreSQL: what the contract of such sources does not say.

(The cases of the contract run in tests/contract/connectors/postgres.py.)
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from capturing import Captured, plain
from postgres_server import PASSWORD, running, wait_until_free
from test_postgres import CUSTOM_TYPES, VALUES

from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Selection, Status, sync
from kitestring.engine import reader as engine_reader
from kitestring.errors import ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.sources.postgres import capture, needed_load
from kitestring.testing.memory import MemoryDestination
from kitestring.types import GLOBAL, SchemaChange, SyncMode, Write
from kitestring.vendors.postgres import replication


def errors_of(result: Any) -> list[KitestringError]:
    return [error for error in (result.error, *(stream.error for stream in result.streams.values())) if error]


# -- values ------------------------------------------------------------------------------------------------------------


def test_every_type_comes_from_the_log_as_from_the_table(captured: Any) -> None:
    """A row that is loaded, and the same row from the log; one of nulls too."""
    columns = ", ".join(f"c{n} {type_}" for n, (type_, *_) in enumerate(VALUES))
    values = ", ".join(value for _, value, *_ in VALUES)
    captured.run(
        *CUSTOM_TYPES,
        f"CREATE TABLE t (id int PRIMARY KEY, {columns})",
        f"INSERT INTO t VALUES (1, {values})",
        "INSERT INTO t (id) VALUES (2)",
    )
    copy = Captured(captured)
    copy.sync()
    captured.run(f"INSERT INTO t VALUES (3, {values})", "INSERT INTO t (id) VALUES (4)")
    loaded, nulls, logged, logged_nulls = sorted(copy.sync()["public.t"], key=lambda row: row["id"])
    assert {**logged, "id": 1} == loaded
    assert {**logged_nulls, "id": 2} == nulls
    assert [(name, type(value)) for name, value in logged.items()] == [(n, type(v)) for n, v in loaded.items()]


def test_moments_outside_of_the_years_1_to_9999_are_bounded_as_in_a_read(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY, at timestamptz, plain timestamp, day date, clock time)")
    copy = Captured(captured)
    moments = ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'20000-01-01'", "'2026-01-01'"]
    rows = [f"({n}, {moment}, {moment}, {moment}, '24:00'), " for n, moment in enumerate(moments)]
    captured.run(f"INSERT INTO t VALUES {''.join(rows).rstrip(', ')}")
    loaded = copy.sync()["public.t"]
    captured.run("UPDATE t SET id = id + 100")
    logged = copy.sync()["public.t"]
    assert [{**row, "id": row["id"] + 100} for row in loaded] == sorted(logged, key=lambda row: row["id"])


def test_a_decimal_that_is_not_a_number_is_rejected_under_its_own_stream(captured: Any) -> None:
    captured.run("CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE t (id int PRIMARY KEY, n numeric(5,2))")
    copy = Captured(captured)
    copy.sync()
    captured.run("INSERT INTO t VALUES (1, 1.5), (2, 'NaN'), (3, NULL)", "INSERT INTO a VALUES (1)")
    assert [row["id"] for row in copy.sync()["public.t"]] == [1, 3]
    figures = copy.result.streams
    assert (figures["public.t"].rejected, figures["public.a"].rejected) == (1, 0)


# -- tables ------------------------------------------------------------------------------------------------------------


def test_a_partitioned_table_is_one_stream_also_when_a_partition_is_added(captured: Any) -> None:
    captured.run(
        "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        # Other columns in another order, as in a table that was attached.
        "CREATE TABLE p2 (v text, gone int, id int NOT NULL)",
        "ALTER TABLE p2 DROP COLUMN gone",
        "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)",
        "INSERT INTO p VALUES (1, 'a'), (11, 'b')",
    )
    copy = Captured(captured)
    copy.sync()
    captured.run(
        "UPDATE p SET v = v || '2'",
        "UPDATE p SET id = 12 WHERE id = 1",  # moves to the other partition
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30)",
        "INSERT INTO p VALUES (21, 'c')",
        "DELETE FROM p WHERE id = 11",
    )
    rows = copy.sync()["public.p"]
    assert sorted((row["id"], row["v"]) for row in rows) == [(12, "a2"), (21, "c")]
    captured.run("TRUNCATE p", "INSERT INTO p VALUES (2, 'after')")
    assert copy.sync()["public.p"] == [{"id": 2, "v": "after"}]


def test_a_partition_that_is_emptied_alone_makes_the_stream_suspicious(captured: Any) -> None:
    captured.run(
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
        "INSERT INTO p VALUES (1), (11)",
    )
    copy = Captured(captured)
    copy.sync()
    captured.run("TRUNCATE p2")
    assert copy.attempt().status is Status.suspicious
    assert "1 of 2 partitions of public.p were emptied" in copy.result.streams["public.p"].suspicions[0]


def test_rows_that_a_partition_brings_with_it_are_loaded_and_those_that_go_are_told(captured: Any) -> None:
    captured.run(
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "INSERT INTO p VALUES (1)",
    )
    copy = Captured(captured)
    copy.sync()
    captured.run(
        "CREATE TABLE p2 (id int PRIMARY KEY)",
        "INSERT INTO p2 VALUES (11), (12)",
        "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)",
        "UPDATE p SET id = 13 WHERE id = 12",
    )
    assert sorted(row["id"] for row in copy.sync()["public.p"]) == [1, 11, 13]
    # Two rows of the new partition, and two changes of the log.
    assert copy.result.streams["public.p"].read == 4, "the other partition is not read again"
    captured.run("ALTER TABLE p DETACH PARTITION p2", "INSERT INTO p VALUES (2)")
    assert copy.attempt().status is Status.suspicious
    assert "1 partitions of public.p are gone since the last sync (public.p2)" in str(copy.result.as_dict())
    assert copy.sync()["public.p"]


def test_generated_columns_are_completed_by_the_source(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED)",
        "INSERT INTO t VALUES (1, 10)",
    )
    copy = Captured(captured)
    copy.sync()
    captured.run("UPDATE t SET n = 20", "INSERT INTO t VALUES (2, 5), (3, 6)", "DELETE FROM t WHERE id = 3")
    rows = copy.sync()["public.t"]
    assert sorted((row["id"], row["n"], row["twice"]) for row in rows) == [(1, 20, 40), (2, 5, 10)]


def test_tables_of_several_schemas_with_odd_names_are_captured(captured: Any) -> None:
    captured.run(
        "CREATE SCHEMA other",
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TABLE other.t (id int PRIMARY KEY)",
        'CREATE TABLE other."Odd ""name" ("a b" text PRIMARY KEY, "_c" int)',
    )
    copy = Captured(captured, schemas=["public", "other"])
    copy.sync()
    captured.run(
        "INSERT INTO t VALUES (1)",
        "INSERT INTO other.t VALUES (2)",
        """INSERT INTO other."Odd ""name" VALUES ('it''s \\', 3)""",
        """UPDATE other."Odd ""name" SET "_c" = 4""",
    )
    assert copy.sync() == {
        "public.t": [{"id": 1}],
        "other.t": [{"id": 2}],
        'other.Odd "name': [{"a b": "it's \\", "_c": 4}],
    }


def test_keys_of_every_kind_find_their_rows_again(captured: Any) -> None:
    """Values that the log leaves out are read by key."""
    keys = {
        "uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        "timestamptz": "'2026-01-01 12:00:00.123456+02'",
        "timestamp": "'2026-01-01 12:00:00.5'",
        "date": "'2026-01-01'",
        "time": "'12:00:00.25'",
        "bytea": r"'\x00ff27'",
        "numeric": "12345678901234567890.12345",
        "numeric(10,3)": "1.500",
        "boolean": "true",
        "float8": "0.1",
        "text": "'it''s \\ a \"key\"'",
        "char(5)": "'ab'",
        "inet": "'10.0.0.1'",
        "bigint": "-9223372036854775808",
        "interval": "'1 month 2 days 03:04:05.6'",
    }
    for n, (type_, value) in enumerate(keys.items()):
        captured.run(
            f"CREATE TABLE t{n} (k {type_} PRIMARY KEY, n int, body text)",
            f"ALTER TABLE t{n} ALTER body SET STORAGE EXTERNAL",
            f"INSERT INTO t{n} VALUES ({value}, 1, repeat('{n} ', 5000))",
        )
    copy = Captured(captured)
    copy.sync()
    for n in range(len(keys)):
        captured.run(f"UPDATE t{n} SET n = 2")
    stored = copy.sync()
    for n, type_ in enumerate(keys):
        (row,) = stored[f"public.t{n}"]
        assert (row["n"], row["body"]) == (2, f"{n} " * 5000), type_


def test_a_table_with_whole_old_rows_needs_no_key_and_keeps_long_values_of_each_version(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int, n int, body text)",
        "ALTER TABLE t ALTER body SET STORAGE EXTERNAL",
        "ALTER TABLE t REPLICA IDENTITY FULL",
        "INSERT INTO t VALUES (1, 1, repeat('a', 5000))",
    )
    copy = Captured(captured)
    copy.sync(write_mode="append")
    captured.run("UPDATE t SET n = 2", "UPDATE t SET body = repeat('b', 5000)", "DELETE FROM t")
    rows = copy.sync(write_mode="append")["public.t"]
    assert [(row["n"], row["body"][0]) for row in rows] == [(1, "a"), (2, "a"), (2, "b"), (2, "b")]
    assert copy.destination.stored["public.t"][-1]["_ab_cdc_deleted_at"] is not None


def test_a_version_with_a_value_of_a_later_time_is_a_suspicion_where_all_versions_are_kept(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, n int, body text)",
        "ALTER TABLE t ALTER body SET STORAGE EXTERNAL",
        "INSERT INTO t VALUES (1, 1, repeat('a', 5000))",
    )
    copy = Captured(captured)
    copy.sync(write_mode="append")
    captured.run("UPDATE t SET n = 2")
    assert copy.attempt(write_mode="append").status is Status.suspicious
    assert "REPLICA IDENTITY FULL" in copy.result.streams["public.t"].suspicions[0]


def test_a_table_whose_identity_is_another_index_is_written_by_that_key(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL UNIQUE, n int)",
        "ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key",
        "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)",
    )
    copy = Captured(captured)
    assert copy.source().discover().get("t").primary_key == (("code",),)
    copy.sync()
    captured.run("DELETE FROM t WHERE id = 1", "UPDATE t SET code = 'c' WHERE id = 2", "UPDATE t SET id = 5")
    assert copy.sync()["public.t"] == [{"id": 5, "code": "c", "n": 2}]


# -- never harm the source ---------------------------------------------------------------------------------------------


def test_a_table_without_a_replica_identity_never_enters_a_publication(captured: Any, caplog: Any) -> None:
    captured.run(
        "CREATE TABLE keyless (n int)",
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE UNLOGGED TABLE u (id int PRIMARY KEY)",
    )
    copy = Captured(captured)
    modes = {stream.key: [mode.value for mode in stream.sync_modes] for stream in copy.source().discover()}
    assert modes == {
        "public.keyless": ["full_refresh"],
        "public.t": ["full_refresh", "incremental"],
        "public.u": ["full_refresh"],
    }
    with caplog.at_level(logging.WARNING):
        copy.source().check()
    assert 'ALTER TABLE "public"."keyless" REPLICA IDENTITY FULL;' in caplog.text
    assert 'ALTER TABLE "public"."u" SET LOGGED;' in caplog.text
    copy.sync("public.t")
    assert captured.run("SELECT tablename::text AS name FROM pg_publication_tables") == [{"name": "t"}]
    captured.run("INSERT INTO keyless VALUES (1)", "UPDATE keyless SET n = 2", "DELETE FROM keyless")


def test_a_table_that_lost_its_replica_identity_fails_alone_with_the_sql(captured: Any) -> None:
    captured.run("CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)")
    copy = Captured(captured)
    catalog = copy.source().discover()
    captured.run("ALTER TABLE b REPLICA IDENTITY NOTHING", "INSERT INTO a VALUES (1)")
    result = copy.attempt("public.a", "public.b", catalog=catalog)
    assert result.streams["public.a"].status is Status.succeeded
    assert "no replica identity" in str(result.streams["public.b"].error)
    assert "REPLICA IDENTITY FULL" in result.streams["public.b"].error.hint
    assert copy.destination.stored["public.a"]


def test_a_key_that_the_log_does_not_have_is_refused(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL)")
    copy = Captured(captured)
    way = Selection("t", "incremental", "append_dedup", primary_key=["code"])
    result = sync(copy.source(), copy.destination, [way], states=copy.states)
    assert "is to be written by the key code" in str(errors_of(result)[0])
    captured.run("ALTER TABLE t REPLICA IDENTITY FULL", "INSERT INTO t VALUES (1, 'a')")
    assert sync(copy.source(), copy.destination, [way], states=copy.states).ok


def test_nothing_is_created_by_a_check_and_by_a_discovery(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)")
    copy = Captured(captured)
    copy.source().check()
    copy.source().discover()
    assert not captured.run("SELECT 1 AS n FROM pg_publication")
    assert not captured.run("SELECT 1 AS n FROM pg_replication_slots WHERE database = current_database()")


def test_a_check_warns_where_the_log_may_grow_without_limit(captured: Any, caplog: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)")
    with caplog.at_level(logging.WARNING):
        Captured(captured).source().check()
    assert "max_slot_wal_keep_size" in caplog.text


# -- rights ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def reader(captured: Any) -> Any:
    """A user who may replicate and read, and owns nothing."""
    name = f"reader_{captured.name}"
    literal = PASSWORD.replace("'", "''")
    captured.run(
        f"CREATE USER {name} WITH REPLICATION PASSWORD '{literal}'",
        "CREATE TABLE t (id int PRIMARY KEY)",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}",
    )
    yield replace(captured, username=name)
    captured.run(f"DROP OWNED BY {name}", f"DROP USER {name}")


def test_a_user_without_rights_works_with_the_publication_of_the_owner(captured: Any, reader: Any) -> None:
    copy = Captured(reader)
    with pytest.raises(ConfigError, match="may not change the publication changes"):
        copy.source().check()
    (error,) = errors_of(copy.attempt())
    assert "may not change the publication changes" in str(error)
    assert 'CREATE PUBLICATION "changes" FOR TABLE "public"."t";' in error.hint
    captured.run("CREATE PUBLICATION changes FOR TABLE t", "INSERT INTO t VALUES (1)")
    copy.sync()
    captured.run("INSERT INTO t VALUES (2)", "DELETE FROM t WHERE id = 1")
    assert copy.sync()["public.t"] == [{"id": 2}]
    captured.run("CREATE TABLE later (id int PRIMARY KEY)", f"GRANT SELECT ON later TO {reader.username}")
    error = errors_of(copy.attempt())[0]
    assert 'ALTER PUBLICATION "changes" ADD TABLE "public"."later";' in error.hint


def test_a_publication_of_all_tables_that_the_owner_made_is_used(captured: Any) -> None:
    captured.run("CREATE PUBLICATION changes FOR ALL TABLES", "CREATE TABLE t (id int PRIMARY KEY)")
    copy = Captured(captured)
    copy.sync()
    captured.run(
        "CREATE TABLE unrelated (id int PRIMARY KEY)", "INSERT INTO unrelated VALUES (1)", "INSERT INTO t VALUES (1)"
    )
    assert copy.sync("public.t")["public.t"] == [{"id": 1}]


@pytest.mark.parametrize(
    ("publication", "sentence"),
    [
        ("CREATE PUBLICATION changes FOR TABLE t WITH (publish = 'insert')", "leaves out some kinds of changes"),
        ("CREATE PUBLICATION changes FOR TABLE t WHERE (id > 5)", "has only some rows of public.t"),
        ("CREATE PUBLICATION changes FOR TABLE p WITH (publish_via_partition_root)", "hides the partitions"),
    ],
)
def test_a_publication_that_leaves_something_out_is_refused(captured: Any, publication: str, sentence: str) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        publication,
    )
    with pytest.raises(ConfigError, match=sentence):
        Captured(captured).source().check()
    assert sentence in str(errors_of(Captured(captured).attempt())[0])


def test_a_publication_of_some_columns_is_completed_by_the_source(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text)",
        "CREATE PUBLICATION changes FOR TABLE t (id, a)",
        "INSERT INTO t VALUES (1, 'a', 'b')",
    )
    copy = Captured(captured)
    copy.sync()
    captured.run("UPDATE t SET a = 'a2'", "INSERT INTO t VALUES (2, 'c', 'd')")
    rows = copy.sync()["public.t"]
    assert sorted((row["id"], row["a"], row["b"]) for row in rows) == [(1, "a2", "b"), (2, "c", "d")]


def test_a_table_with_row_policies_is_not_captured_for_a_user_they_hold_for(captured: Any, reader: Any) -> None:
    """The log has the rows that a policy hides."""
    captured.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "CREATE TABLE u (secret int PRIMARY KEY, n int)")
    captured.run(f"GRANT SELECT (n) ON u TO {reader.username}")
    streams = {stream.name: len(stream.sync_modes) for stream in Captured(reader).source().discover()}
    assert streams == {"t": 1, "u": 1}
    assert {stream.name: len(stream.sync_modes) for stream in Captured(captured).source().discover()} == {
        "t": 2,
        "u": 2,
    }


def test_a_user_who_may_not_replicate_learns_the_sql(captured: Any, reader: Any) -> None:
    captured.run(f"ALTER USER {reader.username} WITH NOREPLICATION")
    with pytest.raises(ConfigError, match="has no right to replicate") as refusal:
        Captured(reader).source().check()
    assert f"ALTER USER {reader.username} WITH REPLICATION;" in refusal.value.hint


# -- positions ---------------------------------------------------------------------------------------------------------


def test_the_slot_is_confirmed_only_when_the_state_is_saved(captured: Any) -> None:
    """Rule 1 of those that follow from the faults of others."""

    class Unsaved(MemoryStates):
        def save(self, connection: str, stream: str, state: dict[str, Any]) -> None:
            if stream == GLOBAL:
                raise ConnectorError("the disk is full")
            super().save(connection, stream, state)

    captured.run("CREATE TABLE t (id int PRIMARY KEY)")
    copy = Captured(captured)
    copy.sync()
    before = copy.slot()["confirmed"]
    captured.run("INSERT INTO t VALUES (1)")
    kept, copy.states = copy.states, Unsaved()
    copy.states._states = kept._states
    assert copy.attempt().status is Status.failed
    wait_until_free(captured, captured.name)
    assert copy.destination.stored["public.t"], "the data were written before the state"
    assert copy.slot()["confirmed"] == before
    copy.states = kept
    copy.sync()
    wait_until_free(captured, captured.name)
    assert copy.slot()["confirmed"] == copy.position > before


def test_a_slot_that_is_ahead_of_the_state_fails_and_moves_nothing(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)")
    copy = Captured(captured)
    copy.sync()
    position = copy.position
    captured.run("INSERT INTO t VALUES (1)")
    wait_until_free(captured, captured.name)
    captured.run(f"SELECT pg_replication_slot_advance('{captured.name}', pg_current_wal_lsn())")
    (error,) = errors_of(copy.attempt())
    assert "is ahead of the state of public.t" in str(error)
    assert "Choose one" in error.hint
    assert copy.position == position
    assert copy.destination.stored.get("public.t", []) == []


def test_a_stream_that_was_away_fails_alone_until_its_state_is_cleared(captured: Any) -> None:
    captured.run(
        "CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)", "INSERT INTO b VALUES (1)"
    )
    copy = Captured(captured)
    copy.sync()
    captured.run("INSERT INTO a VALUES (1)", "UPDATE b SET id = 2")
    copy.sync("public.a")
    wait_until_free(captured, captured.name)
    result = copy.attempt()
    assert result.streams["public.a"].status is Status.succeeded
    assert "is ahead of the state of public.b" in str(result.streams["public.b"].error)
    copy.states.clear("default", "public.b")
    copy.destination.stored.pop("public.b")
    assert copy.sync()["public.b"] == [{"id": 2}]


def test_a_table_that_was_created_again_fails_with_the_choices(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    copy = Captured(captured)
    copy.sync()
    captured.run("DROP TABLE t", "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (2)")
    (error,) = errors_of(copy.attempt())
    assert "was dropped and created again" in str(error)


def test_a_table_that_cannot_be_loaded_does_not_stop_the_others_and_keeps_its_log(captured: Any, reader: Any) -> None:
    captured.run("CREATE TABLE other (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)", "INSERT INTO other VALUES (1)")
    captured.run(f"GRANT SELECT ON other TO {reader.username}", "CREATE PUBLICATION changes FOR TABLE t, other")
    copy = Captured(reader)
    catalog = copy.source().discover()
    captured.run(f"REVOKE SELECT ON other FROM {reader.username}")
    result = copy.attempt("public.t", "public.other", catalog=catalog)
    assert result.streams["public.t"].status is Status.succeeded
    assert result.streams["public.other"].status is Status.failed
    captured.run("INSERT INTO t VALUES (2)", "UPDATE other SET id = 5")
    copy.attempt("public.t", "public.other", catalog=catalog)
    captured.run(f"GRANT SELECT ON other TO {reader.username}")
    stored = copy.sync()
    assert [row["id"] for row in stored["public.t"]] == [1, 2]
    assert stored["public.other"] == [{"id": 5}]


def test_a_connection_that_is_cut_while_the_log_is_read_goes_on(captured: Any, monkeypatch: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)")
    copy = Captured(captured)
    copy.sync()
    captured.run("INSERT INTO t SELECT generate_series(1, 3000)")
    receive, cuts = replication.Replication.receive, []

    def cut(self: Any, timeout_s: float) -> Any:
        if not cuts and (messages := receive(self, timeout_s)):
            cuts.append(len(messages))
            captured.run("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
            return messages
        return receive(self, timeout_s)

    monkeypatch.setattr(replication.Replication, "receive", cut)
    monkeypatch.setattr(engine_reader, "backoff_s", lambda *_, **__: 0.01)
    assert len(copy.sync()["public.t"]) == 3000
    assert cuts


def test_a_destination_that_is_slow_does_not_lose_the_connection(
    postgres_server: Any, captured: Any, monkeypatch: Any
) -> None:
    """The server drops who is silent for `wal_sender_timeout`; the reader waits while the queue is full."""

    class Slow(MemoryDestination):
        def write(self, stream: Any, batch: Any) -> Any:
            receipt = super().write(stream, batch)
            if sum(map(len, self.stored.values())) > 1000:
                drained.wait(3)
            return receipt

    drained = threading.Event()
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, body text)",
        f"ALTER ROLE postgres IN DATABASE {captured.name} SET wal_sender_timeout = '1s'",
    )
    monkeypatch.setattr(replication, "FEEDBACK_EVERY_S", 0.2)
    monkeypatch.setattr(engine_reader, "QUEUE_BYTES", 10_000)
    copy = Captured(captured)
    copy.destination = Slow()
    copy.sync()
    captured.run("INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 1500) n")
    assert len(copy.sync()["public.t"]) == 1500


def test_a_new_slot_names_the_transaction_that_it_waits_for(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)")
    copy = Captured(captured)
    copy.method = {**copy.method, "initial_waiting_seconds": 1}
    with psycopg.connect(captured.dsn) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        (error,) = errors_of(copy.attempt())
        assert isinstance(error, TransientError)
        assert "waited 1 seconds for a transaction of postgres" in str(error)
    assert copy.sync()["public.t"] == [{"id": 1}]


def test_a_sync_that_waits_for_a_transaction_can_be_stopped(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)")
    copy = Captured(captured)
    cancel = threading.Event()
    with psycopg.connect(captured.dsn) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        thread = in_background(copy, cancel)
        waits = (
            "SELECT 1 AS n FROM pg_stat_activity WHERE backend_type = 'walsender' AND query LIKE 'CREATE_REPLICATION%'"
        )
        wait_for(lambda: captured.run(waits))
        cancel.set()
        thread.join(300)
        assert not thread.is_alive()
    assert copy.result.status is Status.cancelled
    assert copy.sync()["public.t"] == [{"id": 1}]


def test_a_slot_that_another_process_reads_is_named(captured: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(capture, "SLOT_FREE_S", 0.5)
    captured.run("CREATE TABLE t (id int PRIMARY KEY)")
    copy = Captured(captured)
    copy.sync()
    wait_until_free(captured, captured.name)
    other = copy.source().open_replication()
    other.stream(captured.name, copy.position, ["changes"])
    monkeypatch.setattr(engine_reader, "READ_RETRIES", 0)
    (error,) = errors_of(copy.attempt())
    other.close()
    assert "another process reads the slot" in str(error)


def test_an_idle_sync_lets_the_server_forget_its_log(captured: Any) -> None:
    """Other tables write; ours never change; still the slot moves."""
    captured.run("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE other (n int)")
    copy = Captured(captured)
    copy.sync("public.t")
    for _ in range(2):
        before = copy.slot()["confirmed"]
        captured.run("INSERT INTO other SELECT generate_series(1, 1000)")
        copy.sync("public.t")
        wait_until_free(captured, captured.name)
        assert copy.slot()["confirmed"] > before


def test_a_sync_says_how_much_of_the_log_its_slot_retains(captured: Any, caplog: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE other (n int, filler text)")
    copy = Captured(captured)
    copy.sync("public.t")
    captured.run("INSERT INTO other SELECT n, repeat('x', 1000) FROM generate_series(1, 3000) n")
    with caplog.at_level(logging.INFO, "kitestring.postgres"):
        copy.sync("public.t")
    (record,) = [record for record in caplog.records if hasattr(record, "retained_bytes")]
    assert record.retained_bytes > 3_000_000
    assert record.levelno == logging.INFO


def test_a_load_whose_snapshot_is_lost_says_so_and_goes_on(captured: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(needed_load, "PART_BYTES", 8192)
    monkeypatch.setattr(engine_reader, "backoff_s", lambda *_, **__: 0.01)
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, body text)",
        "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 500) n",
    )
    copy = Captured(captured, connections=1)
    read_part, cuts = capture.Capture.read_part, []

    def cut(self: Any, partition: Any) -> Any:
        if len(cuts) == 3:
            captured.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'")
        cuts.append(partition.key)
        yield from read_part(self, partition)

    monkeypatch.setattr(capture.Capture, "read_part", cut)
    error = errors_of(copy.attempt())[0]
    assert "lost the snapshot of the load" in str(error)
    captured.run("UPDATE t SET body = 'changed' WHERE id IN (1, 499)", "DELETE FROM t WHERE id = 2")
    monkeypatch.setattr(capture.Capture, "read_part", read_part)
    rows = {row["id"]: row["body"] for row in copy.sync()["public.t"]}
    assert len(rows) == 499
    assert (rows[1], rows[499]) == ("changed", "changed")


# -- vectors -----------------------------------------------------------------------------------------------------------


def test_only_a_text_that_changed_is_embedded_and_a_deleted_row_has_no_vector(captured: Any, tmp_path: Any) -> None:
    pgvector = pytest.importorskip("kitestring.destinations.pgvector")
    captured.run(
        "CREATE SCHEMA IF NOT EXISTS vectors",
        "CREATE TABLE tickets (id int PRIMARY KEY, subject text, views int, body text)",
        "ALTER TABLE tickets ALTER body SET STORAGE EXTERNAL",
        "INSERT INTO tickets SELECT n, 'subject ' || n, 0, repeat('body ' || n || ' ', 500) "
        "FROM generate_series(1, 5) n",
    )
    config = {
        "processing": {"chunk_size": 4000, "text_fields": ["subject", "body"], "metadata_fields": ["views"]},
        "embedding": {"mode": "fake"},
        "indexing": {**captured.config, "collection": "chunks", "default_schema": "vectors"},
        "shadow_folder": str(tmp_path),
    }
    copy = Captured(captured)

    def embedded() -> float:
        copy.destination = pgvector.Pgvector.load(config)
        result = copy.attempt("public.tickets")
        assert result.status is Status.succeeded, result.as_dict()
        return result.total("chunks_embedded")

    def stored() -> dict[int, tuple[str, int]]:
        rows = captured.run("SELECT record_id, text, (metadata ->> 'views')::int AS views FROM vectors.chunks")
        return {int(row["record_id"].rpartition("_")[2]): (row["text"], row["views"]) for row in rows}

    first = embedded()
    assert first >= 5
    captured.run("UPDATE tickets SET views = 7 WHERE id = 1", "DELETE FROM tickets WHERE id = 2")
    assert embedded() == 0
    assert sorted(stored()) == [1, 3, 4, 5]
    text, views = stored()[1]
    assert views == 7
    assert "body 1 body 1" in text, "the long text that did not change is there"
    captured.run(
        "UPDATE tickets SET subject = 'another subject' WHERE id = 3", "UPDATE tickets SET id = 9 WHERE id = 4"
    )
    assert 0 < embedded() <= 2
    assert sorted(stored()) == [1, 3, 5, 9]
    assert "another subject" in stored()[3][0]


# -- servers -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_log_that_the_server_threw_away_is_lost_and_a_cleared_connection_starts_over() -> None:
    settings = (
        "-c fsync=off -c wal_level=logical -c max_slot_wal_keep_size=1MB -c min_wal_size=32MB -c max_wal_size=32MB"
    )
    with running(settings) as database:
        database.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
        copy = Captured(database)
        copy.sync()
        for _ in range(4):
            database.run(
                "INSERT INTO t SELECT generate_series(2, 1000) ON CONFLICT DO NOTHING", "SELECT pg_switch_wal()"
            )
        database.run("CHECKPOINT")
        assert copy.slot()["status"] == "lost"
        for _ in range(2):
            (error,) = errors_of(copy.attempt())
            assert "has thrown away the log of the slot" in str(error)
            assert "Choose one" in error.hint
        with pytest.raises(ConfigError, match="thrown away"):
            copy.source().check()
        copy.states.clear("default")
        assert len(copy.sync()["public.t"]) == 1000


@pytest.mark.slow
def test_servers_that_send_no_log_are_refused_with_a_word() -> None:
    with running("-c fsync=off -c wal_level=replica") as database:
        database.run("CREATE TABLE t (id int PRIMARY KEY)")
        with pytest.raises(ConfigError, match="wal_level replica, change data capture needs logical"):
            Captured(database).source().check()
        database.stand_by()
        with pytest.raises(ConfigError, match="is a standby"):
            Captured(database).source().check()


def test_a_pooler_is_refused_with_a_word(captured: Any) -> None:
    """PgBouncer answers a start-up packet with `replication` in this way (version 1.18, from Debian 12)."""
    captured.run("CREATE TABLE t (id int PRIMARY KEY)")
    message = b"SFATAL\0C08P01\0Munsupported startup parameter: replication\0\0"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:  # until the test closes the server
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    size = struct.unpack(">i", connection.recv(4))[0]
                    if connection.recv(size - 4)[:4] == struct.pack(">i", 80877103):
                        connection.sendall(b"N")
                        size = struct.unpack(">i", connection.recv(4))[0]
                        connection.recv(size - 4)
                    connection.sendall(b"E" + struct.pack(">i", len(message) + 4) + message)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match="a connection pooler") as refusal:
            Captured(captured).source(port=port).open_replication()
    assert "cannot go through a pooler" in refusal.value.hint


def test_rows_of_the_log_have_its_columns_and_so_has_a_full_refresh(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    copy = Captured(captured)
    copy.sync()
    captured.run("INSERT INTO t VALUES (2)")
    copy.sync()
    first, second = copy.destination.stored["public.t"]
    assert first["_ab_cdc_lsn"] < second["_ab_cdc_lsn"]
    assert first["_ab_cdc_updated_at"] <= second["_ab_cdc_updated_at"]
    assert plain(second) == {"id": 2}


# -- following ---------------------------------------------------------------------------------------------------------


def in_background(copy: Captured, cancel: threading.Event | None = None) -> threading.Thread:
    """A sync in a thread; its result is the copy's."""
    thread = threading.Thread(target=copy.attempt, kwargs={"cancel": cancel} if cancel else {})
    thread.start()
    return thread


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_sync_that_follows_the_log_brings_changes_while_it_runs(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 0)")
    copy = Captured(captured)
    copy.sync()
    copy.method = {**copy.method, "follow_seconds": 6}
    thread = in_background(copy)
    for n in range(1, 4):
        captured.run(f"UPDATE t SET n = {n} WHERE id = 1", f"INSERT INTO t VALUES ({n + 1}, 0)")
        wait_for(lambda n=n: copy.destination.stored["public.t"][0]["n"] == n or not thread.is_alive())
    thread.join()
    assert copy.result.status is Status.succeeded
    assert copy.result.streams["public.t"].read == 6
    copy.method.pop("follow_seconds")
    assert len(copy.sync()["public.t"]) == 4
    assert copy.result.streams["public.t"].read == 0


def test_a_sync_that_follows_the_log_can_be_stopped_and_keeps_its_state(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    copy = Captured(captured)
    copy.method = {**copy.method, "follow_seconds": 3600}
    cancel = threading.Event()
    thread = in_background(copy, cancel)
    wait_for(lambda: copy.destination.stored.get("public.t"))
    captured.run("INSERT INTO t VALUES (2)")
    wait_for(lambda: len(copy.destination.stored["public.t"]) == 2)
    cancel.set()
    thread.join(300)
    assert copy.result.status is Status.cancelled
    wait_until_free(captured, captured.name)
    copy.method.pop("follow_seconds")
    copy.sync()
    assert copy.result.streams["public.t"].read == 0


def test_a_column_that_is_dropped_while_its_table_is_read_again_is_null(captured: Any) -> None:
    connection = Captured(captured)
    captured.run("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    connection.sync(write_mode="append_dedup")
    source, states = connection.source(), connection.states.load("default")
    latest = Write(keep="latest", deletes="remove")
    streams = [replace(stream, sync_mode=SyncMode.incremental, write=latest) for stream in source.discover()]
    rows = []
    for partition in source.partitions(streams, states):
        captured.run("ALTER TABLE t ADD COLUMN late int DEFAULT 7")
        for item in source.read(partition, states):
            if isinstance(item, SchemaChange) and not rows:
                captured.run("ALTER TABLE t DROP COLUMN late")
            rows += map(plain, item.rows()) if isinstance(item, Batch) else []
    source.close()
    assert rows == [{"id": 1, "v": "a", "late": None}, {"id": 2, "v": "b", "late": None}]
