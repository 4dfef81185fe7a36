"""A foreign connector alone and through Kitestring, in turns: what running it here costs.

    python benchmarks/foreign.py [--records 50000] [--rounds 3] [--package airbyte-source-faker==7.2.1]

`alone`: the connector writes to /dev/null. `through`: the same call read by `AirbyteSource` and the engine, into a
destination that keeps nothing. `replayed`: what the connector wrote, from a file by `cat`: no connector is faster, so
this is the rate at which messages are taken. Needs PyPI once, for the package.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from kitestring.airbyte.source import AirbyteSource
from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.engine import Selection, sync
from kitestring.types import Receipt, Stream


class Nowhere(Destination):
    """Counts records and keeps none."""

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        batch.rows()
        return None


def processor_s() -> tuple[float, float]:
    """Processor seconds of this process, and of those it waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def alone(source: AirbyteSource, files: dict[str, Any], folder: Path, output: Any) -> float:
    words = ["read", "--config", "@config.json", "--catalog", "@catalog.json"]
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value))
    began = time.perf_counter()
    subprocess.run(source.program().command(words, folder), stdout=output, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def through(source: AirbyteSource, name: str) -> tuple[int, float, float]:
    """Records, seconds and our own processor seconds of a sync; the connector's discovery is left out."""
    catalog = source.discover()
    source.__class__.discover = lambda self: catalog  # type: ignore[method-assign]
    before, began = processor_s()[0], time.perf_counter()
    result = sync(source, Nowhere(), [Selection(name, sync_mode="full_refresh", write_mode="append")])
    seconds = time.perf_counter() - began
    assert result.ok, result.as_dict()
    return result.streams[name].read, seconds, processor_s()[0] - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--package", default="airbyte-source-faker==7.2.1")
    asked = parser.parse_args()
    config = {"count": asked.records, "seed": 1, "records_per_slice": 1000, "always_updated": True, "parallelism": 1}
    discover = AirbyteSource.discover
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(asked.rounds):
            AirbyteSource.discover = discover  # type: ignore[method-assign]
            source = AirbyteSource.load({"package": asked.package, "config": config})
            (users,) = [stream for stream in source.discover() if stream.name == "users"]
            (partition,) = source.partitions([users], {})
            files = {"config.json": config, "catalog.json": partition.data["catalog"]}
            once = alone(source, files, folder, subprocess.DEVNULL)
            if not number:
                with (folder / "messages").open("wb") as file:
                    alone(source, files, folder, file)
            count, seconds, own = through(source, "users")
            AirbyteSource.discover = discover  # type: ignore[method-assign]
            catalog = json.dumps(
                {"type": "CATALOG", "catalog": {"streams": [partition.data["catalog"]["streams"][0]["stream"]]}}
            )
            (folder / "catalog").write_text(catalog + "\n")
            script = f'if [ "$1" = discover ]; then cat {folder}/catalog; else cat {folder}/messages; fi'
            replay = AirbyteSource.load({"command": ["sh", "-c", script, "sh"]})
            replayed, replay_s, replay_own = through(replay, "users")
            rows.append((once, seconds, own, replayed / replay_s, replayed / replay_own))
            print(
                f"round {number + 1}: {count} records  alone {once:6.2f} s  through {seconds:6.2f} s "
                f"({100 * (seconds / once - 1):+.1f} %)  ours {own:5.2f} cpu-s ({100 * own / once:.1f} % of alone)  "
                f"replayed {replayed / replay_s:,.0f} records/s",
                flush=True,
            )
    once, seconds, own, rate, per_cpu = (statistics.median(column) for column in zip(*rows, strict=True))
    print(
        f"median: alone {once:.2f} s, through {seconds:.2f} s, overhead {100 * (seconds / once - 1):+.1f} %, "
        f"our processor time {100 * own / once:.1f} % of the connector's; "
        f"replayed {rate:,.0f} records/s ({per_cpu:,.0f} per cpu-s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
