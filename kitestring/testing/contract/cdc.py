"""The contract of change data capture as a test class: what a source with a log promises, on a real database."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import PrivateAttr

from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Result, Selection, Status, sync
from kitestring.errors import ConnectorError
from kitestring.identity import typed
from kitestring.source import Source
from kitestring.testing.contract.gap import Gaps
from kitestring.testing.memory import MemoryDestination
from kitestring.types import DELETED_AT, GLOBAL, Receipt, Record, Stream

FIELDS_OF_THE_LOG = "_ab_cdc_"
"""The prefix of the fields that a record has besides the columns of its table."""


class MortalDestination(MemoryDestination):
    """Fails before it writes its `dies_at`th batch, once."""

    batch_rows: ClassVar[int] = 20

    _writes: int = PrivateAttr(default=0)
    _dies_at: int = PrivateAttr(default=0)

    def die_at(self, batch: int) -> None:
        self._writes, self._dies_at = 0, batch

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        self._writes += 1
        if self._writes == self._dies_at:
            raise ConnectorError("the destination was switched off")
        return super().write(stream, batch)


class CdcContract(Gaps):
    """The contract of a source that captures changes. Each test begins with an empty database (`fresh`).

    Statements are plain SQL: `integer`, `varchar(…)`, multi-row inserts. A stream is compared with a full read of its
    table, row by row.
    """

    long_text: ClassVar[str] = "text"
    """The type of a column for texts of any length."""

    def make(self, folder: Path) -> Source:
        """The source with its log, as a sync makes it: called for every sync."""
        raise NotImplementedError

    def execute(self, *statements: str) -> None:
        """Run statements at the database, each in a transaction of its own (`BEGIN; …; COMMIT` is one of several)."""
        raise NotImplementedError

    def transaction(self, *statements: str) -> None:
        """Run statements in one transaction."""
        raise NotImplementedError

    def lose_log(self) -> None:
        """Make the database forget the log that the source needs."""
        raise NotImplementedError

    def key(self, table: str) -> str:
        """The key of a table's stream."""
        return f"public.{table}"

    def small_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Cut tables of a few hundred rows into several parts, so that a load can be interrupted."""

    # -- the tools of the cases ----------------------------------------------------------------------------------------

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return World(self, tmp_path)

    def create(self, table: str, count: int) -> None:
        self.execute(
            f"CREATE TABLE {table} (id integer PRIMARY KEY, name varchar(100), amount integer, body {self.long_text})"
        )
        self.insert(table, range(1, count + 1))

    def insert(self, table: str, numbers: range) -> None:
        for start in range(numbers.start, numbers.stop, 500):
            part = range(start, min(start + 500, numbers.stop))
            rows = ", ".join(f"({n}, 'name {n}', {n % 7}, 'body {n}')" for n in part)
            self.execute(f"INSERT INTO {table} VALUES {rows}")

    # -- changes -------------------------------------------------------------------------------------------------------

    def test_a_first_sync_loads_the_tables_and_the_next_reads_nothing(self, world: World) -> None:
        self.create("orders", 50)
        self.create("items", 7)
        assert world.sync("orders", "items").total("written") == 57
        world.assert_equal("orders", "items")
        assert world.sync("orders", "items").total("read") == 0

    def test_inserts_updates_and_deletes_arrive(self, world: World) -> None:
        self.create("orders", 50)
        world.sync("orders")
        self.insert("orders", range(51, 56))
        self.execute("UPDATE orders SET name = 'changed' WHERE id < 4", "DELETE FROM orders WHERE id IN (10, 11)")
        result = world.sync("orders")
        assert [result.total(name) for name in ("read", "written", "deleted")] == [10, 8, 2]
        world.assert_equal("orders")

    def test_a_row_that_changes_many_times_is_as_it_was_last(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        for n in range(20):
            self.execute(f"UPDATE orders SET amount = {n} WHERE id = 3")
        self.execute("DELETE FROM orders WHERE id = 4", "INSERT INTO orders VALUES (4, 'again', 1, 'b')")
        self.execute("INSERT INTO orders VALUES (9, 'short', 1, 'b')", "DELETE FROM orders WHERE id = 9")
        world.sync("orders")
        world.assert_equal("orders")

    def test_a_key_that_changes_moves_the_record(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        self.execute("UPDATE orders SET id = 100 WHERE id = 1", "UPDATE orders SET id = id + 1000 WHERE id IN (2, 3)")
        # Two rows change their keys by way of a third.
        self.transaction(
            "UPDATE orders SET id = 50 WHERE id = 4",
            "UPDATE orders SET id = 4 WHERE id = 5",
            "UPDATE orders SET id = 5 WHERE id = 50",
        )
        world.sync("orders")
        world.assert_equal("orders")

    def test_a_table_that_was_emptied_is_empty(self, world: World) -> None:
        self.create("orders", 30)
        world.sync("orders")
        self.execute("TRUNCATE TABLE orders", "INSERT INTO orders VALUES (7, 'after', 1, 'b')")
        world.sync("orders")
        world.assert_equal("orders")
        assert len(world.rows("orders")) == 1

    def test_a_transaction_over_two_tables_arrives_as_a_whole(self, world: World) -> None:
        self.create("orders", 5)
        self.create("items", 5)
        world.sync("orders", "items")
        self.transaction(
            "INSERT INTO orders VALUES (6, 'six', 6, 'b')",
            "INSERT INTO items VALUES (6, 'six', 6, 'b')",
            "UPDATE orders SET name = 'with six' WHERE id = 5",
            "DELETE FROM items WHERE id = 1",
            "UPDATE items SET amount = 99",
        )
        world.sync("orders", "items")
        world.assert_equal("orders", "items")

    def test_a_transaction_that_was_rolled_back_leaves_nothing(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        with pytest.raises(Exception):  # noqa: B017 - the driver's own
            self.transaction(
                "INSERT INTO orders VALUES (8, 'eight', 8, 'b')", "INSERT INTO orders VALUES (1, '', 1, 'b')"
            )
        assert world.sync("orders").total("read") == 0
        world.assert_equal("orders")

    def test_a_large_transaction_arrives(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        rows = (
            ", ".join(f"({n}, 'n', {n}, 'b')" for n in range(start, start + 500)) for start in range(100, 5100, 500)
        )
        self.transaction(*(f"INSERT INTO orders VALUES {part}" for part in rows))
        assert world.sync("orders").total("written") == 5_000
        world.assert_equal("orders")

    def test_a_long_value_that_did_not_change_stays(self, world: World) -> None:
        self.create("orders", 3)
        # Of random digits: a database may compress others so far that it keeps them in the row.
        long_texts = [" ".join(str(n * n * 7919 + seed) for n in range(3_000)) for seed in (1, 2)]
        self.execute(
            *(f"INSERT INTO orders VALUES ({10 + n}, 'long', 1, '{text}')" for n, text in enumerate(long_texts))
        )
        world.sync("orders")
        self.execute("UPDATE orders SET amount = 2 WHERE id = 10", "UPDATE orders SET amount = 3 WHERE id = 10")
        self.execute("UPDATE orders SET amount = 5 WHERE id = 11", "UPDATE orders SET id = 12 WHERE id = 11")
        world.sync("orders")
        world.assert_equal("orders")
        assert {row["id"]: row["body"] for row in world.rows("orders") if row["id"] > 9} == {
            10: long_texts[0],
            12: long_texts[1],
        }
        self.execute("UPDATE orders SET amount = 9 WHERE id = 12", "DELETE FROM orders WHERE id = 12")
        world.sync("orders")
        world.assert_equal("orders")

    # -- ways to write -------------------------------------------------------------------------------------------------

    def test_a_deleted_record_is_marked_with_its_time_where_deletions_are_marked(self, world: World) -> None:
        self.create("orders", 5)
        world.write_mode = "soft_delete"
        world.sync("orders")
        self.execute("DELETE FROM orders WHERE id = 2")
        world.sync("orders")
        marked = {row["id"]: row.get(DELETED_AT) for row in world.stored("orders")}
        assert sorted(marked) == [1, 2, 3, 4, 5]
        assert [key for key, at in marked.items() if at is not None] == [2]

    def test_every_version_is_kept_where_all_are_kept(self, world: World) -> None:
        self.create("orders", 3)
        world.write_mode = "append"
        world.sync("orders")
        self.execute("UPDATE orders SET amount = 50 WHERE id = 2", "UPDATE orders SET amount = 51 WHERE id = 2")
        self.execute("DELETE FROM orders WHERE id = 3")
        world.sync("orders")
        versions = [(row["id"], row.get("amount"), row.get(DELETED_AT) is not None) for row in world.stored("orders")]
        assert versions[:5] == [(1, 1, False), (2, 2, False), (3, 3, False), (2, 50, False), (2, 51, False)]
        assert [(key, is_deleted) for key, _, is_deleted in versions[5:]] == [(3, True)]

    # -- altered tables ------------------------------------------------------------------------------------------------

    def test_a_column_that_is_added_arrives_for_old_rows_too(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        self.execute(
            "UPDATE orders SET name = 'before' WHERE id = 1",
            "ALTER TABLE orders ADD COLUMN note varchar(50)",
            "UPDATE orders SET note = 'noted' WHERE id = 2",
            "ALTER TABLE orders ADD COLUMN state varchar(20) DEFAULT 'open'",
            "UPDATE orders SET state = 'closed' WHERE id = 3",
            "INSERT INTO orders (id, name) VALUES (9, 'new')",
        )
        world.sync("orders")
        world.assert_equal("orders")
        assert {row["id"]: row["state"] for row in world.rows("orders")} == {
            **dict.fromkeys([1, 2, 4, 5, 9], "open"),
            3: "closed",
        }

    def test_a_column_that_is_dropped_or_gets_another_type_is_followed(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        self.execute(
            "UPDATE orders SET name = 'before' WHERE id = 1",
            "ALTER TABLE orders DROP COLUMN name",
            "UPDATE orders SET amount = 70 WHERE id = 2",
            self.retype("orders", "amount", "varchar(30)"),
            "UPDATE orders SET amount = 'many' WHERE id = 3",
        )
        world.sync("orders")
        world.assert_equal("orders")

    def retype(self, table: str, column: str, type_: str) -> str:
        return f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {type_}"

    # -- loads ---------------------------------------------------------------------------------------------------------

    def test_a_table_that_is_added_later_is_loaded_alone(self, world: World) -> None:
        self.create("orders", 40)
        world.sync("orders")
        self.create("items", 10)
        self.execute("UPDATE orders SET amount = 77 WHERE id = 1")
        result = world.sync("orders", "items")
        assert world.result.streams[self.key("orders")].read == 1
        assert result.total("written") == 11
        world.assert_equal("orders", "items")
        self.execute("UPDATE items SET amount = 78 WHERE id = 1", "DELETE FROM items WHERE id = 2")
        world.sync("orders", "items")
        world.assert_equal("orders", "items")

    def test_a_stream_whose_state_was_cleared_is_loaded_alone(self, world: World) -> None:
        self.create("orders", 40)
        self.create("items", 10)
        world.sync("orders", "items")
        world.states.clear("default", self.key("items"))
        self.execute("UPDATE items SET amount = 78 WHERE id = 1", "DELETE FROM items WHERE id = 2")
        world.sync("orders", "items")
        assert world.result.streams[self.key("orders")].read == 0
        assert world.result.streams[self.key("items")].written >= 9
        world.assert_equal("orders", "items")

    def test_a_load_that_was_killed_goes_on_with_what_is_missing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.small_parts(monkeypatch)
        self.create("orders", 600)
        self.create("items", 10)
        for batch in (4, 9):
            world.destination.die_at(batch)
            assert world.attempt("orders", "items").status is Status.failed
            self.execute(
                f"UPDATE orders SET name = 'between {batch}' WHERE id IN (1, 300, 599)",
                f"DELETE FROM orders WHERE id IN ({batch}, {300 + batch}, {590 + batch})",
                f"UPDATE orders SET id = {10_000 + batch} WHERE id = {20 + batch}",
                f"INSERT INTO orders VALUES ({1_000 + batch}, 'between', 1, 'b')",
            )
        world.sync("orders", "items")
        world.assert_equal("orders", "items")

    def test_a_log_that_was_read_in_part_is_read_on(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        for start in range(100, 600, 100):
            self.insert("orders", range(start, start + 100))
            self.execute(f"DELETE FROM orders WHERE id = {start}", f"UPDATE orders SET amount = 5 WHERE id < {start}")
        for batch in (2, 5, 9):
            world.destination.die_at(batch)
            assert world.attempt("orders").status is Status.failed
        world.sync("orders")
        world.assert_equal("orders")

    def test_a_table_that_is_emptied_while_it_is_loaded_ends_as_it_is(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.small_parts(monkeypatch)
        self.create("orders", 600)
        world.destination.die_at(5)
        assert world.attempt("orders").status is Status.failed
        self.execute("TRUNCATE TABLE orders")
        self.insert("orders", range(550, 700))
        world.sync("orders")
        world.assert_equal("orders")

    # -- positions -----------------------------------------------------------------------------------------------------

    def test_a_run_ends_although_the_table_changes_all_the_time(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        stop = threading.Event()

        def write() -> None:
            n = 0
            while not stop.is_set():
                n += 1
                self.execute(f"UPDATE orders SET amount = {n} WHERE id = 1")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(2):
                world.sync("orders")
        finally:
            stop.set()
            writer.join()
        world.sync("orders")
        world.assert_equal("orders")

    def test_the_position_moves_when_other_tables_change(self, world: World) -> None:
        self.create("orders", 5)
        self.create("other", 5)
        world.sync("orders")
        first = world.position()
        self.execute("UPDATE other SET amount = 9")
        world.sync("orders")
        assert world.position() > first

    def test_the_position_moves_when_nothing_changes(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        first = world.position()
        world.sync("orders")
        assert world.position() > first

    def test_the_states_do_not_grow(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        size = len(json.dumps(world.states.load("default")))
        for n in range(4):
            self.execute(f"ALTER TABLE orders ADD COLUMN c{n} integer", f"UPDATE orders SET c{n} = 1")
            world.sync("orders")
            self.execute(f"ALTER TABLE orders DROP COLUMN c{n}")
            world.sync("orders")
        world.assert_equal("orders")
        assert len(json.dumps(world.states.load("default"))) < size + 200

    def test_a_log_that_is_lost_fails_the_sync_with_the_choices_and_reads_nothing_again(self, world: World) -> None:
        self.create("orders", 5)
        world.sync("orders")
        before = world.rows("orders")
        self.execute("UPDATE orders SET amount = 99 WHERE id = 1")
        self.lose_log()
        for _ in range(2):
            result = world.attempt("orders")
            assert result.status is Status.failed
            error = result.error or result.streams[self.key("orders")].error
            assert "lost" in str(error), error
            assert error is not None
            assert "Choose one" in error.hint
            assert world.rows("orders") == before


class World:
    """A destination, the states, and syncs of the source into it."""

    def __init__(self, contract: CdcContract, folder: Path) -> None:
        self.contract = contract
        self.folder = folder
        self.states = MemoryStates()
        self.destination = MortalDestination()
        self.write_mode = "append_dedup"
        self.result: Result

    def attempt(self, *tables: str) -> Result:
        selections = [Selection(self.contract.key(table), "incremental", self.write_mode) for table in tables]
        self.result = sync(self.contract.make(self.folder), self.destination, selections, states=self.states)
        return self.result

    def sync(self, *tables: str) -> Result:
        """A sync that has to succeed."""
        result = self.attempt(*tables)
        assert result.status is Status.succeeded, json.dumps(result.as_dict(), default=str, indent=1)
        return result

    def position(self) -> Any:
        return self.states.load("default")[GLOBAL]["position"]

    def stored(self, table: str) -> list[Record]:
        return self.destination.stored[self.contract.key(table)]

    def rows(self, table: str) -> list[Record]:
        """What the destination holds of a table, by the columns of the table."""
        return sorted((without_log(row) for row in self.stored(table)), key=lambda row: int(row["id"]))

    def assert_equal(self, *tables: str) -> None:
        """The destination has exactly the rows that a full read of the tables gives."""
        selections = [Selection(self.contract.key(table), "full_refresh", "overwrite") for table in tables]
        copy = MemoryDestination()
        result = sync(self.contract.make(self.folder), copy, selections, allow_empty=True)
        assert result.status is Status.succeeded, result.as_dict()
        for table in tables:
            rows = [without_log(row) for row in copy.stored[self.contract.key(table)]]
            expected = sorted(rows, key=lambda row: int(row["id"]))
            names = {name for row in expected for name in row}
            actual = [{name: row.get(name) for name in names} for row in self.rows(table)]
            assert len(actual) == len(expected), table
            for row, wanted in zip(actual, expected, strict=True):
                different = {n: (row[n], wanted[n]) for n in names if typed(row[n]) != typed(wanted[n])}
                assert not different, f"{table} {wanted['id']}: {different}"


def without_log(row: Record) -> Record:
    return {name: value for name, value in row.items() if not name.startswith(FIELDS_OF_THE_LOG)}
