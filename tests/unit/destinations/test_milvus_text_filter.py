"""Filters in Milvus's own language stay where they are put, as Lite's own parser reads them."""

from __future__ import annotations

import itertools
import random
import re
from contextlib import suppress

import pytest

from kitestring.destinations.milvus.filters import TEXT_FILTER
from kitestring.destinations.milvus.refused_filter import without_ours
from kitestring.errors import ConfigError
from kitestring.vector.text_filter import MOST_LEVELS

parser = pytest.importorskip("milvus_lite.search.filter.parser")
STREAM = '_ab_stream == "things"'
PARTS = [*'()[]{}"', "'", "\\", "\\\\", "\n", " or ", " and ", "not ", "a", "a == 1", "a in [1]", '"x"']


@pytest.mark.parametrize(
    "text",
    [
        "",
        'status == "new" and (price > 3 or tags in ["a", "b"])',
        "status == 'it\\'s' or status == \"a ) b\"",
        'like == "10\\\\%" and $meta["odd (name"] == 1',
        'json_contains(tags, "ü漢😀")',
        f"{'(' * MOST_LEVELS}a == 1{')' * MOST_LEVELS}",
    ],
)
def test_what_is_one_expression_is_passed_on_unchanged(text: str) -> None:
    assert TEXT_FILTER.confined(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a == 1) or (a == 2", r"has \) without its bracket, at character 7"),
        ("(a == 1", r"no end of \("),
        ("a in (1]", "has ] without its bracket"),
        ('a == "x', "a string that does not end"),
        ('a == "x\n") or (a == 1', "a string that does not end"),
        ('a == "\\q) or (a == "', "an escape that Milvus does not have"),
        ('a == "\\', "a string that does not end"),
        ("a \\ b", r"the sign \\"),
        (f"{'(' * (MOST_LEVELS + 1)}a", "more than 64 brackets"),
    ],
)
def test_what_would_end_early_or_never_is_refused_where_it_does(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TEXT_FILTER.confined(text)


def test_no_text_that_is_passed_on_undoes_the_condition_of_its_stream() -> None:
    """All short texts of tricky parts, and many long ones: where Lite can parse the whole, it is stream AND text."""
    rng = random.Random(7)
    short = [parts for count in (1, 2, 3) for parts in itertools.product(PARTS, repeat=count)]
    long = [rng.choices(PARTS, k=rng.randint(4, 14)) for _ in range(20_000)]
    parsed = 0
    for parts in [*short, *long]:
        text = "".join(parts)
        try:
            whole = f"({STREAM}) and ({TEXT_FILTER.confined(text)})"
        except ConfigError:
            continue
        tree = None
        with suppress(Exception):  # no expression of Lite's
            tree = parser.parse_expr(whole)
        if tree is None:
            continue
        parsed += 1
        alone = parser.parse_expr(text)
        assert tree.__class__.__name__ == "And", text
        first, second = tree.operands
        assert without_places(first) == without_places(parser.parse_expr(STREAM)), text
        assert without_places(second) == without_places(alone), text
    assert parsed > 50


def without_places(tree: object) -> str:
    return re.sub(r"pos=\d+", "", repr(tree))


@pytest.mark.parametrize(
    ("message", "quoted"),
    [
        (
            f"unexpected character '=' at column 35 ({STREAM}) and (n === 3) ^ did you mean '=='?",
            "unexpected character '=' at column 5 n === 3 did you mean '=='?",
        ),
        (
            f'cannot parse expression: (n === 3) and ({STREAM}) and not (_ks_key like "x%"), error: line 1:5 mismatch',
            "cannot parse expression: n === 3, error: line 1:4 mismatch",
        ),
        ("cannot parse expression: n === 3, error: line 1:5 mismatch", None),
        (f"does not understand the filter: ({STREAM}) and (a very long o...", "does not understand the filter"),
    ],
)
def test_an_error_quotes_what_was_written_and_not_what_it_was_joined_with(message: str, quoted: str | None) -> None:
    assert without_ours(message, "n ===  3") == (quoted or message)
