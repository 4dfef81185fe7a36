"""Paths into nested values."""

from __future__ import annotations

import pytest

from kitestring.declarative import path

RECORD = {"a": {"b": [{"c": 1}, {"c": 2}]}, "1": "one"}


def test_a_path_finds_members_of_objects_and_lists() -> None:
    assert path.get(RECORD, ["a", "b", "1", "c"]) == 2
    assert path.get(RECORD, [1]) == "one"
    assert path.get(RECORD, ["a", "b", "x"], "no") == "no"
    assert path.get(RECORD, ["a", "b", 7], "no") == "no"
    assert path.get(RECORD, ["1", "x"], "no") == "no"
    assert path.get(RECORD, ["z"]) is None


def test_a_star_finds_every_member() -> None:
    assert path.every(RECORD, ["a", "b", "*", "c"]) == [1, 2]
    assert path.every(RECORD, ["*", "b"]) == [RECORD["a"]["b"]]  # type: ignore[index]
    assert path.every(RECORD, ["1", "*"]) == []


def test_setting_makes_objects_on_the_way() -> None:
    record: dict[str, object] = {"list": [{"x": 1}, 2]}
    path.put(record, ["n", "m"], 1)
    path.put(record, ["list", "0", "x"], 9)
    path.put(record, ["list", 1], 8)
    assert record == {"list": [{"x": 9}, 8], "n": {"m": 1}}
    with pytest.raises((TypeError, AttributeError)):
        path.put({"a": "text"}, ["a", "b"], 1)


def test_replacing_needs_something_that_stands_there() -> None:
    record = {"a": {"b": 1}}
    assert path.replace(record, ["a", "b"], 2)
    assert not path.replace(record, ["a", "c"], 2)
    assert not path.replace(record, ["x", "c"], 2)
    assert record == {"a": {"b": 2}}


def test_deleting_takes_wildcards_and_a_condition() -> None:
    record = {"a": {"x": 1, "y": 2}, "b": [{"x": 3}, {"x": 4}], "x": 5, "keep": {"deep": {"x": 6}}}
    path.delete(record, ["b", "*", "x"])
    assert record["b"] == [{}, {}]
    path.delete(record, ["a", "?"], lambda value: value == 2)
    assert record["a"] == {"y": 2}
    path.delete(record, ["**", "x"])
    assert record == {"a": {"y": 2}, "b": [{}, {}], "keep": {"deep": {}}}
    path.delete(record, ["b", 0])
    path.delete(record, ["no", "where"])
    assert record["b"] == [None, {}]  # a place in the middle of a list is kept
    path.delete(record, ["b", 1])
    assert record["b"] == [None]
    path.delete(record, ["**"])
    assert record == {}
