"""The cases of a vector store's contract about readers with a permission: nobody reads past it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kitestring.destination import Browses, Relates, Searches
from kitestring.errors import ConfigError, KitestringError
from kitestring.filters import matches
from kitestring.retrieval.permission import permission_of
from kitestring.retrieval.restricted import restricted
from kitestring.testing.contract.vector_browse_cases import HOSTILE, WORDS
from kitestring.testing.contract.vector_suite import VectorSuite
from kitestring.types import Record

ANN: Mapping[str, Any] = {"allowed": {"contains": "ann"}}

PERMITTED: list[Record] = [
    {"id": 0, "allowed": ["ann", "bob"], "org": 7, "text": WORDS},
    {"id": 1, "allowed": ["ann"], "org": 8, "text": "alpha beta"},
    {"id": 2, "allowed": ["bob"], "org": 7, "text": "alpha beta", "secret": "x"},
    {"id": 3, "allowed": [], "org": "7", "text": "alpha beta"},
    {"id": 4, "allowed": None, "org": None, "text": "alpha beta"},
    {"id": 5, "text": "alpha beta"},
    {"id": 6, "allowed": "ann", "org": True, "text": "alpha beta"},
    {"id": 7, "allowed": ["Ann", " ann", "ann ", "anna", '["ann"]', "a_n", "a%"], "org": 7.5, "text": "alpha beta"},
    {"id": 8, "allowed": [["ann"], {"ann": "ann"}], "org": [7], "text": "alpha beta"},
    {"id": 9, "allowed": ["e\u0301va"], "org": 'x") or (1 == 1', "text": "alpha beta"},
    {"id": 10, "allowed": ["\u00e9va"], "org": 2**40, "text": "alpha beta"},
]
"""The field `allowed` as a list, as one text, null and missing; texts that are nearly `ann`."""

PERMISSIONS: list[Mapping[str, Any]] = [
    ANN,
    {"org": 7},
    {"org": "7"},
    {"allowed": "ann"},
    {"allowed": {"contains": "ANN"}},
    {"allowed": {"contains": "e\u0301va"}},
    {"allowed": {"contains_any": ["bob", "\u00e9va"]}},
    {"allowed": {"contains_any": []}},
    {"allowed": {"contains": 'ann") or (1 == 1'}},
    {"allowed": {"contains": "ann' or 'a' = 'a"}},
    {"org": 'x") or (1 == 1'},
    {"org": {"gte": 7, "lt": 8}},
    {"or": [{"allowed": {"contains": "ann"}}, {"org": 7}]},
    {"org": 7, "allowed": {"contains": "bob"}},
    {"missing": {"contains": "ann"}},
    {"missing": ["ann", 7]},
    {"allowed.0": "ann"},
    {"secret": {"exists": True}},
]

FORGED: list[Mapping[str, Any]] = [
    {"or": [{"chunk_number": {"gte": 0}}, {"allowed": {"exists": True}}]},
    {"not": {"allowed": {"contains": "ann"}}},
    {"allowed": {"contains": "bob"}},
    {"allowed": None},
    {"_ab_stream": ["things", "others"]},
    {"secret": {"exists": True}},
    {"not": {"_ab_record_id": "x"}},
    {'id") or (1 == 1': 1},
    {"id": ['0"] or id in ["1', 2]},
]
"""Filters of a reader that would reach the records of others."""


class PermissionCases(VectorSuite):
    """What a permission leaves out is not there, on every way of reading."""

    def test_every_way_of_reading_has_only_what_a_permission_lets_pass(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, PERMITTED)
            for permission in PERMISSIONS:
                tree = permission_of(permission)
                visible = sorted(f"things_{record['id']}" for record in PERMITTED if matches(tree, record))
                reader = restricted(destination, permission)
                assert isinstance(reader, Searches)
                assert isinstance(reader, Browses)
                assert isinstance(reader, Relates)
                hits = reader.search("alpha", limit=1_000)
                assert sorted({str(hit["record_id"]) for hit in hits}) == visible, permission
                page = reader.stored_rows("things", limit=100)
                assert sorted({str(row["record_id"]) for row in page.rows}) == visible, permission
                assert page.total == len(page.rows) == len(hits), permission
                listed = reader.stored_streams()
                if listed is not None:
                    expected = [("things", len(visible), page.total)] if visible else []
                    assert [(s.name, s.records, s.chunks) for s in listed] == expected, permission
                drawn = reader.chunk_map(["things"], most=100)
                assert sorted({str(point.row["record_id"]) for point in drawn.points}) == visible, permission
                assert sum(drawn.sizes.values()) == page.total, permission
                read = [n for n in range(len(PERMITTED)) if reader.record_chunks("things", f"things_{n}")]
                assert sorted(f"things_{n}" for n in read) == visible, permission

    def test_no_filter_of_a_reader_takes_its_permission_away(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, PERMITTED)
            self.put(destination, [{"id": 1, "allowed": ["bob"], "text": "alpha"}], self.things(name="others"))
            reader: Any = restricted(destination, ANN)
            mine = {"things_0", "things_1"}
            first = str(reader.record_chunks("things", "things_1")[0]["id"])
            for where in FORGED:
                for stream in ("things", "others", None):
                    hits = reader.search("alpha", where=where, stream=stream, limit=100)
                    assert {hit["record_id"] for hit in hits} <= mine, where
                    near = reader.neighbours(first, where=where, stream=stream, limit=100)
                    assert {hit["record_id"] for hit in near} <= mine, where
                assert {row["record_id"] for row in reader.stored_rows("things", where=where).rows} <= mine, where
                assert reader.stored_rows("others", where=where).total == 0, where
                assert reader.chunk_map(["things", "others"], where=where).sizes.get("others", 0) == 0, where
            for text in (*HOSTILE, "chunk_number >= 0", "$.org == 7 || $.org != 7"):
                with pytest.raises(ConfigError, match="permission"):
                    reader.search("alpha", where=text)
                with pytest.raises(ConfigError):
                    reader.stored_rows("things", where=text)
                with pytest.raises(ConfigError, match="permission"):
                    reader.neighbours(first, where=text)
                with pytest.raises(ConfigError, match="permission"):
                    reader.chunk_map(["things"], where=text)

    def test_a_chunk_of_a_forbidden_record_has_no_neighbours_and_no_vector(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            assert isinstance(destination, Relates)
            self.put(destination, PERMITTED)
            reader: Any = restricted(destination, ANN)
            theirs = str(destination.record_chunks("things", "things_2")[0]["id"])
            own = str(destination.record_chunks("things", "things_1")[0]["id"])
            assert {hit["record_id"] for hit in reader.neighbours(own, limit=100)} == {"things_0"}
            with pytest.raises(ConfigError, match="no chunk"):
                reader.neighbours(theirs)
            assert list(reader.store.located([own, theirs, "1234567890", f"{theirs}9", ""])) == [own]
            stored = destination.store.located([theirs])
            assert reader.store.vectors(list(stored.values())) == {}
            assert reader.store.passing([own, theirs], permission_of({"id": [1, 2]})) == {own}

    def test_marked_records_stay_behind_the_permission(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            stream = self.things("soft_delete")
            self.put(destination, PERMITTED[:3], stream)
            destination.mark(stream, {(1,): "2026-01-01T00:00:00Z", (2,): "2026-01-01T00:00:00Z"})
            reader: Any = restricted(destination, ANN)
            every = reader.search("alpha", limit=100, include_deleted=True)
            assert {hit["record_id"] for hit in every} == {"things_0", "things_1"}
            assert {hit["record_id"] for hit in reader.search("alpha", limit=100)} == {"things_0"}
            assert reader.stored_rows("things", include_deleted=True, limit=1).total == len(every)

    def test_a_reader_writes_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, PERMITTED[:3])
            store = restricted(destination, ANN).store  # type: ignore[union-attr]
            chunks = list(destination.store.located([str(destination.stored_rows("things").rows[0]["id"])]).values())
            for write in (
                lambda: store.delete(chunks),
                lambda: store.mark(chunks, "2026-01-01T00:00:00Z"),
                lambda: store.upsert([]),
                lambda: store.ensure(8, True),
                lambda: list(store.scan("things")),
                lambda: store.find([]),
            ):
                with pytest.raises(KitestringError, match="permission"):
                    write()
            with suppress(AttributeError):
                restricted(destination, ANN).begin(self.things())  # type: ignore[union-attr]
                raise AssertionError("a reader has begun a stream")
            assert len(self.hits(destination)) >= 3
