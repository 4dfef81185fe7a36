"""Change data capture where something happened that the log does not say, or says by halves: no sync is green then
while its destination differs from the source."""

from __future__ import annotations

from typing import Any

import pytest
from capturing import Captured, plain

from kitestring.engine import Selection, Status, sync
from kitestring.errors import ConfigError
from kitestring.sources.postgres import capture, needed_load
from kitestring.sources.postgres.slot import ReplicationObjects


def rows_of(database: Any, columns: str = "*") -> list[dict[str, Any]]:
    return list(database.run(f"SELECT {columns} FROM t ORDER BY id"))


def copied(copy: Captured) -> list[dict[str, Any]]:
    return sorted(copy.sync()["public.t"], key=lambda row: row["id"])


# -- columns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE t DROP COLUMN b", "ALTER TABLE t ADD COLUMN b text DEFAULT 'new'"],
        ["ALTER TABLE t DROP COLUMN b", "ALTER TABLE t ADD COLUMN b text"],
        ["ALTER TABLE t RENAME a TO x", "ALTER TABLE t RENAME b TO a", "ALTER TABLE t RENAME x TO b"],
        ["ALTER TABLE t ALTER a TYPE text USING upper(a)"],
    ],
    ids=["dropped and added with a default", "dropped and added", "names swapped", "values rewritten"],
)
def test_a_table_whose_columns_have_the_names_and_types_of_others_is_read_again(
    captured: Any, statements: list[str]
) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text)",
        "INSERT INTO t SELECT n, 'a' || n, 'b' || n FROM generate_series(1, 3) n",
    )
    copy = Captured(captured)
    copy.sync()
    captured.run("UPDATE t SET a = 'changed' WHERE id = 1", *statements)
    assert copied(copy) == rows_of(captured)


def test_a_column_that_took_the_name_of_another_while_the_log_is_read_is_noticed_there(
    captured: Any, monkeypatch: Any
) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t SELECT n, 'a' FROM generate_series(1, 3) n"
    )
    copy = Captured(captured)
    copy.sync()
    heartbeat = ReplicationObjects.heartbeat

    def altered_before(self: ReplicationObjects) -> int:
        captured.run(
            "UPDATE t SET a = 'changed' WHERE id = 1",
            "ALTER TABLE t DROP COLUMN a",
            "ALTER TABLE t ADD COLUMN a text DEFAULT 'new'",
            "UPDATE t SET a = 'newer' WHERE id = 2",
        )
        return heartbeat(self)

    with monkeypatch.context() as patch:
        patch.setattr(ReplicationObjects, "heartbeat", altered_before)
        assert copied(copy) == rows_of(captured)


def test_a_type_that_changes_while_rows_of_several_partitions_wait_fails_nothing(
    captured: Any, monkeypatch: Any
) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, c int) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20)",
        "INSERT INTO t SELECT n, n FROM generate_series(1, 19) n",
    )
    copy = Captured(captured)
    copy.sync()
    heartbeat = ReplicationObjects.heartbeat

    def altered_before(self: ReplicationObjects) -> int:
        captured.run(
            "UPDATE t SET c = c + 100",
            "ALTER TABLE t ALTER c TYPE text USING c || '!'",
            "UPDATE t SET c = 'low' WHERE id = 2",
            "UPDATE t SET c = 'high' WHERE id = 12",
        )
        return heartbeat(self)

    with monkeypatch.context() as patch:
        patch.setattr(ReplicationObjects, "heartbeat", altered_before)
        assert copied(copy) == rows_of(captured)


def test_a_table_that_is_altered_between_the_catalog_and_the_log_is_written_with_its_new_columns(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY, c int)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    copy = Captured(captured)
    copy.sync()
    catalog = copy.source().discover()
    captured.run(
        "ALTER TABLE t ALTER c TYPE text USING c || '!'", "ALTER TABLE t ADD COLUMN d int", "UPDATE t SET d = 7"
    )
    result = copy.attempt(catalog=catalog)
    assert result.status is Status.succeeded, result.as_dict()
    assert sorted(map(plain, copy.destination.stored["public.t"]), key=lambda row: row["id"]) == rows_of(captured)


def test_a_full_vacuum_is_no_reason_to_read_a_table_again(captured: Any, caplog: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'a')")
    copy = Captured(captured)
    copy.sync()
    captured.run("VACUUM FULL t", "UPDATE t SET a = 'b'")
    assert copied(copy) == rows_of(captured)
    assert "read again" not in caplog.text


# -- the publication and the table -------------------------------------------------------------------------------------


