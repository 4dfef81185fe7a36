"""Names made safe and distinct."""

import re
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from kitestring.names import distinct


def safe(name):
    return re.sub(r"\W", "_", name) or "_"


def test_a_safe_name_stays_and_the_other_is_marked():
    assert distinct(["", "_"], safe) == {"": "__e3b0c442", "_": "_"}
    assert distinct(["x y"], safe) == {"x y": "x_y"}
    names = distinct(["x y", "x_y", "x\0y"], safe)
    assert names["x_y"] == "x_y"
    assert len(set(names.values())) == 3


def test_a_name_that_looks_like_a_mark_stays():
    assert distinct(["", "_", "__e3b0c442"], safe) == {"": "__e3b0c44298fc1c14", "_": "_", "__e3b0c442": "__e3b0c442"}


def test_the_order_of_the_names_changes_nothing():
    results = [distinct(order, safe) for order in permutations(["x y", "x\0y", "x_y", "z"])]
    assert all(result == results[0] for result in results)


def test_a_reserved_name_is_taken():
    assert distinct(["id", "x"], safe, reserved=["id"])["id"].startswith("id_")


def test_names_that_the_other_side_takes_for_one_are_kept_apart():
    names = distinct(["Id", "id", "ID"], safe, folded=str.lower)
    assert names["id"] == "id"
    assert len({name.lower() for name in names.values()}) == 3


def test_a_long_name_is_cut_and_marked():
    names = distinct(["x" * 70, "x" * 71, "y" * 63], safe, longest=63)
    assert names["y" * 63] == "y" * 63
    assert sorted(map(len, names.values())) == [63, 63, 63]
    assert len(set(names.values())) == 3


def test_a_name_may_be_as_long_as_the_other_side_counts():
    names = distinct(["日" * 30, "日" * 30 + "x", "a" * 63], safe, longest=63, size=lambda name: len(name.encode()))
    assert names["a" * 63] == "a" * 63
    assert all(len(name.encode()) <= 63 and name.startswith("日" * 18) for name in [*names.values()][:2])
    assert len(set(names.values())) == 3


@given(st.lists(st.text(alphabet="ab_ \0.", max_size=4), unique=True))
def test_all_names_are_distinct(names):
    result = distinct(names, safe)
    assert len(set(result.values())) == len(names)
    assert all(result[name] == name for name in names if safe(name) == name)
