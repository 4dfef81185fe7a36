"""The cases of a vector store's contract about searches with filters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kitestring.errors import ConfigError
from kitestring.filters import matches, parse
from kitestring.testing.contract.vector_suite import VectorSuite
from kitestring.types import Record

HOSTILE = [
    'a "quoted" key', "back\\slash", "it's", "line\nbreak", "tab\t", '"] or id != "', "'; drop table x; --", "日本語",
    "👩‍👩‍👧‍👦", "e\u0301 \u202eltr\u202c", "%", "%s", "_", "{}", "a'b\"c\\d", "$meta", "\\u0041", "\\u0000",
]  # fmt: skip

FILTERED: list[Record] = [
    {"id": 0, "status": "new", "n": 3, "flag": True, "tags": ["a", "b"], "day": "2026-01-02"},
    {"id": 1, "status": "open", "n": 3.5, "flag": False, "tags": [], "day": "2026-02-01"},
    {"id": 2, "status": "closed", "n": -7, "tags": ["b", 1], "owner": 'it\'s "me" \\'},
    {"id": 3, "n": 0, "a b": 1, "_ab_stream": "mine"},
    {"id": 4, "status": "1", "n": 2**40, "not": "x", "and": 1, "text_": "x"},
    {"id": 5},
]
FILTERS: list[Mapping[str, Any]] = [
    {"status": "new"},
    {"status": ["new", "open"]},
    {"status": ["new", None]},
    {"status": None},
    {"status": {"exists": True}},
    {"missing": None},
    {"status": {"ne": "new"}},
    {"status": {"not_in": ["new", "open"]}},
    {"status": {"not": "new"}},
    {"not": {"status": ["new", "open"]}},
    {"status": 1},
    {"n": 3},
    {"n": "3"},
    {"n": [3, -7, "new"]},
    {"n": {"gte": 3, "lt": 4}},
    {"n": {"gt": -7.5, "lte": Decimal("0")}},
    {"n": {"gt": 3}, "status": "open"},
    {"n": {"not": {"gt": 3}}},
    {"n": {"gt": "2"}},
    {"n": 2**40},
    {"status": {"gte": "n", "lt": "p"}},
    {"day": {"gte": date(2026, 1, 2), "lt": "2026-02"}},
    {"flag": True},
    {"flag": {"ne": True}},
    {"not": {"flag": True}},
    {"tags": {"contains": "b"}},
    {"tags": {"contains": 1}},
    {"not": {"tags": {"contains": "b"}}},
    {"tags": {"contains_any": ["a", 1]}},
    {"tags": {"contains_any": []}},
    {"owner": 'it\'s "me" \\'},
    {"a b": 1},
    {"id": [0, 5]},
    {"not": {"eq": "x"}},
    {"and": 1},
    {"or": [{"status": "new"}, {"n": {"lt": 0}}]},
    {"and": [{"n": {"gte": 0}}, {"or": [{"status": "new"}, {"not": {"status": {"exists": True}}}]}]},
    {"not": {"or": [{"status": "new"}, {"and": [{"n": 3.5}, {"flag": False}]}]}},
    {"$and": [{"n": {"$gte": 0}}, {"status": {"$nin": ["new"]}}]},
    {"not": {"not": {"id": 2}}},
    {"or": [{"and": [{"status": "x"}]}, {"missing": 1}]},
]


class FilterCases(VectorSuite):
    """Filters find what they mean, whatever is compared."""

    def test_every_filter_finds_what_it_means(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            assert self.put(destination, [{**record, "text": "x"} for record in FILTERED]).written == len(FILTERED)
            for where in FILTERS:
                tree = parse(where)
                assert tree is not None
                expected = [f"things_{record['id']}" for record in FILTERED if matches(tree, record)]
                assert [hit["record_id"] for hit in self.hits(destination, where)] == expected, where
            for where, count in (({"_ab_stream": "things"}, 6), ({"_ab_stream": "mine"}, 0), ({"chunk_number": 0}, 6)):
                assert len(self.hits(destination, where)) == count, where
            with pytest.raises(ConfigError, match="did you mean gte"):
                destination.search("x", where={"n": {"gtee": 3}})

    def test_hostile_keys_and_values_are_found_again(self, tmp_path: Path) -> None:
        with self.opened(tmp_path, processing={"chunk_size": 100, "text_fields": ["text"]}) as destination:
            records = [{"id": key, "text": f"x {key}", "label": key, f"f{key}": 1} for key in HOSTILE]
            assert self.put(destination, records).written == len(HOSTILE)
            assert self.put(destination, records).unchanged == len(HOSTILE)
            for key in HOSTILE:
                for where in ({"label": key}, {f"f{key}": 1}, {"label": {"gte": key, "lte": key}}, {"id": [key]}):
                    assert [hit["label"] for hit in self.hits(destination, where)] == [key], where
            destination.delete(self.things(), [(key,) for key in HOSTILE[:5]])
            assert {hit["label"] for hit in self.hits(destination)} == set(HOSTILE[5:])

    def test_fields_that_are_called_like_ours_are_kept_and_searched(self, tmp_path: Path) -> None:
        names = ["distance", "text", "stream", "record_id", "embedding", "vector", "metadata", "digest", "_id", "key"]
        record = {"id": 5, **{name: f"my {name}" for name in names}}
        with self.opened(tmp_path) as destination:
            self.put(destination, [record, {"id": 6, "text": "other"}])
            assert self.put(destination, [record]).unchanged == 1
            for name in ["id", *names]:
                hits = self.hits(destination, {name: record[name]})
                assert [hit["record_id"] for hit in hits] == ["things_5"], name
                assert record[name] in hits[0].values(), name

    def test_null_is_no_value_for_a_filter(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 0, "text": "x", "s": "a"}, {"id": 1, "text": "x", "s": None}])
            filters: list[tuple[Mapping[str, Any], str]] = [
                ({"s": None}, "1"),
                ({"s": {"exists": True}}, "0"),
                ({"s": {"ne": "b"}}, "0"),
                ({"s": {"not": "a"}}, "1"),
                ({"s": ["a", None]}, "01"),
            ]
            for where, expected in filters:
                assert "".join(hit["record_id"][-1] for hit in self.hits(destination, where)) == expected, where