def begun(captured: Any, *statements: str) -> Captured:
    """A copy of a table with three rows, after its first sync."""
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text)",
        "INSERT INTO t SELECT n, 'a' FROM generate_series(1, 3) n",
        *statements,
    )
    copy = Captured(captured)
    copy.sync()
    return copy


CHANGES = ("UPDATE t SET a = 'b' WHERE id = 1", "DELETE FROM t WHERE id = 2")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ALTER PUBLICATION changes DROP TABLE t", ""),
        ("ALTER PUBLICATION changes DROP TABLE t", "ALTER PUBLICATION changes ADD TABLE t"),
        ("DROP PUBLICATION changes", "CREATE PUBLICATION changes FOR TABLE t"),
        ("ALTER PUBLICATION changes SET TABLE t WHERE (id > 9)", "ALTER PUBLICATION changes SET TABLE t"),
    ],
    ids=["taken out", "taken out and put in", "created again", "with a row filter for a while"],
)
def test_a_table_that_was_out_of_the_publication_for_a_while_fails_with_the_choices(
    captured: Any, before: str, after: str
) -> None:
    copy = begun(captured)
    if "WHERE" in before and captured.run("SELECT current_setting('server_version_num')::int8 AS n")[0]["n"] < 150000:
        pytest.skip("this server has no row filters")
    captured.run(before, *CHANGES, *([after] if after else []))
    for _ in range(2):  # nothing puts it in again, and nothing is forgotten
        result = copy.attempt()
        assert result.status is Status.failed
        assert "was taken out of the publication changes, so the changes from" in str(
            result.streams["public.t"].error or result.error
        )


def test_a_publication_that_left_out_deletions_for_a_while_makes_the_stream_suspicious_once(captured: Any) -> None:
    copy = begun(captured)
    whole = "insert, update, delete, truncate"
    captured.run("ALTER PUBLICATION changes SET (publish = 'insert')", *CHANGES)
    captured.run(f"ALTER PUBLICATION changes SET (publish = '{whole}')")
    result = copy.attempt()
    assert result.status is Status.suspicious
    assert "was altered since the last sync" in str(result.streams["public.t"].suspicions)
    captured.run("CREATE TABLE other (id int PRIMARY KEY)", "ALTER PUBLICATION changes ADD TABLE other")
    assert copy.attempt().status is Status.succeeded


def test_a_table_that_may_have_been_unlogged_for_a_while_makes_the_stream_suspicious_once(captured: Any) -> None:
    captured.run("CREATE PUBLICATION changes FOR ALL TABLES")
    copy = begun(captured)
    captured.run("TRUNCATE t", "INSERT INTO t VALUES (4, 'd')")  # the log has it
    assert copied(copy) == rows_of(captured)
    copy.sync()
    captured.run("ALTER TABLE t SET UNLOGGED", "INSERT INTO t VALUES (5, 'e')", "ALTER TABLE t SET LOGGED")
    result = copy.attempt()
    assert result.status is Status.suspicious
    assert "all rows of public.t were rewritten" in str(result.streams["public.t"].suspicions)
    assert copy.attempt().status is Status.succeeded


def test_a_schema_that_was_out_of_the_publication_for_a_while_fails_with_the_choices(captured: Any) -> None:
    if captured.run("SELECT current_setting('server_version_num')::int8 AS n")[0]["n"] < 150000:
        pytest.skip("this server has no publications of schemas")
    captured.run("CREATE PUBLICATION changes FOR TABLES IN SCHEMA public")
    copy = begun(captured)
    captured.run("ALTER PUBLICATION changes DROP TABLES IN SCHEMA public", *CHANGES)
    captured.run("ALTER PUBLICATION changes ADD TABLES IN SCHEMA public")
    result = copy.attempt()
    assert result.status is Status.failed
    assert "was taken out of the publication changes" in str(result.streams["public.t"].error or result.error)


def test_a_publication_of_some_partitions_is_completed(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text) PARTITION BY RANGE (id)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (2)",
        "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (2) TO (9)",
        "INSERT INTO t SELECT n, 'a' FROM generate_series(1, 3) n",
        "CREATE PUBLICATION changes FOR TABLE t1",
    )
    copy = Captured(captured)
    copy.sync()
    captured.run("UPDATE t SET a = 'b'")
    assert copied(copy) == rows_of(captured)


