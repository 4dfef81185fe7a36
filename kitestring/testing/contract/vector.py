"""The contract of vector stores as a test class."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.engine import Selection, Status, sync
from kitestring.errors import ConfigError, TransientError
from kitestring.testing.contract.vector_browse_cases import BrowseCases
from kitestring.testing.contract.vector_filter_cases import FilterCases
from kitestring.testing.contract.vector_permission_cases import PermissionCases
from kitestring.testing.memory import MemorySource
from kitestring.types import DELETED_AT, Receipt, Record, Stream, SyncMode, Write

LONG = "one two three four five six\n\nseven eight nine ten eleven twelve\n\nalpha beta gamma delta epsilon"
PARTS = LONG.split("\n\n")


class VectorContract(BrowseCases, FilterCases, PermissionCases):
    """The contract of every vector store. A reader is `VectorDestination.search`; the embedder is the fake one."""

    # -- only changes are embedded -------------------------------------------------------------------------------------

    def test_a_sync_embeds_and_writes_only_what_changed(self, tmp_path: Path) -> None:
        records = [{"id": n, "text": LONG if n % 3 else f"text {n}", "status": "new"} for n in range(30)]
        source = MemorySource(records={"things": records}, primary_keys={"things": "id"})

        def run() -> Any:
            with self.opened(tmp_path) as destination:
                result = sync(source, destination, [Selection("things")])
            assert result.status is Status.succeeded, result.as_dict()
            return result.streams["things"]

        first = run()
        assert (first.written, first.figures["chunks_written"]) == (30, 10 + 20 * 3)
        records[1] = {"id": 1, "text": "short", "status": "new"}
        records[3] = {**records[3], "status": "solved"}
        second = run()
        assert (second.written, second.unchanged) == (2, 28)
        assert (second.figures["chunks_embedded"], second.figures["chunks_deleted"]) == (1, 2)
        third = run()
        assert (third.written, third.unchanged) == (0, 30)
        with self.opened(tmp_path) as destination:
            texts = self.texts(destination)
            assert (texts["1"], texts["2"], len(texts)) == (["short"], PARTS, 30)
            assert [hit["status"] for hit in self.hits(destination, {"id": 3})] == ["solved"]
            assert destination.count(self.things()) == 30

    def test_the_index_is_the_ledger(self, tmp_path: Path) -> None:
        """Another process needs nothing but the data stored beside the chunks."""
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 1, "text": LONG, "status": "new", "old": {"x": 1}}])
        with self.opened(tmp_path, shadow_folder=str(tmp_path / "other")) as destination:
            moved = "\n\n".join([PARTS[2], "quite new words", PARTS[0]])
            receipt = self.put(destination, [{"id": 1, "text": moved, "status": "new"}])
            assert (receipt.written, receipt.figures["chunks_embedded"]) == (1, 1), "a text that moved keeps its vector"
            hits = self.hits(destination)
            assert [hit["text"] for hit in hits] == moved.split("\n\n")
            assert all("old" not in hit for hit in hits), "metadata that went away is gone"
            nearest = destination.search(PARTS[0], limit=1)[0]
            assert (nearest["text"], nearest["chunk_number"]) == (PARTS[0], 2)

    def test_a_dry_run_and_a_check_make_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            destination.check()
            batch = Batch("things", rows=[{"id": 1, "text": LONG}])
            assert destination.estimate(self.things(), batch)["chunks_embedded"] == 3
        with self.opened(tmp_path) as destination:
            assert destination.count(self.things()) == 0
            with pytest.raises(ConfigError):
                destination.search("x")

    def test_raw_text_is_left_out_when_asked_and_comes_back_without_a_new_vector(self, tmp_path: Path) -> None:
        with self.opened(tmp_path, omit_raw_text=True) as destination:
            self.put(destination, [{"id": 1, "text": "secret words"}])
            assert "secret" not in str(self.hits(destination))
        with self.opened(tmp_path) as destination:
            assert self.put(destination, [{"id": 1, "text": "secret words"}]).figures["chunks_embedded"] == 0
            assert self.texts(destination) == {"1": ["secret words"]}

    # -- nothing is lost -----------------------------------------------------------------------------------------------

    def test_a_reader_sees_the_old_copy_until_an_overwrite_is_committed(self, tmp_path: Path) -> None:
        stream = self.things("overwrite_dedup")
        old = {"1": PARTS, "2": ["b"]}
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 1, "text": "kept"}], self.things(name="others"))
            self.put(destination, [{"id": 1, "text": LONG}, {"id": 2, "text": "b"}], stream)
        for number in range(2):
            with self.opened(tmp_path) as destination:
                destination.begin(stream)
                rows = [{"id": 2, "text": "b"}, {"id": 3, "text": "c"}]
                destination.write(stream, destination.prepare(stream, Batch("things", rows=rows)))
                assert self.texts(destination) == old
                if number:
                    destination.commit(stream)
                else:
                    destination.abort(stream)
                    assert self.texts(destination) == old
        with self.opened(tmp_path) as destination:
            assert self.texts(destination) == {"2": ["b"], "3": ["c"]}
            assert self.texts(destination, "others") == {"1": ["kept"]}

    def test_an_overwrite_that_broke_off_in_its_commit_is_finished_by_the_next_sync(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream = self.things("overwrite_dedup")
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": n, "text": f"old {n}"} for n in range(5)], stream)
        with self.opened(tmp_path) as destination:
            destination.begin(stream)
            rows = [{"id": n, "text": f"new {n}"} for n in range(3, 9)]
            destination.write(stream, destination.prepare(stream, Batch("things", rows=rows)))
            monkeypatch.setattr(destination.store, "delete", broken)
            with pytest.raises(ConfigError, match="broken"):
                destination.commit(stream)
        with self.opened(tmp_path) as destination:
            destination.begin(self.things())
            assert self.texts(destination) == {str(n): [f"new {n}"] for n in range(3, 9)}

    def test_a_crash_between_storing_and_trimming_converges(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        many = "\n\n".join(f"paragraph {n} has just so many words" for n in range(40))
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 1, "text": many}])
        with self.opened(tmp_path) as destination:
            monkeypatch.setattr(destination.store, "delete", broken)
            with pytest.raises(ConfigError, match="broken"):
                self.put(destination, [{"id": 1, "text": "new"}])
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 1, "text": "new"}])
            assert self.texts(destination) == {"1": ["new"]}

    def test_a_batch_that_is_written_again_after_a_crash_is_there_once(self, tmp_path: Path) -> None:
        for mode, count in (("append_dedup", 1), ("append", 2)):
            stream = self.things(mode, name=mode)
            for repeated in range(2):  # the second time as if the process had died between write and save
                with self.opened(tmp_path) as destination:
                    destination.begin(stream)
                    batch = destination.prepare(stream, Batch(mode, rows=[{"id": 1, "text": LONG}]))
                    receipt = destination.write(stream, batch)
                    assert receipt.unchanged == (repeated if count == 1 else 0)
            with self.opened(tmp_path) as destination:
                assert len(self.hits(destination, stream=mode)) == 3 * count

    def test_a_batch_is_written_again_by_the_same_object_after_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream = self.things()
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 1, "text": LONG}])
            destination.begin(stream)
            rows = [{"id": 1, "text": "new"}, {"id": 2, "text": "b"}]
            batch = destination.prepare(stream, Batch("things", rows=rows))
            with monkeypatch.context() as patch:
                patch.setattr(destination.store, "delete", shaken)
                with pytest.raises(TransientError):
                    destination.write(stream, batch)
            destination.write(stream, batch)
            assert self.texts(destination) == {"1": ["new"], "2": ["b"]}

    def test_two_streams_are_written_at_once(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 0, "text": "first"}], self.things(name="s0"))
        errors: list[BaseException] = []

        def write(name: str) -> None:
            try:
                with self.opened(tmp_path) as destination:
                    stream = self.things(name=name)
                    destination.begin(stream)
                    for start in range(0, 40, 10):
                        rows = [{"id": n, "text": f"{name} {n}"} for n in range(start, start + 10)]
                        destination.write(stream, destination.prepare(stream, Batch(name, rows=rows)))
                    destination.commit(stream)
            except BaseException as error:  # noqa: BLE001 - the test raises it
                errors.append(error)

        threads = [threading.Thread(target=write, args=(f"s{n}",)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        with self.opened(tmp_path) as destination:
            for name in ("s0", "s1"):
                assert self.texts(destination, name) == {str(n): [f"{name} {n}"] for n in range(40)}
                assert destination.count(self.things(name=name)) == 40

    # -- deletions -----------------------------------------------------------------------------------------------------

    def test_deleted_records_are_gone_and_counted(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": n, "text": LONG} for n in (1, "1", 2.5, True)])
            assert destination.count(self.things()) == 4, "a number, its text and true are records of their own"
            receipt = destination.delete(self.things(), [("1",), ("2",)])
            assert (receipt.deleted, receipt.unchanged, receipt.figures["chunks_deleted"]) == (1, 1, 3)
            assert destination.count(self.things()) == 3
            assert sorted(self.texts(destination)) == ["1", "2.5", "True"]

    def test_a_record_that_is_marked_is_not_found_until_it_comes_again(self, tmp_path: Path) -> None:
        stream = self.things("soft_delete")
        records = [{"id": 1, "text": LONG, "status": "new", "list": [1], "n": 1.5}, {"id": 2, "text": "two"}]
        first, second = "2026-01-02T00:00:00Z", "2026-03-04T00:00:00Z"
        with self.opened(tmp_path) as destination:
            self.put(destination, records, stream)
            before = self.hits(destination)
            assert destination.mark(stream, {(1,): first, (9,): "2026"}) == Receipt(deleted=1, unchanged=1)
            assert destination.mark(stream, {(1,): second}) == Receipt(unchanged=1)
        with self.opened(tmp_path) as destination:
            assert destination.count(stream) == 1
            assert [hit["text"] for hit in destination.search(PARTS[0], limit=1)] == ["two"]
            assert len(self.hits(destination)) == 1
            hits = self.hits(destination, include_deleted=True)
            assert [hit.pop(DELETED_AT, None) for hit in hits] == [first, first, first, None]
            assert rounded(hits) == rounded(before), "nothing else is changed by a mark"
            receipt = self.put(destination, records[:1], stream)
            assert (receipt.written, receipt.figures["chunks_embedded"]) == (1, 0)
            assert destination.count(stream) == 2
            assert rounded(self.hits(destination)) == rounded(before)

    @pytest.mark.parametrize("deletes", ["remove", "mark"])
    def test_a_stream_that_its_source_emptied_is_empty_for_readers(self, tmp_path: Path, deletes: Any) -> None:
        stream = replace(self.things(), write=Write(keep="latest", deletes=deletes))
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 1, "text": "kept"}], self.things(name="others"))
            self.put(destination, [{"id": n, "text": LONG} for n in range(3)], stream)
            assert destination.truncate(stream, "2026-01-02") in (Receipt(deleted=3), None)
            assert (self.texts(destination), self.texts(destination, "others")) == ({}, {"1": ["kept"]})
            assert destination.count(stream) == 0
            assert len(self.texts(destination, include_deleted=True)) == (3 if deletes == "mark" else 0)
            self.put(destination, [{"id": 2, "text": "again"}], stream)
            assert self.texts(destination) == {"2": ["again"]}

    # -- searching -----------------------------------------------------------------------------------------------------

    def test_a_search_gives_the_nearest_first_with_its_metadata(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": n, "text": f"text {n}", "n": n, "url": f"https://x/{n}"} for n in range(5)])
            self.put(destination, [{"id": 9, "text": "text 2", "n": 9}], self.things(name="others"))
            best, *rest = destination.search("text 2", stream="things")
            assert (best["text"], best["stream"], best["record_id"]) == ("text 2", "things", "things_2")
            assert (best["url"], best["n"], best["chunk_number"], len(rest)) == ("https://x/2", 2, 0, 4)
            assert not any(name.startswith("_ks_") or name in ("vector", "embedding", "digest") for name in best)
            ascending = rest[-1]["distance"] > best["distance"]
            distances = [hit["distance"] for hit in (best, *rest)]
            assert distances == sorted(distances, reverse=not ascending)
            middle = (best["distance"] + rest[0]["distance"]) / 2
            assert [hit["record_id"] for hit in destination.search("text 2", threshold=middle, stream="things")] == [
                "things_2"
            ]
            assert len(destination.search("text 2", limit=2)) == 2
            assert destination.search("text 2", stream="none") == []
            with pytest.raises(ConfigError, match="limit is 0"):
                destination.search("text 2", limit=0)

    # -- values --------------------------------------------------------------------------------------------------------

    def test_values_arrive_as_they_are_or_in_the_nearest_form(self, tmp_path: Path) -> None:
        deep: list[Any] = []
        for _ in range(1_500):
            deep = [deep]
        exact, big = Decimal("12345678901234567.891"), Decimal("1e400")
        kinds: dict[str, tuple[Any, tuple[Any, ...]]] = {
            "integer": (2**60 + 1, (2**60 + 1,)),
            "long": (10**30 + 1, (10**30 + 1, str(10**30 + 1))),
            "decimal": (exact, (exact, str(exact))),
            "huge": (big, (big, 10**400, str(big))),
            "float": (0.1, (0.1,)),
            "nan": (math.nan, ("NaN",)),
            "infinite": (-math.inf, ("-Infinity",)),
            "truth": (True, (True,)),
            "nul": ("a\0b", ("a\0b", "a\ufffdb")),
            "lone": ("\ud800", ("\ufffd",)),
            "bytes": (b"\xff", ("/w==",)),
            "day": (date(2026, 1, 2), ("2026-01-02",)),
            "list": ([1, "x", None], ([1, "x", None],)),
            "object": ({"a": {"b": [1]}}, ({"a": {"b": [1]}},)),
            "日本\u202e 'q\"": ("日本", ("日本",)),
        }
        records = [
            {"id": 1, "text": "nul \0 inside \ud800", **{name: value for name, (value, _) in kinds.items()}},
            {"id": 2, "text": "deep", "deep": deep},
        ]
        with self.opened(tmp_path) as destination:
            receipt = self.put(destination, records)
            assert receipt.written == 1
            assert [(reject.record["id"], "nested" in reject.reason) for reject in receipt.rejected] == [(2, True)]
            assert self.put(destination, records[:1]).unchanged == 1
            (hit,) = self.hits(destination)
            assert hit["text"].replace("\0", "\ufffd") == "nul \ufffd inside \ufffd"
            for name, (_, forms) in kinds.items():
                assert any(hit[name] == form and type(hit[name]) is type(form) for form in forms), (name, hit[name])

    def test_values_that_are_too_large_never_fail_a_sync(self, tmp_path: Path) -> None:
        records: list[Record] = [
            {"id": 1, "text": "a", "huge": "é" * 200_000, "list": list(range(50_000)), "small": "kept"},
            {"id": 2, "text": "b", "number": 2**80, "status": {"a": [1]}, "": "no name", "x" * 300: 1},
            {"id": 3, "text": "😀" * 6_000},
            {"id": 4, "text": "w" * 30_000},
        ]
        processing = {"chunk_size": 8191, "text_fields": ["text"]}
        with self.opened(tmp_path, processing=processing) as destination:
            receipt = self.put(destination, records)
            assert (receipt.written, list(receipt.rejected)) == (4, [])
            assert self.put(destination, records).unchanged == 4
            first = self.hits(destination, {"id": 1})[0]
            assert first["small"] == "kept"
            assert first["huge"].startswith("éé")
            for number in (3, 4):
                texts = [hit["text"] for hit in self.hits(destination, {"id": number})]
                assert texts
                assert all(len(set(text)) == 1 for text in texts), "a text is cut between characters"

    # -- what does not fit ---------------------------------------------------------------------------------------------

    def test_another_dimension_stops_before_the_first_row(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 1, "text": "a"}])
        other = {"mode": "from_field", "field_name": "v", "dimensions": 3}
        with self.opened(tmp_path, embedding=other) as destination:
            for step in (destination.check, lambda: destination.begin(self.things())):
                with pytest.raises(ConfigError, match="has 1536 dimensions, the embedder makes 3"):
                    step()

    def test_an_incremental_stream_with_another_model_is_refused(self, tmp_path: Path) -> None:
        incremental = replace(self.things(), sync_mode=SyncMode.incremental)
        embedding = {"mode": "from_field", "field_name": "v", "dimensions": 3}
        with self.opened(tmp_path, embedding=embedding) as destination:
            self.put(destination, [{"id": 1, "text": "a", "v": [1, 2, 3]}])
        with self.opened(tmp_path, embedding=embedding) as destination:
            destination.begin(incremental)
        with self.opened(tmp_path, embedding={**embedding, "field_name": "w"}) as destination:
            with pytest.raises(ConfigError, match="another model"):
                destination.begin(incremental)
            self.put(destination, [{"id": 1, "text": "a", "w": [3, 2, 1]}])
            destination.begin(incremental)

    @pytest.mark.parametrize("mode", ["append_dedup", "overwrite_dedup"])
    def test_streams_of_two_namespaces_that_would_be_one_are_refused(self, tmp_path: Path, mode: str) -> None:
        first = Stream("b_c", namespace="a", primary_key=(("id",),), write=WRITES["overwrite_dedup"])
        second = Stream("c", namespace="a_b", primary_key=(("id",),), write=WRITES[mode])
        with self.opened(tmp_path) as destination:
            self.put(destination, [{"id": 1, "text": "first"}], first)
        with self.opened(tmp_path) as destination:
            with pytest.raises(ConfigError, match=r"a_b\.c would be stored as a_b_c.*a\.b_c"):
                destination.begin(second)
            assert self.put(destination, [{"id": 1, "text": "first"}], first).unchanged == 1
            assert self.put(destination, [{"id": 9, "text": "other"}], self.things(name="a_b")).written == 1


def rounded(hits: list[Record]) -> list[Record]:
    """Hits with distances as exact as vectors that a store makes equally long."""
    return [{**hit, "distance": round(hit["distance"], 6)} for hit in hits]


def broken(chunks: Any) -> None:
    raise ConfigError("the store is broken")


def shaken(chunks: Any) -> None:
    raise TransientError("the store does not answer")
