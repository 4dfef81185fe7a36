"""10,000 one-chunk records with 1536-dimensional vectors into Milvus Lite, beside a bare loop of `MilvusClient.upsert`.

The bare loop is the floor: it sends vectors that are ready. The first sync reads, chunks, compares, embeds (with the
fake embedder, so that no model's speed is measured) and writes the same rows; the second finds all of them unchanged.
Both are timed from opening the directory to having closed it, with
the same index (FLAT: nothing is built).
Run: `python benchmarks/vectors.py [records] [rounds]`. Prints seconds and ratios to the bare loop of the same round.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DIMENSION, BATCH = 1536, 1_000
TEXT = "the printer on the second floor does not answer since the update and shows a red light when it is asked"
WORDS = TEXT.split()


def record(number: int) -> dict[str, Any]:
    """A ticket of about 1 KB."""
    body = " ".join(WORDS[(number * 7 + i * i) % len(WORDS)] for i in range(150))
    return {
        "id": number,
        "subject": f"Ticket {number}",
        "description": f"{number} {body}",
        "status": ("new", "open", "solved")[number % 3],
        "organization_id": number % 50,
        "updated_at": f"2026-01-{number % 28 + 1:02d}T10:00:00Z",
    }


def bare(folder: Path, records: list[dict[str, Any]], vectors: Any) -> float:
    """Create, then upsert ready rows: the same columns as ours, no reading, chunking, comparing or embedding."""
    from pymilvus import DataType, MilvusClient

    began = time.perf_counter()
    client = MilvusClient(str(folder / "bare.db"))
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    schema.add_field("text", DataType.VARCHAR, max_length=65_535)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("bare", schema=schema, index_params=index)
    for start in range(0, len(records), BATCH):
        client.upsert(
            "bare",
            [
                {
                    "id": f"tickets:{one['id']}",
                    "vector": vector,
                    "text": one["description"],
                    "subject": one["subject"],
                    "status": one["status"],
                    "organization_id": one["organization_id"],
                    "updated_at": one["updated_at"],
                }
                for one, vector in zip(records[start : start + BATCH], vectors[start : start + BATCH], strict=True)
            ],
        )
    client.close()
    release(folder / "bare.db")
    return time.perf_counter() - began


def ours(folder: Path, records: list[dict[str, Any]]) -> tuple[float, Any]:
    from kitestring.engine import sync
    from kitestring.registry import destination
    from kitestring.testing.memory import MemorySource

    source = MemorySource(records={"tickets": records}, primary_keys={"tickets": "id"})
    config = {
        "processing": {"chunk_size": 1000, "text_fields": ["description"]},
        "embedding": {"mode": "fake"},
        "indexing": {"host": str(folder / "ours.db"), "collection": "tickets"},
    }
    began = time.perf_counter()
    result = sync(source, destination("milvus", config), ["tickets"])
    seconds = time.perf_counter() - began
    assert result.ok, result.as_dict()
    return seconds, result.streams["tickets"]


def release(path: Path) -> None:
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(str(path))


def main() -> None:
    import numpy as np

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    records = [record(number) for number in range(count)]
    vectors = np.random.default_rng(0).normal(size=(count, DIMENSION)).astype(np.float32).tolist()
    firsts, seconds = [], []
    for _ in range(rounds):
        folder = Path(tempfile.mkdtemp(prefix="kitestring-vectors-"))
        try:
            floor = bare(folder, records, vectors)
            first, figures = ours(folder, records)
            assert figures.written == count, figures
            second, figures = ours(folder, records)
            assert figures.unchanged == count, figures
            firsts.append(first / floor)
            seconds.append(second / floor)
            print(
                f"bare {floor:.2f} s   first sync {first:.2f} s ({first / floor:.2f}x)   "
                f"unchanged second sync {second:.2f} s ({second / floor:.2f}x)"
            )
        finally:
            shutil.rmtree(folder)
    first, second = statistics.median(firsts), statistics.median(seconds)
    print(f"median: first {first:.2f}x (target 1.3), second {second:.2f}x (target: below 1)")


if __name__ == "__main__":
    main()
