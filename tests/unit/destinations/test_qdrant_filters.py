"""The conditions for Qdrant leave out nothing that passes a filter, as Qdrant's own engine reads them."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from kitestring.destinations.qdrant.filters import narrowing_of
from kitestring.filters import And, Bound, Contains, Exists, Filter, Not, OneOf, Or, matches, parse
from kitestring.testing.contract.vector_filter_cases import FILTERED, FILTERS, HOSTILE

edge = pytest.importorskip("qdrant_edge")


def plain_name(text: str) -> str:
    return text.replace('"', "").replace("\\", "") or "x"


ROWS: list[dict[str, Any]] = [
    *FILTERED,
    {"id": 6, "n": [3, 4], "status": ["new", None], "flag": None, "tags": "b", "owner": {"a": 1}},
    {"id": 7, "n": 2**60 + 1, "status": "", "tags": [["b"]], "big": 1.5e300},
    *({"id": 100 + n, "label": text, plain_name(text): 1} for n, text in enumerate(HOSTILE)),
]  # fmt: skip


def edge_filter(document: Any) -> Any:
    """Our JSON as the objects of the engine's interface."""
    if "key" in document:
        key, match, bounds = document["key"], document.get("match"), document.get("range")
        if match is not None:
            test = edge.MatchValue(match["value"]) if "value" in match else edge.MatchAny(match["any"])
            return edge.FieldCondition(key, match=test)
        return edge.FieldCondition(key, range=edge.RangeFloat(**bounds))
    if "is_empty" in document:
        return edge.IsEmptyCondition(document["is_empty"]["key"])
    return edge.Filter(**{kind: [edge_filter(part) for part in parts] for kind, parts in document.items()})


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Any:
    config = edge.EdgeConfig(vectors=edge.EdgeVectorParams(size=2, distance=edge.Distance.Cosine))
    shard = edge.EdgeShard.create(str(tmp_path_factory.mktemp("edge")), config)
    points = [edge.Point(n, [1.0, float(n)], json.loads(json.dumps(row))) for n, row in enumerate(ROWS)]
    shard.update(edge.UpdateOperation.upsert_points(points))
    yield shard
    shard.close()


def passing(shard: Any, condition: Any) -> set[int]:
    whole = edge_filter({"must": [condition]})
    points, _ = shard.scroll(edge.ScrollRequest(limit=1_000, filter=whole, with_payload=False, with_vector=False))
    return {int(point.id) for point in points}


def random_tree(dice: random.Random, depth: int) -> Filter:
    leaves: list[Filter] = [
        OneOf("status", ("new", "1", 1)), OneOf("n", (3, -7)), OneOf("n", ()), Bound("n", "gt", 1),
        Bound("n", "lte", 3.5), Contains("tags", "b"), Contains("tags", 1), Exists("owner"),
        OneOf("flag", (True,)), OneOf("n", (2**60 + 1,)),
        Bound("status", "gte", "n"), And(()), Or(()),
    ]  # fmt: skip
    if depth == 0:
        return dice.choice(leaves)
    parts = tuple(random_tree(dice, depth - 1) for _ in range(dice.randrange(3)))
    return dice.choice([Not(random_tree(dice, depth - 1)), And(parts), Or(parts)])


def test_the_engine_finds_every_row_that_passes(shard: Any) -> None:
    dice = random.Random(3)
    trees = [random_tree(dice, dice.randrange(4)) for _ in range(400)]
    trees += [tree for where in FILTERS if (tree := parse(where)) is not None]
    trees += [OneOf("label", (text,)) for text in HOSTILE]
    trees += [OneOf(plain_name(text), (1,)) for text in HOSTILE]
    narrowed = 0
    for tree in trees:
        condition = narrowing_of(tree, "text").condition
        if condition is None or "true" in json.dumps(condition):  # the engine's Python interface makes 1 of true
            continue
        found = passing(shard, condition)
        narrowed += len(found) < len(ROWS)
        expected = {n for n, row in enumerate(ROWS) if matches(tree, row)}
        assert expected <= found, (tree, condition)
    assert narrowed > 100


def test_a_text_is_narrowed_to_the_rows_that_have_it(shard: Any) -> None:
    for number, text in enumerate(HOSTILE):
        condition = narrowing_of(OneOf("label", (text,)), "text").condition
        assert passing(shard, condition) == {len(ROWS) - len(HOSTILE) + number}
