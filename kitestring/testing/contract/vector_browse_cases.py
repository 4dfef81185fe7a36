"""The cases of a vector store's contract about reading it without a question."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kitestring.destination import Browses, Relates
from kitestring.errors import ConfigError
from kitestring.filters import matches, parse
from kitestring.testing.contract.vector_filter_cases import FILTERED, FILTERS
from kitestring.testing.contract.vector_suite import VectorSuite
from kitestring.types import DELETED_AT, Record

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon"

HOSTILE = (
    "chunk_number >= 0) or (chunk_number >= 0",
    '_ab_stream != "") or (_ab_stream != ""',
    "_ab_stream != '') or (_ab_stream != ''",
    "chunk_number >= 0)) or ((chunk_number >= 0",
    'text == "\\") or (chunk_number >= 0) or (text == "',
    "text == '\\') or (chunk_number >= 0) or (text == '",
    'text == "a\n") or (chunk_number >= 0',
    "chunk_number >= 0 or chunk_number >= 0",
    "not (chunk_number >= 5) or true",
    "1 = 1) OR (1 = 1",
    "1 = 1; SELECT 1 --",
    "') OR ('1' = '1",
    "$.number >= 0) || (1 == 1",
    "exists($ ? (1 == 1)) || true",
)
"""Texts that would read more than their stream where they were put together with its name."""


class BrowseCases(VectorSuite):
    """Streams, pages of chunks, a record's chunks, neighbours and the map are what was written."""

    def test_what_was_written_is_listed_by_stream_and_read_by_page(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            assert isinstance(destination, Browses)
            assert destination.stored_streams() in ([], None)
            rows: list[Record] = [
                {"id": n, "status": "new" if n % 2 else "open", "text": f"text {n}"} for n in range(7)
            ]
            self.put(destination, [*rows, {"id": 7, "status": "long", "text": WORDS}])
            self.put(destination, [{"id": 1, "text": "other"}], self.things(name="others"))
            chunks = len(self.hits(destination, stream="things"))
            assert chunks > 9
            streams = destination.stored_streams()
            if streams is not None:
                assert [(s.name, s.records, s.chunks) for s in streams] == [("others", 1, 1), ("things", 8, chunks)]
            pages = [destination.stored_rows("things", limit=4, offset=offset) for offset in range(0, chunks, 4)]
            assert [page.total for page in pages] == [chunks] * len(pages)
            read = [row for page in pages for row in page.rows]
            searched = self.hits(destination, stream="things")
            by_number = {(hit["record_id"], hit["chunk_number"]): hit for hit in searched}
            assert len(read) == len(by_number) == len({str(row["id"]) for row in read})
            for row in read:
                hit = by_number[row["record_id"], row["chunk_number"]]
                assert row == {name: value for name, value in hit.items() if name != "distance"}
            assert destination.stored_rows("things", limit=4, offset=1_000).rows == []

    def test_a_page_has_the_rows_that_its_filter_means(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, [{**record, "text": "x"} for record in FILTERED])
            rows = {str(row["record_id"]): row for row in destination.stored_rows("things", limit=100).rows}
            for where in FILTERS:
                page = destination.stored_rows("things", where=where, limit=100)
                tree = parse(where)
                expected = [f"things_{record['id']}" for record in FILTERED if tree is None or matches(tree, record)]
                assert sorted(str(row["record_id"]) for row in page.rows) == expected, where
                assert page.total == len(expected), where
            assert len(rows) == len(FILTERED)

    def test_marked_records_are_left_out_unless_asked_for(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            stream = self.things("soft_delete")
            self.put(destination, [{"id": n, "text": f"text {n}"} for n in range(3)], stream)
            destination.mark(stream, {(1,): "2026-01-01T00:00:00Z"})
            rows = destination.stored_rows("things", limit=10)
            assert (sorted(row["record_id"] for row in rows.rows), rows.total) == (["things_0", "things_2"], 2)
            whole = destination.stored_rows("things", limit=10, include_deleted=True)
            assert whole.total == 3
            assert [row["record_id"] for row in whole.rows if row.get(DELETED_AT)] == ["things_1"]

    def test_a_record_has_its_chunks_in_order_and_a_chunk_its_neighbours(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            assert isinstance(destination, Relates)
            self.put(destination, [{"id": 1, "text": WORDS}, {"id": 2, "text": "alpha beta"}, {"id": 3, "text": "z"}])
            chunks = destination.record_chunks("things", "things_1")
            assert len(chunks) > 1
            assert [chunk["chunk_number"] for chunk in chunks] == list(range(len(chunks)))
            assert {chunk["record_id"] for chunk in chunks} == {"things_1"}
            first = str(chunks[0]["id"])
            near = destination.neighbours(first, limit=3)
            assert len(near) == 3
            assert first not in {str(hit["id"]) for hit in near}
            whole = destination.neighbours(first, limit=100, where={"id": [2, 3]}, stream="things")
            assert {hit["record_id"] for hit in whole} == {"things_2", "things_3"}
            key = first.rpartition(":")[0]
            for strange in ("1234567890", "9" * 5_000, f"{key}:{10**12}", f"{key}:{'9' * 5_000}", f"{key}:²"):
                with pytest.raises(ConfigError, match="no chunk"):
                    destination.neighbours(strange)

    def test_a_search_has_as_many_chunks_of_a_record_as_asked_for_and_says_what_is_near(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 1, "text": WORDS}, {"id": 2, "text": WORDS}, {"id": 3, "text": "z"}])
            whole = destination.search("alpha", limit=100)
            assert len(whole) > 5
            for most in (1, 2):
                hits = destination.search("alpha", limit=100, per_record=most)
                kept: dict[str, list[Any]] = {}
                for hit in whole:
                    kept.setdefault(hit["record_id"], []).append(hit["id"])
                best = {str(chunk) for chunks in kept.values() for chunk in chunks[:most]}
                assert [str(hit["id"]) for hit in hits] == [str(hit["id"]) for hit in whole if str(hit["id"]) in best]
            assert len(destination.search("alpha", limit=2, per_record=1)) == 2
            with pytest.raises(ConfigError, match="per_record is 0"):
                destination.search("alpha", per_record=0)
            near = destination.score()["nearest"]
            first, last = whole[0]["distance"], whole[-1]["distance"]
            assert near == "" or (first <= last if near == "smallest" else first >= last)

    def test_a_map_shows_near_chunks_near(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            assert isinstance(destination, Relates)
            texts = [*["alpha beta"] * 5, *["gamma delta"] * 5, *["epsilon zeta"] * 5]
            self.put(destination, [{"id": n, "text": text} for n, text in enumerate(texts)])
            drawn = destination.chunk_map(["things"], most=100)
            assert drawn.sizes == {"things": 15}
            assert 0.0 <= drawn.kept <= 1.0
            places: dict[str, list[tuple[float, float]]] = {}
            for point in drawn.points:
                places.setdefault(str(point.row["text"]), []).append((round(point.x, 4), round(point.y, 4)))
            assert [len(set(same)) for same in places.values()] == [1, 1, 1]
            assert len({same[0] for same in places.values()}) == 3
            assert len(destination.chunk_map(["things"], most=4).points) == 4

    def test_no_text_of_a_filter_reads_another_stream(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            assert isinstance(destination, Relates)
            self.put(destination, [{"id": 1, "text": "ours"}])
            self.put(destination, [{"id": 9, "text": "theirs"}], self.things(name="others"))
            first = str(destination.stored_rows("things").rows[0]["id"])
            for text in HOSTILE:
                with suppress(ConfigError):
                    page = destination.stored_rows("things", where=text)
                    assert (page.total or 0) <= 1, text
                    assert {row["text"] for row in page.rows} <= {"ours"}, text
                with suppress(ConfigError):
                    assert {hit["text"] for hit in self.hits(destination, text, stream="things")} <= {"ours"}, text
                with suppress(ConfigError):
                    assert destination.neighbours(first, where=text, stream="things") == [], text
                with suppress(ConfigError):
                    assert destination.chunk_map(["things"], where=text).sizes.get("things", 0) <= 1, text

    def test_another_text_than_a_filter_is_refused_or_of_the_store(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 1, "text": "x"}])
            strange: Any = "this is ( no filter"
            with pytest.raises(ConfigError):
                destination.stored_rows("things", where=strange)
