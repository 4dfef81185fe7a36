"""The cases of a destination's contract about reading back what it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kitestring.destination import Browses, Relates
from kitestring.errors import ConfigError
from kitestring.filters import matches, parse
from kitestring.testing.contract.suite import DestinationSuite
from kitestring.testing.contract.vector_filter_cases import FILTERS
from kitestring.types import DELETED_AT

VALUES: list[Mapping[str, Any]] = [
    {"text": "text 1"},
    {"text": ["text 1", 'it\'s "quoted" \\ --', None]},
    {"text": {"gte": "text 1", "lt": "text 3"}},
    {"number": {"gt": 0.75}},
    {"number": [0.5, 1.5]},
    {"id": {"gte": 2}, "flag": True},
    {"flag": {"not": True}},
    {"not": {"or": [{"id": 1}, {"flag": False}]}},
    {"nested": {"exists": True}},
    {"at": {"gte": "2026-01-02", "lt": "2026-01-03T12"}},
    {"id": "1"},
    {"text": 1},
]


class BrowseCases(DestinationSuite):
    """For each destination that is `Browses`: the streams and pages are those that were written."""

    @contextmanager
    def browsed(self, folder: Path) -> Iterator[Browses]:
        destination = self.make(folder)
        try:
            if not isinstance(destination, Browses):
                pytest.skip("this destination cannot be read back, and does not say it can")
            if isinstance(destination, Relates):
                pytest.skip("it gives back chunks, not records: VectorContract has these cases")
            yield destination
        finally:
            destination.close()

    def test_its_streams_and_their_rows_are_read_back_by_page(self, tmp_path: Path) -> None:
        with self.browsed(tmp_path) as destination:
            assert destination.stored_streams() in ([], None)
        mode = self.any_mode(tmp_path)
        assert self.run(tmp_path, self.records(7), mode).ok
        with self.browsed(tmp_path) as destination:
            streams = destination.stored_streams()
            if streams is not None:
                assert [(stream.name, stream.namespace, stream.records) for stream in streams] == [
                    (self.stream_name, None, 7)
                ]
            pages = [destination.stored_rows(self.stream_name, limit=3, offset=offset) for offset in (0, 3, 6)]
            assert {page.total for page in pages} <= {7, None}
            rows = [row for page in pages for row in page.rows]
            assert sorted(int(row["id"]) for row in rows) == list(range(7))
            assert destination.stored_rows(self.stream_name, limit=3, offset=7).rows == []
            with pytest.raises(ConfigError):
                destination.stored_rows("no such stream")

    def test_a_filter_of_rows_means_what_it_means_elsewhere(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        records = self.records(5)
        records[3]["text"] = 'it\'s "quoted" \\ --'
        records[4] = {"id": 4}
        assert self.run(tmp_path, records, mode).ok
        with self.browsed(tmp_path) as destination:
            rows = destination.stored_rows(self.stream_name, limit=10).rows
            assert len(rows) == 5
            for where in [*VALUES, *FILTERS]:
                if "contains" in str(where):
                    continue
                tree = parse(where)
                page = destination.stored_rows(self.stream_name, where=where, limit=10)
                expected = sorted(row["id"] for row in rows if tree is None or matches(tree, row))
                assert sorted(row["id"] for row in page.rows) == expected, where
                assert page.total == len(expected), where

    def test_rows_that_are_marked_as_deleted_are_left_out_unless_asked_for(self, tmp_path: Path) -> None:
        self.needs("soft_delete", tmp_path)
        records = [*self.records(3), {"id": 1, DELETED_AT: "2026-01-01T00:00:00Z"}]
        assert self.run(tmp_path, records, "soft_delete").ok
        with self.browsed(tmp_path) as destination:
            assert destination.stored_rows(self.stream_name, limit=10).total in (2, None)
            assert len(destination.stored_rows(self.stream_name, limit=10).rows) == 2
            assert len(destination.stored_rows(self.stream_name, limit=10, include_deleted=True).rows) == 3
