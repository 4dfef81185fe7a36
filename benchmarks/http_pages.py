"""A manifest over HTTP, beside a plain urllib3 + orjson loop and beside Airbyte's engine, in one run.

    python benchmarks/http_pages.py [--records 100000] [--sizes 100,1000] [--rounds 3] [--cdk PYTHON]

`--cdk` names a Python that has `airbyte-cdk` installed; without it that line is left out. Each round is a process of
its own. `seconds` is the whole process; `reading` leaves out what it needs to start, which says more about a long sync.
The rate and the ratio to the plain loop are of the reading, the ratio to Airbyte's engine is of whole processes: the
median of the rounds' ratios. `CPU s` of whole processes says the same where other programs share the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def manifest(port: int, size: int) -> dict[str, Any]:
    return {
        "version": "6.48.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["records"]},
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": "records",
                "primary_key": ["id"],
                "retriever": {
                    "type": "SimpleRetriever",
                    "requester": {
                        "type": "HttpRequester",
                        "url_base": f"http://127.0.0.1:{port}",
                        "path": "/records",
                        "http_method": "GET",
                    },
                    "record_selector": {
                        "type": "RecordSelector",
                        "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
                    },
                    "paginator": {
                        "type": "DefaultPaginator",
                        "page_token_option": {
                            "type": "RequestOption",
                            "inject_into": "request_parameter",
                            "field_name": "page",
                        },
                        "page_size_option": {
                            "type": "RequestOption",
                            "inject_into": "request_parameter",
                            "field_name": "per_page",
                        },
                        "pagination_strategy": {"type": "PageIncrement", "start_from_page": 1, "page_size": size},
                    },
                },
                "schema_loader": {
                    "type": "InlineSchemaLoader",
                    "schema": {
                        "type": "object",
                        "properties": {"id": {"type": "integer"}, "subject": {"type": "string"}},
                    },
                },
            }
        ],
        "spec": {
            "type": "Spec",
            "connection_specification": {"type": "object", "properties": {}, "additionalProperties": True},
        },
    }


PLAIN = """
import sys, time, orjson, urllib3
port, size, began = sys.argv[1], int(sys.argv[2]), time.perf_counter()
pool, page, count = urllib3.PoolManager(), 1, 0
while True:
    answer = pool.request("GET", f"http://127.0.0.1:{port}/records", fields={"page": page, "per_page": size})
    records = orjson.loads(answer.data)["data"]
    for record in records:
        count += 1
    if len(records) < size:
        break
    page += 1
print(time.perf_counter() - began)
"""

OURS = """
import sys, time
from kitestring import registry
from kitestring.destination import Destination
from kitestring.engine import Selection, sync

class Discard(Destination):
    def write(self, stream, batch):
        return None

source, began = registry.source(sys.argv[1], {}), time.perf_counter()
result = sync(source, Discard(), [Selection("records", write_mode="append")])
assert result.ok and result.total("read") == int(sys.argv[2]), result.as_dict()
print(time.perf_counter() - began)
"""


def timed(command: list[str], env: dict[str, str] | None = None) -> tuple[float, float, float, str]:
    """Wall seconds, CPU seconds, peak memory in MB and the last line of a command."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        assert process.returncode == 0, command
        out.seek(0)
        lines = [line for line in out if line.strip()]
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, lines[-1] if lines else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--sizes", default="100,1000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cdk", default="")
    options = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, str(HERE / "page_server.py"), "--records", str(options.records)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with tempfile.TemporaryDirectory() as folder:
            for size in map(int, options.sizes.split(",")):
                measure(options, port, size, Path(folder))
    finally:
        server.kill()


def measure(options: argparse.Namespace, port: int, size: int, folder: Path) -> None:
    path, config, catalog = folder / "pages.yaml", folder / "config.json", folder / "catalog.json"
    path.write_text(json.dumps(manifest(port, size)))
    config.write_text(json.dumps({}))
    stream = {"name": "records", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    catalog.write_text(
        json.dumps({"streams": [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}]})
    )
    read = ["read", "--manifest-path", str(path), "--config", str(config), "--catalog", str(catalog)]
    commands = {
        "plain loop": [sys.executable, "-c", PLAIN, str(port), str(size)],
        "kitestring sync": [sys.executable, "-c", OURS, str(path), str(options.records)],
        "kitestring protocol": [sys.executable, "-m", "kitestring.airbyte.manifest_command", *read],
    }
    if options.cdk:
        program = "from airbyte_cdk.cli.source_declarative_manifest import run; run()"
        commands["airbyte-cdk"] = [options.cdk, "-c", program, *read]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    reading: dict[str, list[float]] = {name: [] for name in commands}
    computing: dict[str, list[float]] = {name: [] for name in commands}
    memory: dict[str, float] = {}
    # The first start of a fresh environment compiles its modules: that is no part of any round.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for command in commands.values():
        timed(command, env)
    for _ in range(options.rounds):
        for name, command in commands.items():
            spent, computed, peak, last = timed(command, env)
            seconds[name].append(spent)
            computing[name].append(computed)
            reading[name].append(float(last) if name in ("plain loop", "kitestring sync") else spent)
            memory[name] = max(peak, memory.get(name, 0))
    floor = statistics.median(reading["plain loop"])
    print(f"\n{options.records:,} records in pages of {size}, medians of {options.rounds}")
    print(f"{'':24}{'seconds':>9}{'CPU s':>9}{'reading':>9}{'records/s':>12}{'of plain':>10}{'peak MB':>9}")
    for name, spent in seconds.items():
        median = statistics.median(reading[name])
        whole, computed = statistics.median(spent), statistics.median(computing[name])
        rate, share = options.records / median, floor / median
        print(f"{name:24}{whole:9.2f}{computed:9.2f}{median:9.2f}{rate:12,.0f}{share:10.2f}{memory[name]:9.0f}")
    if "airbyte-cdk" in seconds:
        for name in ("kitestring sync", "kitestring protocol"):
            ratios = [
                statistics.median(peer / own for peer, own in zip(spent["airbyte-cdk"], spent[name], strict=True))
                for spent in (seconds, computing)
            ]
            print(f"{name}: {ratios[0]:.1f} times as fast as airbyte-cdk, {ratios[1]:.1f} times by CPU seconds")


if __name__ == "__main__":
    main()
