"""Lite is told to write out early and to merge little, and somebody with much data is told of a server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from milvus_lite.engine import compaction

from kitestring.batch import Batch
from kitestring.destinations.milvus import Milvus, lite_memory
from kitestring.types import Stream

pytestmark = pytest.mark.slow  # seconds: left to `make test`

THINGS = Stream("things", primary_key=(("id",),))


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    before = compaction.MAX_SEGMENT_ROWS
    yield
    compaction.MAX_SEGMENT_ROWS = before


def milvus(folder: Path) -> Milvus:
    return Milvus.load(
        {
            "processing": {"chunk_size": 100, "text_fields": ["text"]},
            "embedding": {"mode": "fake"},
            "indexing": {"host": str(folder / "x.db"), "collection": "c"},
        }
    )


def records(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "text": f"text {number}"} for number in range(count)]


def test_four_files_of_a_flush_are_not_merged_until_there_are_too_many() -> None:
    lite_memory.fit_segments(1_000, 5_000)
    assert 2 * compaction.MAX_SEGMENT_ROWS < 4_000
    lite_memory.fit_segments(1_000, 1_000_000)
    assert 1_000_000 / compaction.MAX_SEGMENT_ROWS < 32
    lite_memory.fit_segments(1_000, 100_000_000)
    assert compaction.MAX_SEGMENT_ROWS == 100_000


def test_data_are_written_out_while_they_come_and_stay_in_small_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lite_memory, "FLUSH_NBYTES", 400_000)  # about fifty vectors
    for _ in range(2):
        destination = milvus(tmp_path)
        destination.begin(THINGS)
        for start in range(0, 300, 100):
            batch = Batch("things", rows=records(300)[start : start + 100])
            destination.write(THINGS, destination.prepare(THINGS, batch))
        destination.close()
    files = list(tmp_path.glob("x.db/**/data/*.parquet"))
    assert len(files) >= 3
    destination = milvus(tmp_path)
    destination.begin(THINGS)
    assert destination.count(THINGS) == 600
    destination.close()


def test_check_and_estimate_say_from_what_size_on_a_server_is_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    destination = milvus(tmp_path)
    figures = destination.estimate(THINGS, Batch("things", rows=records(10)))
    assert 10 * 4 * 1536 / 1e6 < figures["stored_mb"] < 0.1
    assert "server" not in caplog.text
    destination.close()
    monkeypatch.setattr(lite_memory, "ADVISED_NBYTES", 100_000)
    destination = milvus(tmp_path)
    for _ in range(3):
        destination.estimate(THINGS, Batch("things", rows=records(10)))
    assert caplog.text.count("a server is the better choice") == 1, "once is enough"
    destination.begin(THINGS)
    destination.write(THINGS, destination.prepare(THINGS, Batch("things", rows=records(100))))
    destination.close()
    caplog.clear()
    milvus(tmp_path).check()
    assert "Milvus Lite keeps all data in the memory of this process, about 1 MB here" in caplog.text
