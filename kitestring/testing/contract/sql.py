"""The contract of SQL destinations as a test class: that of destinations, and what readers of the tables rely on."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring import json_codec
from kitestring.batch import Batch
from kitestring.destination import Counts, Destination, Fills
from kitestring.engine import Rejects, Result, Selection, Status, sync
from kitestring.errors import ConfigError
from kitestring.testing.contract.destination import DestinationContract
from kitestring.testing.contract.suite import SCHEMA
from kitestring.testing.contract.value import moment
from kitestring.types import NULLED_RECORDS, Record, Stream

AIRBYTE_COLUMNS = {"_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta", "_airbyte_generation_id"}


class SqlContract(DestinationContract):
    """The contract of every SQL destination. `types` and `widened` say which types its columns have, `schema` where the
    tables of streams without a namespace are."""

    types: ClassVar[Mapping[str, str]]
    """The type of each column of `suite.SCHEMA`, as `column_types` gives it."""

    widened: ClassVar[tuple[str, str, str]]
    """The types of a column that holds whole numbers, then fractions too, then texts too."""

    schema: ClassVar[str] = "public"
    """Where the tables of streams without a namespace are."""

    # -- what the author of a SQL destination writes -------------------------------------------------------------------

    def make_with(self, folder: Path, **options: Any) -> Destination:
        """The destination with these options more."""
        raise NotImplementedError

    def execute(self, destination: Destination, statement: str) -> list[Record]:
        """Run a statement in a connection of its own, also while the destination writes; commit; the rows, if any."""
        raise NotImplementedError

    def column_types(self, destination: Destination, stream: Stream) -> dict[str, str]:
        """The columns of a stream's table."""
        place = f"table_schema = {literal(stream.namespace or self.schema)} AND table_name = {literal(stream.name)}"
        statement = f"SELECT column_name, data_type FROM information_schema.columns WHERE {place}"  # noqa: S608
        return {row["column_name"]: row["data_type"] for row in self.execute(destination, statement)}

    def tables(self, destination: Destination) -> set[str]:
        """All tables that there are for users."""
        system = "('pg_catalog', 'information_schema')"
        statement = f"SELECT table_name FROM information_schema.tables WHERE table_schema NOT IN {system}"  # noqa: S608
        return {row["table_name"] for row in self.execute(destination, statement)}

    def table(self, stream: Stream) -> str:
        """A stream's table in a statement."""
        return f"{quoted(stream.namespace or self.schema)}.{quoted(stream.name)}"

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def make(self, folder: Path) -> Destination:
        return self.make_with(folder)

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        return self.execute(destination, f"SELECT * FROM {self.table(stream)}")  # noqa: S608

    def written(self, destination: Destination, stream: Stream, records: list[Record]) -> None:
        """One batch, written as the engine does."""
        destination.write(stream, destination.prepare(stream, Batch(stream.key, rows=records)))

    # -- types and names -----------------------------------------------------------------------------------------------

    def test_columns_have_the_types_of_the_schema(self, tmp_path: Path) -> None:
        assert not self.succeed(tmp_path, self.records(2), "append")
        types = self.column_types(self.make(tmp_path), self.stream("append"))
        assert {name: types.get(name) for name in self.types} == self.types

    def test_a_column_becomes_wider_and_never_narrower(self, tmp_path: Path) -> None:
        types = []
        for number, (kind, value) in enumerate([("integer", 1), ("number", 0.5), ("string", "a"), ("integer", 2)]):
            schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "grown": {"type": ["null", kind]}}}
            assert not self.succeed(tmp_path, [{"id": number, "text": "a", "grown": value}], "append", schema)
            types.append(self.column_types(self.make(tmp_path), self.stream("append"))["grown"])
        assert types == [*self.widened, self.widened[-1]]

    def test_a_change_of_the_schema_changes_the_table_before_a_record_comes(self, tmp_path: Path) -> None:
        destination, stream = self.make(tmp_path), self.stream("append")
        try:
            destination.begin(stream)
            self.written(destination, stream, self.records(1))
            new = {"fresh": {"type": ["null", "integer"]}, "number": {"type": ["null", "string"]}}
            changed = replace(stream, schema={**SCHEMA, "properties": {**SCHEMA["properties"], **new}})
            destination.change(changed)
            types = self.column_types(destination, stream)
            assert (types["fresh"], types["number"]) == (self.widened[0], self.widened[2])
            self.written(destination, changed, [{"id": 7, "text": "a", "number": "seven", "fresh": 7}])
            destination.commit(changed)
        finally:
            destination.close()
        assert sorted(str(row["number"]) for row in self.seen(tmp_path)) == ["0.0", "seven"]

    def test_a_column_that_a_user_added_stays(self, tmp_path: Path) -> None:
        for mode in ("append", "append_dedup"):
            folder, stream = tmp_path / mode, self.stream(mode)
            assert not self.succeed(folder, self.records(3), mode)
            self.execute(self.make(folder), f"ALTER TABLE {self.table(stream)} ADD COLUMN {quoted('my own')} INTEGER")
            assert not self.succeed(folder, [{**self.records(6)[5], "brand_new": "x"}], mode)
            types = self.column_types(self.make(folder), stream)
            assert {"my own", "brand_new"} <= set(types)
            assert len(self.seen(folder, mode)) == 4

    def test_long_names_of_streams_that_begin_alike_are_two_tables(self, tmp_path: Path) -> None:
        for suffix, count in (("1", 2), ("2", 3)):
            source = self.source(self.records(count))
            selection = Selection(self.stream_name, write_mode="append", alias="n" * 300 + suffix)
            result = sync(source, self.make(tmp_path), [selection])
            assert result.status is Status.succeeded, result.as_dict()
        for suffix, count in (("1", 2), ("2", 3)):
            destination = self.make(tmp_path)
            assert isinstance(destination, Counts)
            assert destination.count(replace(self.stream("append"), name="n" * 300 + suffix)) == count
            destination.close()

    def test_a_namespace_with_an_odd_name_is_a_schema(self, tmp_path: Path) -> None:
        stream = replace(self.stream("append"), namespace='odd "schema"; --')
        result = sync(
            self.source(self.records(2)),
            self.make(tmp_path),
            [Selection(self.stream_name, write_mode="append", namespace=stream.namespace)],
        )
        assert result.status is Status.succeeded, result.as_dict()
        destination = self.make(tmp_path)
        assert isinstance(destination, Counts)
        assert destination.count(stream) == 2
        destination.close()

    # -- whose a table is ----------------------------------------------------------------------------------------------

    def test_a_table_that_no_sync_has_made_is_refused_and_stays(self, tmp_path: Path) -> None:
        destination, stream = self.make(tmp_path), self.stream("append")
        other = replace(stream, name="other")  # so that the database and the schema are there
        destination.begin(other)
        self.written(destination, other, self.records(1))
        destination.commit(other)
        destination.close()
        self.execute(destination, f"CREATE TABLE {self.table(stream)} (id INTEGER, price INTEGER)")
        self.execute(destination, f"INSERT INTO {self.table(stream)} VALUES (1, 2)")  # noqa: S608
        for mode in ("append", "append_dedup", "overwrite"):
            result = self.run(tmp_path, self.records(3), mode)
            error = result.streams[self.stream_name].error or result.error
            assert isinstance(error, ConfigError), (mode, result.as_dict())
            assert self.stream_name in error.message
        assert self.execute(destination, f"SELECT * FROM {self.table(stream)}") == [{"id": 1, "price": 2}]  # noqa: S608

    def test_a_table_that_a_user_dropped_is_created_again(self, tmp_path: Path) -> None:
        for mode in ("append", "append_dedup", "overwrite"):
            folder, stream = tmp_path / mode, self.stream(mode)
            assert not self.succeed(folder, self.records(3), mode)
            self.execute(self.make(folder), f"DROP TABLE {self.table(stream)}")
            assert not self.succeed(folder, self.records(2), mode)
            assert len(self.seen(folder, mode)) == 2

    # -- transactions --------------------------------------------------------------------------------------------------

    def test_a_reader_sees_the_old_copy_or_the_new_one_and_never_less(self, tmp_path: Path) -> None:
        assert not self.succeed(tmp_path, self.records(40), "overwrite")
        reader, stream, ended = self.make(tmp_path), self.stream("overwrite"), threading.Event()
        statement = (
            f"SELECT count(*) AS n, count(DISTINCT text) AS texts, max(text) AS latest FROM {self.table(stream)}"  # noqa: S608
        )
        seen: list[Any] = []
        errors: list[Exception] = []

        def read() -> None:
            while not ended.is_set():
                try:
                    (row,) = self.execute(reader, statement)
                    seen.append((row["n"], row["texts"], str(row["latest"])[:4]))
                except Exception as error:  # noqa: BLE001 - asserted below
                    errors.append(error)
                    return

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for number in range(1, 6):
                assert not self.succeed(tmp_path, self.records(40 + number, f"v{number}  {{n}}"), "overwrite")
        finally:
            ended.set()
            thread.join()
        assert not errors
        copies = {(40, 40, "text"), *((40 + number, 40 + number, f"v{number}  ") for number in range(1, 6))}
        assert set(seen) <= copies
        assert seen

    def test_what_a_crash_left_of_a_replacement_goes_with_the_next_begin(self, tmp_path: Path) -> None:
        assert not self.succeed(tmp_path, self.records(20), "overwrite")
        before = self.tables(self.make(tmp_path))
        stream = self.stream("overwrite")
        crashed = self.make(tmp_path)
        crashed.begin(stream)
        self.written(crashed, stream, self.records(7, "lost {n}"))
        crashed.close()  # neither committed nor aborted, as after a kill
        assert self.texts(tmp_path, "overwrite") == {n: f"text {n}" for n in range(20)}
        after = self.make(tmp_path)
        after.begin(stream)
        after.abort(stream)
        after.close()
        assert self.tables(self.make(tmp_path)) == before
        assert self.texts(tmp_path, "overwrite") == {n: f"text {n}" for n in range(20)}

    def test_a_replacement_with_nothing_leaves_an_empty_table_with_its_columns(self, tmp_path: Path) -> None:
        assert not self.succeed(tmp_path, self.records(3), "overwrite")
        result = self.run(tmp_path, [], "overwrite", allow_empty=True)
        assert result.status is Status.succeeded, result.as_dict()
        assert self.seen(tmp_path, "overwrite") == []
        assert set(self.types) <= set(self.column_types(self.make(tmp_path), self.stream("overwrite")))

    def test_records_that_are_there_unchanged_are_counted_so(self, tmp_path: Path) -> None:
        assert not self.succeed(tmp_path, self.records(20), "append_dedup")
        records = [{**record, "text": "new"} if record["id"] < 5 else record for record in self.records(25)]
        figures = self.run(tmp_path, records, "append_dedup").streams[self.stream_name]
        assert (figures.written, figures.unchanged) == (10, 15)

    # -- Airbyte's columns ---------------------------------------------------------------------------------------------

    def test_airbytes_columns_are_there_where_they_are_switched_on(self, tmp_path: Path) -> None:
        self.needs_airbyte_columns(tmp_path)
        for mode in ("append_dedup", "overwrite"):
            folder, stream = tmp_path / mode, self.stream(mode)
            for switched in (True, False, True):  # a table that has them keeps them
                destination = self.make_with(folder, airbyte_columns=switched)
                result = sync(self.source(self.records(3)), destination, [Selection(self.stream_name, write_mode=mode)])
                assert result.status is Status.succeeded, result.as_dict()
            rows = self.execute(destination, f"SELECT * FROM {self.table(stream)}")  # noqa: S608
            assert {*rows[0], *AIRBYTE_COLUMNS} == set(rows[0])
            assert len({str(row["_airbyte_raw_id"]) for row in rows}) == 3
            for row in rows:
                age = dt.datetime.now(dt.UTC) - (moment(row["_airbyte_extracted_at"]) or dt.datetime.min)
                assert dt.timedelta(0) <= age < dt.timedelta(minutes=5)
                meta = row["_airbyte_meta"]
                assert "changes" in (json_codec.loads(meta) if isinstance(meta, str) else meta)
            assert len({row["_airbyte_generation_id"] for row in rows}) == 1

    def test_no_column_of_airbytes_is_there_where_they_are_switched_off(self, tmp_path: Path) -> None:
        self.needs_airbyte_columns(tmp_path)
        destination = self.make_with(tmp_path, airbyte_columns=False)
        result = sync(self.source(self.records(3)), destination, [Selection(self.stream_name, write_mode="append")])
        assert result.status is Status.succeeded, result.as_dict()
        types = self.column_types(destination, self.stream("append"))
        assert {name for name in types if name.startswith("_airbyte")} == set()

    def test_each_new_copy_is_a_generation_of_airbytes(self, tmp_path: Path) -> None:
        self.needs_airbyte_columns(tmp_path)
        generations = []
        for _ in range(2):
            destination = self.make_with(tmp_path, airbyte_columns=True)
            selections = [Selection(self.stream_name, write_mode="overwrite")]
            assert sync(self.source(self.records(3)), destination, selections).ok
            statement = f"SELECT DISTINCT _airbyte_generation_id AS number FROM {self.table(self.stream('overwrite'))}"  # noqa: S608
            generations += [row["number"] for row in self.execute(destination, statement)]
        assert len(generations) == 2
        assert generations[0] < generations[1]

    # -- values that do not fit ----------------------------------------------------------------------------------------

    def with_columns(self, folder: Path, records: list[Record], mode: str, share: float = 1.0, **more: Any) -> Result:
        """Sync these records into a table with Airbyte's columns."""
        destination = self.make_with(folder, airbyte_columns=True)
        selections = [Selection(self.stream_name, write_mode=mode)]
        return sync(self.source(records), destination, selections, max_nulled_share=share, **more)

    def test_a_value_that_does_not_fit_is_null_and_its_text_is_in_airbytes_column(self, tmp_path: Path) -> None:
        self.needs_airbyte_columns(tmp_path)
        odd: Record = {"id": 3, "text": "odd", "number": "not a number", "flag": {"a": 1}}
        for mode in ("append", "append_dedup", "overwrite"):
            result = self.with_columns(tmp_path / mode, [*self.records(3), odd], mode)
            figures = result.streams[self.stream_name]
            assert (result.status, figures.written, figures.rejected) == (Status.succeeded, 4, 0), result.as_dict()
            assert figures.figures == {NULLED_RECORDS: 1}
            rows = {int(row["id"]): row for row in self.seen(tmp_path / mode, mode)}
            assert (rows[3]["text"], rows[3]["number"], rows[3]["flag"]) == ("odd", None, None)
            assert self.nulled(rows[3]) == {"number": "not a number", "flag": '{"a":1}'}
            assert [self.nulled(rows[number]) for number in (0, 1, 2)] == [{}, {}, {}]

    def test_too_many_values_that_do_not_fit_make_a_sync_suspicious(self, tmp_path: Path) -> None:
        self.needs_airbyte_columns(tmp_path)
        records = [*self.records(9), {"id": 9, "text": "a", "number": "x"}]
        for mode, share, status in (("append", 0.05, Status.suspicious), ("overwrite", 0.1, Status.succeeded)):
            result = self.with_columns(tmp_path / mode, records, mode, share)
            assert (result.status, result.streams[self.stream_name].written) == (status, 10), result.as_dict()
            assert len(self.seen(tmp_path / mode, mode)) == 10

    def test_a_key_that_does_not_fit_rejects_its_record_with_airbytes_columns_too(self, tmp_path: Path) -> None:
        self.needs_airbyte_columns(tmp_path)
        rejects = Rejects(tmp_path / "rejects")
        odd: Record = {"id": "no number", "text": "odd", "number": "x"}
        result = self.with_columns(tmp_path, [*self.records(3), odd], "append_dedup", rejects=rejects)
        assert result.streams[self.stream_name].rejected == 1
        assert [entry["record"] for entry in rejects.read("default")] == [odd]
        assert sorted(int(row["id"]) for row in self.seen(tmp_path, "append_dedup")) == [0, 1, 2]

    def test_a_row_with_another_value_that_does_not_fit_is_not_unchanged(self, tmp_path: Path) -> None:
        """Both versions have a null in the column."""
        self.needs_airbyte_columns(tmp_path)
        for value, number, texts in (
            ("first", None, {"number": "first"}),
            ("second", None, {"number": "second"}),
            (0.5, 0.5, {}),
            ("third", None, {"number": "third"}),
            (None, None, {}),
        ):
            record = {"id": 1, "text": "a", "number": value}
            figures = self.with_columns(tmp_path, [record, *self.records(1)], "append_dedup").streams[self.stream_name]
            assert (figures.read, figures.rejected) == (2, 0)
            rows = {int(row["id"]): row for row in self.seen(tmp_path, "append_dedup")}
            assert (rows[1]["number"], self.nulled(rows[1]), self.nulled(rows[0])) == (number, texts, {})

    # -- new fields ----------------------------------------------------------------------------------------------------

    def test_existing_rows_get_the_value_of_a_new_field_and_keep_those_that_they_have(self, tmp_path: Path) -> None:
        destination, stream = self.make(tmp_path), self.stream("append_dedup")
        assert isinstance(destination, Fills)
        new = {"state": {"type": ["null", "string"]}, "rank": {"type": ["null", "integer"]}}
        wider = replace(stream, schema={**SCHEMA, "properties": {**SCHEMA["properties"], **new}})
        try:
            destination.begin(stream)
            self.written(destination, stream, self.records(2))
            for _ in range(2):  # as after a kill
                destination.fill(wider, {"state": "it's open", "rank": 7})
            self.written(destination, wider, [{"id": 1, "text": "a", "state": None, "rank": 1}, {"id": 2, "text": "a"}])
            destination.commit(wider)
        finally:
            destination.close()
        rows = {int(row["id"]): (row["state"], row["rank"]) for row in self.seen(tmp_path, "append_dedup")}
        assert rows == {0: ("it's open", 7), 1: (None, 1), 2: (None, None)}

    def needs_airbyte_columns(self, folder: Path) -> None:
        if "airbyte_columns" not in type(self.make(folder)).model_fields:
            pytest.skip("this destination has no option `airbyte_columns`")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
