"""This checkout beside an earlier one: CPU seconds and peak memory of whole syncs, in pairs that take turns.

    git worktree add ../before COMMIT && make -C ../before .venv/.all
    python benchmarks/before.py --other ../before [--pairs 5] [--only duckdb]

Both run the same program with their own environment, on the same data. The ratio is the median of the pairs: above 1
this checkout takes more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from http_pages import manifest
from memory import Usage, measure

HERE = Path(__file__).resolve().parent
PROGRAM = """
import json, sys
import kitestring as ks
order = json.loads(sys.argv[1])
for _ in range(order["times"]):
    selection = ks.Selection(order["stream"], sync_mode="full_refresh", write_mode=order["mode"], primary_key=["id"])
    result = ks.sync(ks.source(*order["source"]), ks.destination(*order["destination"]), [selection], state=False)
    assert result.status in ("succeeded", "suspicious"), result.as_dict()
"""


def orders(folder: Path, pages: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The syncs, by name."""
    places = {
        "duckdb": ["duckdb", {"path": str(folder / "all.duckdb")}],
        **{kind: ["files", {"path": str(folder / kind), "format": kind}] for kind in ("parquet", "jsonl", "csv")},
    }
    for place, destination in places.items():
        for mode in ("append", "append_dedup", "overwrite"):
            sample = {"source": ["sample", {"count": 150_000}], "stream": "purchases"}
            yield f"sample, {mode}, {place}", {**sample, "destination": destination, "mode": mode, "times": 1}
        paged = {"source": [pages, {}], "stream": "records", "destination": destination}
        yield f"100,000 records in pages, append, {place}", {**paged, "mode": "append", "times": 1}
    processing = {"chunk_size": 512, "text_fields": ["name", "description"], "metadata_fields": ["id", "price"]}
    indexing = {"host": str(folder / "all.db"), "collection": "products", "auth": {"mode": "no_auth"}}
    vectors = ["milvus", {"processing": processing, "embedding": {"mode": "fake"}, "indexing": indexing}]
    products = {"source": ["sample", {"count": 4_000}], "stream": "products", "destination": vectors}
    yield "4,000 records, milvus lite", {**products, "mode": "append_dedup", "times": 1}
    yield "4,000 records and again unchanged, milvus lite", {**products, "mode": "append_dedup", "times": 2}


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The page server of `http_pages.py`; the path of a manifest that reads it."""
    process = subprocess.Popen([sys.executable, str(HERE / "page_server.py")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        path = folder / "pages.yaml"
        path.write_text(yaml.safe_dump(manifest(int(process.stdout.readline()), 1000)), "utf-8")
        yield str(path)
    finally:
        process.kill()


def spent(checkout: Path, order: dict[str, Any], folder: Path) -> Usage:
    """The cost of a sync into an empty folder, child processes included."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = [str(checkout / ".venv" / "bin" / "python"), "-W", "ignore", "-c", PROGRAM, json.dumps(order)]
    usage = measure(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(checkout)})
    if usage.status:
        raise SystemExit(f"{checkout.name} failed at {order}")
    return usage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", type=Path, required=True, help="a checkout of the earlier commit, with its .venv")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", action="append", help="only syncs whose name holds this (may be given several times)")
    arguments = parser.parse_args()
    other = arguments.other.resolve()
    checkout_now = HERE.parent
    print(f"{'sync':48} {'before s':>9} {'now s':>8} {'ratio':>6}   (least to most)    peak MB before, now, load")
    with tempfile.TemporaryDirectory() as place, serving(Path(place)) as pages:
        folder = Path(place) / "run"
        for name, order in orders(folder, pages):
            if not any(part in name for part in arguments.only or [""]):
                continue
            sides: dict[Path, list[Usage]] = {other: [], checkout_now: []}
            for number in range(arguments.pairs):
                for checkout in (other, checkout_now) if number % 2 == 0 else (checkout_now, other):
                    sides[checkout].append(spent(checkout, order, folder))
            ratios = [now.cpu_s / before.cpu_s for before, now in zip(sides[other], sides[checkout_now], strict=True)]
            before, now = (statistics.median(usage.cpu_s for usage in side) for side in sides.values())
            peaks = [max(usage.peak_mb for usage in side) for side in sides.values()]
            print(
                f"{name:48} {before:9.2f} {now:8.2f} {statistics.median(ratios):6.2f}   "
                f"({min(ratios):.2f} to {max(ratios):.2f}) {peaks[0]:15.0f} {peaks[1]:8.0f} {os.getloadavg()[0]:6.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
