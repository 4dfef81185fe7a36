"""10,000 one-chunk records with 1536-dimensional vectors into Milvus Lite, beside a bare loop of `MilvusClient.upsert`.

The bare loop is the floor: it sends vectors that are ready. The first sync reads, chunks, compares, embeds (with the
fake embedder, so that no model's speed is measured) and writes the same rows; the second finds all of them unchanged.
Both are timed from opening the directory to having closed it, with
the same index (FLAT: nothing is built).
Run: `python benchmarks/vectors.py [records] [rounds]`. Prints seconds and ratios to the bare loop of the same round; in
every other round the bare loop goes first. CPU seconds say more than the clock where other programs share the machine.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

DIMENSION, BATCH = 1536, 1_000
TEXT = "the printer on the second floor does not answer since the update and shows a red light when it is asked"
WORDS = TEXT.split()
T = TypeVar("T")


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


def bare(folder: Path, records: list[dict[str, Any]], vectors: Any) -> None:
    """Create, then upsert ready rows: the same columns as ours, no reading, chunking, comparing or embedding."""
    from pymilvus import DataType, MilvusClient

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
                    "id": f"tickets:{record['id']}",
                    "vector": vector,
                    "text": record["description"],
                    "subject": record["subject"],
                    "status": record["status"],
                    "organization_id": record["organization_id"],
                    "updated_at": record["updated_at"],
                }
                for record, vector in zip(records[start : start + BATCH], vectors[start : start + BATCH], strict=True)
            ],
        )
    client.close()
    release(folder / "bare.db")


def ours(folder: Path, records: list[dict[str, Any]]) -> Any:
    from kitestring.engine import sync
    from kitestring.registry import destination
    from kitestring.testing.memory import MemorySource

    source = MemorySource(records={"tickets": records}, primary_keys={"tickets": "id"})
    config = {
        # What the bare loop stores beside a vector; without chosen fields it would be the description too.
        "processing": {
            "chunk_size": 1000,
            "text_fields": ["description"],
            "metadata_fields": ["id", "subject", "status", "organization_id", "updated_at"],
        },
        "embedding": {"mode": "fake"},
        "indexing": {"host": str(folder / "ours.db"), "collection": "tickets"},
    }
    result = sync(source, destination("milvus", config), ["tickets"])
    assert result.ok, result.as_dict()
    return result.streams["tickets"]


def release(path: Path) -> None:
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(str(path))


def timed(call: Callable[[], T]) -> tuple[float, float, T]:
    """Wall seconds, CPU seconds (of the whole process, the Lite server in it) and the result."""
    began, computed = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - began, time.process_time() - computed, result


def main() -> None:
    import numpy as np

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    records = [record(number) for number in range(count)]
    vectors = np.random.default_rng(0).normal(size=(count, DIMENSION)).astype(np.float32).tolist()
    ratios: dict[str, list[float]] = {"first": [], "first, CPU": [], "second": [], "second, CPU": []}
    for number in range(rounds + 1):
        folder = Path(tempfile.mkdtemp(prefix="kitestring-vectors-"))
        try:
            floor: tuple[float, float, Any]
            if number % 2:
                floor = timed(lambda folder=folder: bare(folder, records, vectors))  # type: ignore[misc]
            first = timed(lambda folder=folder: ours(folder, records))  # type: ignore[misc]
            if not number % 2:
                floor = timed(lambda folder=folder: bare(folder, records, vectors))  # type: ignore[misc]
            assert first[2].written == count, first[2]
            second = timed(lambda folder=folder: ours(folder, records))  # type: ignore[misc]
            assert second[2].unchanged == count, second[2]
        finally:
            shutil.rmtree(folder)
        print(
            f"bare {floor[0]:.2f} s ({floor[1]:.2f} CPU)   "
            f"first sync {first[0]:.2f} s ({first[1]:.2f} CPU): {first[0] / floor[0]:.2f}x   "
            f"unchanged second sync {second[0]:.2f} s ({second[1]:.2f} CPU): {second[0] / floor[0]:.2f}x"
            + ("" if number else "   (not counted: it imports everything)")
        )
        if number:
            for name, spent in (("first", first), ("second", second)):
                ratios[name].append(spent[0] / floor[0])
                ratios[f"{name}, CPU"].append(spent[1] / floor[1])
    medians = {name: statistics.median(values) for name, values in ratios.items()}
    print("medians: " + "   ".join(f"{name} {median:.2f}x" for name, median in medians.items()))
    print("targets: first at most 1.3x, second below 1x")


if __name__ == "__main__":
    main()
