"""Paths into nested values."""

from __future__ import annotations

import pytest

from kitestring import paths

RECORD = {"a": {"b": [{"c": 1}, {"c": 2}]}, "1": "one"}


def test_a_path_finds_members_of_objects_and_lists() -> None:
    assert paths.value_at(RECORD, ["a", "b", "1", "c"]) == 2
    assert paths.value_at(RECORD, [1]) == "one"
    assert paths.value_at(RECORD, ["a", "b", "x"], "no") == "no"
    assert paths.value_at(RECORD, ["a", "b", 7], "no") == "no"
    assert paths.value_at(RECORD, ["1", "x"], "no") == "no"
    assert paths.value_at(RECORD, ["z"]) is None


def test_a_star_finds_every_member() -> None:
    assert paths.values_at(RECORD, ["a", "b", "*", "c"]) == [1, 2]
    assert paths.values_at(RECORD, ["*", "b"]) == [RECORD["a"]["b"]]  # type: ignore[index]
    assert paths.values_at(RECORD, ["1", "*"]) == []


def test_setting_makes_objects_on_the_way() -> None:
    record: dict[str, object] = {"list": [{"x": 1}, 2]}
    paths.set_value(record, ["n", "m"], 1)
    paths.set_value(record, ["list", "0", "x"], 9)
    paths.set_value(record, ["list", 1], 8)
    assert record == {"list": [{"x": 9}, 8], "n": {"m": 1}}
    with pytest.raises((TypeError, AttributeError)):
        paths.set_value({"a": "text"}, ["a", "b"], 1)


def test_replacing_needs_something_that_stands_there() -> None:
    record = {"a": {"b": 1}}
    assert paths.replace_value(record, ["a", "b"], 2)
    assert not paths.replace_value(record, ["a", "c"], 2)
    assert not paths.replace_value(record, ["x", "c"], 2)
    assert record == {"a": {"b": 2}}


def test_deleting_takes_wildcards_and_a_condition() -> None:
    record = {"a": {"x": 1, "y": 2}, "b": [{"x": 3}, {"x": 4}], "x": 5, "keep": {"deep": {"x": 6}}}
    paths.delete_values(record, ["b", "*", "x"])
    assert record["b"] == [{}, {}]
    paths.delete_values(record, ["a", "?"], lambda value: value == 2)
    assert record["a"] == {"y": 2}
    paths.delete_values(record, ["**", "x"])
    assert record == {"a": {"y": 2}, "b": [{}, {}], "keep": {"deep": {}}}
    paths.delete_values(record, ["b", 0])
    paths.delete_values(record, ["no", "where"])
    assert record["b"] == [None, {}]  # a place in the middle of a list is kept
    paths.delete_values(record, ["b", 1])
    assert record["b"] == [None]
    paths.delete_values(record, ["**"])
    assert record == {}