def test_a_table_that_was_created_again_during_its_load_fails(captured: Any, monkeypatch: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text)",
        "INSERT INTO t SELECT n, repeat('a', 500) FROM generate_series(1, 300) n",
    )
    copy = Captured(captured, connections=1)
    part = capture.Capture.read_part
    read: list[str] = []

    def interrupted(self: Any, partition: Any) -> Any:
        if len(read) == 2:
            raise ConfigError("the load is interrupted")
        read.append(partition.key)
        yield from part(self, partition)

    with monkeypatch.context() as patch:
        patch.setattr(needed_load, "PART_BYTES", 8192)
        patch.setattr(capture.Capture, "read_part", interrupted)
        assert copy.attempt().status is Status.failed
    assert copy.states.load("default")["public.t"]["parts"]
    captured.run("DROP TABLE t", "CREATE TABLE t (id int PRIMARY KEY, a text)", "INSERT INTO t VALUES (7, 'new')")
    result = copy.attempt()
    assert result.status is Status.failed, copy.destination.stored


# -- rows --------------------------------------------------------------------------------------------------------------


def test_deletions_that_the_log_names_by_an_earlier_key_make_the_stream_suspicious(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL UNIQUE)",
        "INSERT INTO t SELECT n, 100 + n FROM generate_series(1, 3) n",
    )
    copy = Captured(captured)
    copy.sync()
    captured.run(
        "DELETE FROM t WHERE id = 1",
        "INSERT INTO t VALUES (4, 104)",
        "ALTER TABLE t DROP CONSTRAINT t_pkey",
        "ALTER TABLE t ADD PRIMARY KEY (code)",
    )
    result = copy.attempt()
    assert result.status is Status.suspicious
    (sentence,) = result.streams["public.t"].suspicions
    assert "the log names deleted rows of public.t by id, and not by code" in sentence


def test_a_text_that_the_log_leaves_out_is_not_taken_from_before_a_rejected_version(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, amount numeric(10, 2), body text)",
        "ALTER TABLE t ALTER body SET STORAGE EXTERNAL",
        "INSERT INTO t VALUES (1, 1, repeat('a', 5000)), (2, 1, repeat('a', 5000))",
    )
    copy = Captured(captured)
    copy.sync()
    captured.run(
        "UPDATE t SET body = repeat('b', 5000)",
        "UPDATE t SET body = repeat('c', 5000), amount = 'NaN' WHERE id = 1",
        "UPDATE t SET amount = 3",
    )
    result = copy.attempt()
    assert result.streams["public.t"].rejected == 1
    rows = {row["id"]: (row["body"][0], row["amount"]) for row in copy.destination.stored["public.t"]}
    assert rows == {1: ("c", rows[2][1]), 2: ("b", rows[1][1])}
    assert float(rows[1][1]) == 3


def test_a_number_in_the_log_that_its_narrowed_column_cannot_hold_is_read_from_the_table(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, amount numeric(12, 4))", "INSERT INTO t VALUES (1, 1.2345), (2, 0)"
    )
    copy = Captured(captured)
    copy.sync()
    captured.run("UPDATE t SET amount = 2.3456 WHERE id = 1", "ALTER TABLE t ALTER amount TYPE numeric(10, 2)")
    assert [float(row["amount"]) for row in copied(copy)] == [2.35, 0]
    captured.run("UPDATE t SET amount = 9 WHERE id = 2")
    assert [float(row["amount"]) for row in copied(copy)] == [2.35, 9]


def test_a_row_that_moves_between_partitions_under_a_key_without_their_column_is_never_deleted(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int NOT NULL, region int, body text) PARTITION BY LIST (region)",
        *(f"CREATE TABLE t{n} PARTITION OF t FOR VALUES IN ({n})" for n in (1, 2)),
        *(f"ALTER TABLE {name} REPLICA IDENTITY FULL" for name in ("t", "t1", "t2")),
        "INSERT INTO t SELECT n, 1 + n % 2, 'first' FROM generate_series(1, 6) n",
    )
    copy = Captured(captured)
    streams = [Selection("public.t", "incremental", "append_dedup", primary_key=["id"])]
    assert sync(copy.source(), copy.destination, streams, states=copy.states).status is Status.succeeded
    captured.run(
        "UPDATE t SET body = 'second'",
        "UPDATE t SET region = 1 WHERE region = 2",
        "UPDATE t SET region = 2 WHERE id = 3",
    )
    result = sync(copy.source(), copy.destination, streams, states=copy.states)
    assert result.status is Status.succeeded, result.as_dict()
    rows = sorted(map(plain, copy.destination.stored["public.t"]), key=lambda row: row["id"])
    assert rows == rows_of(captured)
