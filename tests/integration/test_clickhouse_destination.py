"""What ClickHouse's tables go through beyond the contract: lost answers, other keys, wider keys, refusals."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from kitestring.batch import Batch
from kitestring.destinations.clickhouse import Clickhouse
from kitestring.destinations.clickhouse.dialect import DIALECT
from kitestring.engine import Selection, sync
from kitestring.errors import AuthError, ConfigError, RecordError, TransientError
from kitestring.testing.memory import MemorySource
from kitestring.types import Record, Stream, SyncMode, Write

pytestmark = pytest.mark.slow

numbers = itertools.count()
LATEST, ALL = Write(False, "latest", "remove"), Write(False, "all", "keep")


class Place:
    """A database of the server."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.database = f"beyond_{next(numbers)}"

    def destination(self, **options: Any) -> Clickhouse:
        config = {**self.server.config, "database": self.database, "airbyte_columns": False}
        return Clickhouse.load({**config, **options})

    def sync(self, records: Sequence[Record], mode: str = "append_dedup", key: str = "id", schema: Any = None) -> Any:
        source = MemorySource(records={"things": list(records)}, schemas={"things": schema or {}})
        selections = [Selection("things", write_mode=mode, primary_key=[key])]
        result = sync(source, self.destination(), selections)
        assert result.ok, result.as_dict()
        return result.streams["things"]

    def rows(self, columns: str, **settings: Any) -> list[tuple[Any, ...]]:
        query = f"SELECT {columns} FROM {self.database}.things ORDER BY ALL"
        return [tuple(row.values()) for row in self.server.run(query, **settings)]


@pytest.fixture
def place(clickhouse_server: Any) -> Iterator[Place]:
    place = Place(clickhouse_server)
    yield place
    clickhouse_server.fail({})
    clickhouse_server.run(f"DROP DATABASE IF EXISTS {place.database} SYNC")


def written(destination: Clickhouse, write: Write, rows: list[Record]) -> Any:
    """One batch, as the engine writes it."""
    stream = Stream("things", primary_key=(("id",),), sync_modes=(SyncMode.full_refresh,), write=write)
    destination.begin(stream)
    return destination.write(stream, destination.prepare(stream, Batch(stream.key, rows=rows)))


@pytest.mark.parametrize("is_run", [True, False], ids=["the answer was lost", "the statement was lost"])
@pytest.mark.parametrize("write", [LATEST, ALL], ids=str)
def test_a_batch_whose_connection_broke_is_written_once(place: Place, write: Write, is_run: bool) -> None:
    destination = place.destination()
    rows: list[Record] = [{"id": n, "text": f"text {n}"} for n in range(20)]
    try:
        written(destination, write, rows[:10])
        place.server.fail({f"INSERT INTO `{place.database}`.`things`": (1, 0, "", is_run)})
        with pytest.raises(TransientError, match="broke off"):
            written(destination, write, [{**rows[0], "text": "new"}, *rows[10:]])
        receipt = written(destination, write, [{**rows[0], "text": "new"}, *rows[10:]])
    finally:
        destination.close()
    assert (receipt.written, receipt.unchanged, receipt.replaced) == (11, 0, 1 if write == LATEST else 0)
    expected = [(row["id"], row["text"]) for row in rows[(write == LATEST) :]]
    assert place.rows("id, text") == sorted([*expected, (0, "new")])
    assert len(place.rows("id", final=0)) == 21  # not even beside each other


def test_staged_rows_that_are_lost_fail_the_batch_and_change_nothing(place: Place) -> None:
    destination = place.destination()
    try:
        written(destination, LATEST, [{"id": 1, "text": "a"}])
        place.server.fail({f"INSERT INTO `{place.database}`.`_kitestring_incoming": (1, 0, "", False)})
        with pytest.raises(TransientError):
            written(destination, LATEST, [{"id": 1, "text": "b"}, {"id": 2, "text": "b"}])
        assert place.rows("id, text") == [(1, "a")]
        written(destination, LATEST, [{"id": 1, "text": "b"}, {"id": 2, "text": "b"}])
    finally:
        destination.close()
    assert place.rows("id, text") == [(1, "b"), (2, "b")]
    tables = place.server.run(f"SELECT name FROM system.tables WHERE database = '{place.database}'")
    assert tables == [{"name": "things"}]


