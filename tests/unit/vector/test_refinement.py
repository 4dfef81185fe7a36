"""A condition of a store leaves out nothing that passes the filter, and more chunks are read until there are enough."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from kitestring.filters import And, Bound, Contains, Exists, Filter, Leaf, Not, OneOf, Or, matches, parse
from kitestring.testing.contract.vector_filter_cases import FILTERED, FILTERS
from kitestring.vector.refinement import Language, Narrowing, refined

Test: TypeAlias = Callable[[Mapping[str, Any]], bool]


class Halved(Language[Test]):
    """It has no lists; of other leaves, the opposite of a bound is the only one that it cannot express."""

    def leaf(self, leaf: Leaf, negated: bool) -> Narrowing[Test]:
        if isinstance(leaf, Contains):
            return Narrowing(None, False)
        if isinstance(leaf, Bound):
            return Narrowing(None, False) if negated else Narrowing(lambda row: leaf.field in row, False)
        return Narrowing(lambda row: matches(leaf, row) != negated, True)

    def both(self, conditions: Sequence[Test]) -> Test:
        return lambda row: all(condition(row) for condition in conditions)

    def either(self, conditions: Sequence[Test]) -> Test:
        return lambda row: any(condition(row) for condition in conditions)

    def nothing(self) -> Test:
        return lambda row: False


def random_tree(dice: random.Random, depth: int) -> Filter:
    leaves: list[Filter] = [
        OneOf("status", ("new", "1")), OneOf("n", (3, -7)), OneOf("n", ()), Bound("n", "gt", 1), Contains("tags", "b"),
        Exists("owner"), And(()), Or(()),
    ]  # fmt: skip
    if depth == 0:
        return dice.choice(leaves)
    parts = tuple(random_tree(dice, depth - 1) for _ in range(dice.randrange(3)))
    return dice.choice([Not(random_tree(dice, depth - 1)), And(parts), Or(parts)])


def test_a_condition_holds_for_every_row_that_passes_and_for_no_other_if_it_is_exact() -> None:
    dice = random.Random(5)
    trees = [random_tree(dice, dice.randrange(5)) for _ in range(3_000)]
    trees += [tree for where in FILTERS if (tree := parse(where)) is not None]
    exact = 0
    for tree in trees:
        narrowing = Halved().narrowing(tree)
        exact += narrowing.exact
        for row in FILTERED:
            holds = narrowing.condition is None or narrowing.condition(row)
            assert holds or not matches(tree, row), tree
            assert not narrowing.exact or holds == matches(tree, row), tree
    assert 100 < exact < len(trees) - 100


def test_more_rows_are_read_until_enough_of_them_match() -> None:
    rows: list[dict[str, Any]] = [{"n": n} for n in range(1_000)]
    asked: list[int] = []

    def fetch(most: int) -> list[dict[str, Any]]:
        asked.append(most)
        return rows[:most]

    found = refined(fetch, dict, Bound("n", "gte", 500), 3)
    assert [row["n"] for row in found] == [500, 501, 502]
    assert asked == [12, 96, 768]
    assert refined(fetch, dict, Bound("n", "gte", 999), 3) == [{"n": 999}]
    assert refined(fetch, dict, None, 2) == rows[:2]
