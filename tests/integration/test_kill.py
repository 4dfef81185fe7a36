"""A sync that is killed at any moment is completed by the next one: no record missing, none twice.

`python tests/integration/test_kill.py --kills 50 --records 20000 --destination milvus` does it at length.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kitestring import registry

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.preloaded_command import preloaded_python

CHILD = Path(__file__).with_name("mortal_sync.py")
MOMENTS = ["read", "prepare", "write", "written", "save", "saved", "commit", "time"]


def config_for(destination: str, folder: Path, uri: str = "") -> dict[str, Any]:
    if destination == "duckdb":
        return {"path": str(folder / "all.duckdb")}
    return {
        "processing": {"chunk_size": 512, "text_fields": ["name", "description"], "metadata_fields": ["id", "price"]},
        "embedding": {"mode": "fake"},
        "indexing": {"host": uri or str(folder / "all.db"), "collection": "products", "auth": {"mode": "no_auth"}},
    }


def stored_ids(destination: str, config: dict[str, Any], folder: Path) -> list[int]:
    if destination == "duckdb":
        import duckdb

        with duckdb.connect(config["path"], read_only=True) as database:
            return [row[0] for row in database.execute("SELECT id FROM products").fetchall()]
    script = (
        "import json, sys\n"
        "from pymilvus import MilvusClient\n"
        "client = MilvusClient(sys.argv[1])\n"
        "client.load_collection('products')\n"
        "rows = client.query_iterator('products', batch_size=1000, filter='chunk_number >= 0',"
        " output_fields=['_id', 'chunk_number'], consistency_level='Strong')\n"
        "found = []\n"
        "while batch := rows.next():\n"
        "    found.extend(row['_id'] for row in batch if row['chunk_number'] == 0)\n"
        "print('FOUND' + json.dumps(found))\n"
    )
    done = preloaded_python("-c", script, config["indexing"]["host"])
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.partition("FOUND")[2]))


def run_and_kill(destination: str, folder: Path, kills: int, records: int, seed: int, uri: str = "") -> dict[str, Any]:
    """Start a sync, kill it, start it again, `kills` times; then run to the end. Figures of what happened."""
    dice = random.Random(seed)
    config = config_for(destination, folder, uri)
    order = {
        "destination": destination,
        "config": config,
        "count": records,
        "batch_rows": max(50, records // 100),
        "state": str(folder / "state.db"),
    }
    died: Counter[str] = Counter()
    began = time.monotonic()
    updates = 0
    for number in range(kills):
        moment = MOMENTS[number % len(MOMENTS)] if number < len(MOMENTS) else dice.choice(MOMENTS)
        count = {"read": records // 2, "commit": 1, "save": 2, "saved": 2, "time": 6}.get(moment, 8)
        die = [moment, dice.uniform(0.5, count) if moment == "time" else dice.randrange(count)]
        done = preloaded_python(str(CHILD), json.dumps({**order, "updates": updates, "die": die}))
        assert done.returncode in (0, -9), done.stderr[-2000:]
        died[moment if done.returncode == -9 else "ran through"] += 1
        if done.returncode == 0:
            updates += records // 4  # it was done: give the next one something to do
    done = preloaded_python(str(CHILD), json.dumps({**order, "updates": updates}))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    counts = Counter(stored_ids(destination, config, folder))
    registry.destination(destination, config).close()
    return {
        "kills": sum(n for moment, n in died.items() if moment != "ran through"),
        "moments": dict(died),
        "records": records,
        "missing": sorted(set(range(1, records + 1)) - set(counts))[:10],
        "twice": sorted(key for key, count in counts.items() if count > 1)[:10],
        "seconds": round(time.monotonic() - began),
    }


@pytest.mark.slow
@pytest.mark.parametrize(("destination", "kills", "records"), [("duckdb", 8, 2000), ("milvus", 6, 1000)])
def test_a_killed_sync_is_completed_by_the_next(destination: str, kills: int, records: int, tmp_path: Path) -> None:
    figures = run_and_kill(destination, tmp_path, kills, records, seed=7)
    assert figures["missing"] == []
    assert figures["twice"] == []
    assert figures["kills"] >= kills // 2, figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--destination", default="milvus")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--uri", default="", help="a Milvus server instead of a Milvus Lite folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        print(
            json.dumps(
                run_and_kill(given.destination, Path(place), given.kills, given.records, given.seed, given.uri),
                indent=2,
            )
        )
