"""`where` as a mapping: every form has one meaning, and what has none is refused with the nearest known word."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from kitestring.errors import ConfigError
from kitestring.filters import And, Bound, Exists, Not, OneOf, Or, matches, parse

NEW, NO_STATUS = OneOf("status", ("new",)), Not(Exists("status"))


@pytest.mark.parametrize(
    ("where", "tree"),
    [
        ({}, None),
        ({"status": "new"}, NEW),
        ({"status": {"eq": "new"}}, NEW),
        ({"status": {"in": ["new"]}}, NEW),
        ({"status": {"$eq": "new"}}, NEW),
        ({"status": None}, NO_STATUS),
        ({"status": {"exists": False}}, NO_STATUS),
        ({"status": ["new", None]}, Or((NEW, NO_STATUS))),
        ({"status": {"ne": "new"}}, And((Exists("status"), Not(NEW)))),
        ({"status": {"nin": ["new"]}}, And((Exists("status"), Not(NEW)))),
        ({"status": {"ne": None}}, Exists("status")),
        ({"status": {"not": "new"}}, Not(NEW)),
        ({"status": {"not": {"in": ["new"]}}}, Not(NEW)),
        ({"not": {"status": "new"}}, Not(NEW)),
        ({"not": {"eq": "new"}}, OneOf("not", ("new",))),
        ({"or": ["new"]}, OneOf("or", ("new",))),
        ({"or": [{"status": "new"}, {"$and": [{"n": {"gt": 1}}]}]}, Or((NEW, And((Bound("n", "gt", 1),))))),
        ({"n": {"gte": 3, "lt": 9}}, And((Bound("n", "gte", 3), Bound("n", "lt", 9)))),
        ({"status": "new", "n": []}, And((NEW, OneOf("n", ())))),
        ({"day": dt.date(2026, 1, 2)}, OneOf("day", ("2026-01-02",))),
        ({"price": Decimal("1.50")}, OneOf("price", (Decimal("1.50"),))),
    ],
)
def test_every_form_of_a_filter_has_one_meaning(where: dict[str, Any], tree: Any) -> None:
    assert parse(where) == tree


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"n": {"gth": 3}}, r"gth is not a comparison; did you mean gt\?"),
        ({"n": {"between": [1, 2]}}, "between is not a comparison"),
        ({"n": {"in": 3}}, "`in` takes a list"),
        ({"n": {"exists": "yes"}}, "`exists` is true or false"),
        ({"n": {"gt": True}}, "have no order"),
        ({"n": {"gt": None}}, "compared with NoneType"),
        ({"n": {"eq": {"a": 1}}}, "compared with dict"),
        ({"n": [[1]]}, "compared with list"),
        ({"n": object()}, "compared with object"),
        ({"or": [{"n": 1}, "n = 1"]}, "takes a list of mappings"),
        ({3: 1}, "names of fields in a filter are texts"),
        ({"user": {"name": "x"}}, "name is not a comparison"),
    ],
)
def test_what_has_no_meaning_is_refused(where: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(where)


def test_a_filter_of_endless_depth_is_refused() -> None:
    for word in ("and", "not", "field"):
        where: dict[str, Any] = {"n": 1}
        for _ in range(5_000):
            where = {"and": [where]} if word == "and" else {"not": where} if word == "not" else {"x": {"not": where}}
        with pytest.raises(ConfigError, match=r"levels deep|comparison"):
            parse(where)


@pytest.mark.parametrize(
    ("where", "passes"),
    [
        ({"n": 3}, True),
        ({"n": 3.0}, True),
        ({"n": "3"}, False),
        ({"flag": True}, True),
        ({"flag": 1}, False),
        ({"one": True}, False),
        ({"n": {"gte": 3, "lt": Decimal("3.5")}}, True),
        ({"n": {"gt": "2"}}, False),
        ({"status": {"gt": "M"}}, True),
        ({"flag": {"gte": 0}}, False),
        ({"missing": {"ne": 1}}, False),
        ({"null": {"ne": 1}}, False),
        ({"missing": {"not": 1}}, True),
        ({"missing": {"not": {"gt": 1}}}, True),
        ({"tags": {"contains": "a"}}, True),
        ({"tags": {"contains": 1}}, False),
        ({"tags": "a"}, False),
        ({"status": {"contains": "n"}}, False),
        ({"and": [{}]}, True),
        ({"or": [{"n": 4}, {"not": {"n": 4}}]}, True),
        ({"n": []}, False),
    ],
)
def test_a_filter_compares_values_of_one_type(where: dict[str, Any], passes: bool) -> None:
    tree = parse(where)
    fields = {"n": 3, "status": "new", "flag": True, "one": 1, "null": None, "tags": ["a", True]}
    assert (tree is None or matches(tree, fields)) is passes
