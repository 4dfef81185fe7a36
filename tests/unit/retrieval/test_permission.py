"""The permission of a reader: what is one, and how a reader's attributes come into it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import pytest

import kitestring as ks
from kitestring.destination import Browses, Searches
from kitestring.engine import Selection, sync
from kitestring.errors import ConfigError
from kitestring.filters import matches, parse
from kitestring.retrieval.permission import attributes_in, check_template, permission_of, substituted
from kitestring.retrieval.restricted import restricted
from kitestring.stored_rows import RowPage, RowRequest, StoredRows, StoredStream
from kitestring.testing.memory import MemorySource
from kitestring.types import Record

TEMPLATE: dict[str, Any] = {
    "or": [{"allowed": {"contains": "$user"}}, {"groups": {"contains_any": "$groups"}}, {"team": ["all", "$groups"]}]
}


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"and": [{}]},
        {"or": [{"a": 1}, {}]},
        {"a": {}},
        {"a": 1, "b": {"and": {}}},
        {"not": {"private": True}},
        {"private": {"not": True}},
        {"private": {"ne": True}},
        {"private": {"not_in": [True]}},
        {"$or": [{"a": 1}, {"private": {"$nin": [True]}}]},
        {"owner": None},
        {"owner": ["ann", None]},
        {"owner": {"exists": False}},
        {"owner": {"eq": None}},
        {"not": {"not": {"a": 1}}},
    ],
)
def test_a_permission_that_a_record_without_its_fields_would_pass_is_refused(conditions: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        permission_of(conditions)
    with pytest.raises(ConfigError):
        check_template(conditions)


@pytest.mark.parametrize(
    "conditions",
    [{"a": 1}, {"a": []}, {"a": {"contains_any": []}}, {"a": {"gte": 1}, "b": {"exists": True}}, {"and": 1}, TEMPLATE],
)
def test_no_record_without_fields_passes_a_permission(conditions: dict[str, Any]) -> None:
    check_template(conditions)
    tree = permission_of(substituted(conditions, {"user": "ann", "groups": ["x"]}))
    for record in ({}, {"a": None, "b": None, "allowed": None, "groups": None, "team": None, "and": None}):
        assert not matches(tree, record)


def test_attributes_of_the_reader_take_their_places() -> None:
    assert attributes_in(TEMPLATE) == {"user", "groups"}
    filled = substituted(TEMPLATE, {"user": "ann", "groups": ["a", "b"], "other": 1})
    assert filled["or"] == [
        {"allowed": {"contains": "ann"}},
        {"groups": {"contains_any": ["a", "b"]}},
        {"team": ["all", "a", "b"]},
    ]
    assert substituted({"price": "$$5", "$and": [{"a": "$n"}]}, {"n": 7}) == {"price": "$5", "$and": [{"a": 7}]}
    nobody = permission_of(substituted({"groups": {"contains_any": "$groups"}}, {"groups": []}))
    assert not matches(nobody, {"groups": []})
    assert not matches(nobody, {"groups": ["$groups"]})


@pytest.mark.parametrize(
    "value",
    [
        {"ne": "x"},
        [{"ne": "x"}],
        [["ann"]],
        None,
        ["ann", None],
        "ann\0",
        "ann\ud800",
        b"ann",
        ["x"] * 10_001,
    ],
)
def test_an_attribute_that_is_more_than_values_is_refused(value: Any) -> None:
    for template in ({"allowed": "$user"}, {"allowed": {"contains_any": "$user"}}):
        with pytest.raises(ConfigError, match="attribute user"):
            substituted(template, {"user": value})


def test_an_attribute_is_never_a_condition_or_another_attribute() -> None:
    for hostile in ("$groups", "$$", '{"ne": ""}', 'x" or 1==1', "$or", ""):
        tree = permission_of(substituted({"allowed": {"contains": "$user"}}, {"user": hostile, "groups": "all"}))
        assert tree == parse({"allowed": {"contains": hostile}})
    assert not matches(permission_of(substituted({"n": {"gte": "$n"}}, {"n": math.nan})), {"n": 5})


def test_an_attribute_that_was_not_given_is_no_empty_one() -> None:
    with pytest.raises(ConfigError, match="needs the attribute groups"):
        substituted(TEMPLATE, {"user": "ann"})
    with pytest.raises(ConfigError, match="did you mean user"):
        substituted({"allowed": "$usr"}, {"user": "ann"})
    with pytest.raises(ConfigError, match="compares with one value"):
        substituted({"allowed": {"contains": "$groups"}}, {"groups": ["a", "b"]})


def test_tables_and_files_have_only_the_rows_that_pass(tmp_path: Path) -> None:
    rows = [{"id": 1, "team": "a", "text": "x"}, {"id": 2, "team": "b", "text": "y"}, {"id": 3, "text": "z"}]
    records = {"notes": rows, "logs": [{"id": 1, "text": "l"}]}
    source = MemorySource(records=records, primary_keys={"notes": "id", "logs": "id"})
    for name in ("duckdb", "files"):
        with ks.destination(name, {"path": str(tmp_path / f"x.{name}")}) as handle:
            result = sync(source, handle.connector, [Selection("notes"), Selection("logs")])
            assert result.ok, result.as_dict()
            reader: Any = handle.restricted({"team": "a"})
            assert isinstance(reader, Browses)
            assert not isinstance(reader, Searches)
            listed = reader.stored_streams()
            assert listed is None or [(stream.name, stream.records) for stream in listed] in (
                [("notes", 1)],
                [("notes", None)],
            )
            for where in (None, {"or": [{"team": "b"}, {"id": {"gte": 0}}]}, {"not": {"team": "a"}}, {"team": "b"}):
                page = reader.stored_rows("notes", where=where)
                assert {row["id"] for row in page.rows} <= {1}, (name, where)
                assert page.total in (len(page.rows), None), (name, where)
            with pytest.raises(ConfigError):
                reader.stored_rows("notes", where="team = 'b'")
            assert reader.stored_rows("logs").rows == []  # no row of it has the field


def test_a_destination_that_cannot_apply_a_permission_shows_nothing() -> None:
    with pytest.raises(ConfigError, match="cannot apply a permission"):
        restricted(object(), {"team": "a"})


class IgnoresCase(StoredRows):
    """A database whose comparison is wider than ours."""

    rows: ClassVar[list[Record]] = [{"id": 1, "owner": "ann"}, {"id": 2, "owner": "ANN"}, {"id": 3, "owner": ["ann"]}]

    def stored_page(self, request: RowRequest) -> RowPage:
        return RowPage([row for row in self.rows if "ann" in str(row["owner"]).casefold()], 3)

    def stored_streams(self) -> list[StoredStream] | None:
        return None


def test_a_row_that_only_the_database_lets_pass_is_left_out() -> None:
    assert restricted(IgnoresCase(), {"owner": "ann"}).stored_rows("notes").rows == IgnoresCase.rows[:1]