@pytest.mark.parametrize(
    ("code", "status", "kind", "message"),
    [
        (243, 500, ConfigError, "no disk space left"),
        (201, 500, TransientError, "the quota of reader is used up"),
        (252, 500, TransientError, "could not run the statement: Too many parts"),
        (497, 500, ConfigError, "does not let reader do this"),
        (349, 500, RecordError, "cannot take a value"),
        (0, 502, TransientError, "answered with status 502"),
        (0, 404, ConfigError, "not as ClickHouse does"),
    ],
)
def test_an_error_of_the_server_says_what_to_do(
    place: Place, code: int, status: int, kind: type[Exception], message: str
) -> None:
    destination = place.destination()
    text = f"Code: {code}. DB::Exception: Too many parts. (NAME) (version 26.9.2.1)" if code else "<html>"
    try:
        written(destination, LATEST, [{"id": 1, "text": "a"}])
        place.server.fail({"INSERT INTO": (1, status, text, False)})
        with pytest.raises(kind, match=message) as caught:
            written(destination, LATEST, [{"id": 1, "text": "b"}])
    finally:
        destination.close()
    assert type(caught.value) is kind
    assert "version" not in str(caught.value)
    assert place.rows("id, text") == [(1, "a")]


def test_a_wrong_password_and_a_server_that_is_not_there_are_named(place: Place) -> None:
    with pytest.raises(AuthError, match="refuses the password of reader") as caught:
        place.destination(password="not the secret").check()
    assert "not the secret" not in str(caught.value)
    with pytest.raises(TransientError, match="refuses the connection"):
        place.destination(port=1).check()
    place.destination().check()


def test_a_database_whose_tables_cannot_be_exchanged_is_refused(place: Place) -> None:
    place.server.run(f"CREATE DATABASE {place.database} ENGINE = Memory")
    with pytest.raises(ConfigError, match=r"has the engine Memory, in which a table cannot be exchanged"):
        place.destination().check()


def test_a_key_gets_another_type_and_stays_a_key(place: Place) -> None:
    place.sync([{"id": n, "text": "first"} for n in range(3)])
    place.sync([{"id": 1, "text": "second"}, {"id": 2**40, "text": "second"}, {"id": "1", "text": "text"}])
    figures = place.sync([{"id": 1, "text": "third"}, {"id": "1", "text": "third"}, {"id": 0, "text": "first"}])
    assert (figures.written, figures.unchanged) == (2, 1)
    expected = [("0", "first"), ("1", "third"), ("1", "third"), (str(2**40), "second"), ("2", "first")]
    assert place.rows("id, text") == sorted(expected)


def test_rows_with_another_primary_key_are_all_there_until_they_come_once_more(place: Place) -> None:
    place.sync([{"id": n, "group": n % 2, "text": f"text {n}"} for n in range(4)])
    place.sync([{"id": 9, "group": 1, "text": "new"}], key="group")
    assert place.rows("id, `group`") == [(0, 0), (2, 0), (9, 1)]
    place.sync([{"id": 2, "group": 0, "text": "text 2"}])
    assert place.rows("id, `group`") == [(0, 0), (2, 0), (9, 1)]


def test_a_reader_without_final_sees_older_versions_and_select_star_no_column_of_ours(place: Place) -> None:
    for text in ("first", "second"):
        place.sync([{"id": 1, "text": text}])
    assert place.rows("*") == [(1, "second")]
    assert place.rows("text", final=0) == [("first",), ("second",)]


def test_odd_and_long_texts_arrive_as_they_are(place: Place) -> None:
    texts = ["\x00nul", "\\' \"`", "👩‍👩‍👧 \u202e", "x" * 3_000_000, "\n\r\t", "{id:String}", "NULL", "\\N"]
    place.sync([{"id": n, "text": text, "`odd\\ 'name\"": text} for n, text in enumerate(texts)])
    assert [row[1:] for row in place.rows("*")] == [(text, text) for text in texts]


def test_a_database_with_the_name_of_an_alias_is_written(place: Place) -> None:
    place.database = "incoming"
    place.sync([{"id": 1, "text": "a"}])
    place.sync([{"id": 1, "text": "b"}])
    place.database = DIALECT.candidates("incoming", DIALECT.safe_schema("incoming"))[0]
    assert place.rows("id, text") == [(1, "b")]
