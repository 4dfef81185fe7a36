"""Airbyte's own connectors and a Singer tap from PyPI, through the command line; ours through PyAirbyte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from integration.foreign_packages import (
    command,
    installed,
    kitestring,
    newly_installed,
    python_of,
    surroundings,
    synced,
)

pytestmark = pytest.mark.slow

FAKER = "airbyte-source-faker==7.2.1"
CONFIG = {"count": 1500, "seed": 1, "records_per_slice": 500, "always_updated": False, "parallelism": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def faker(home: Path, **config: object) -> list[str]:
    """A sync's words for the source."""
    settings = {"package": installed(FAKER, home), "config": {**CONFIG, **config}}
    return ["--source", "airbyte", "--source-config", json.dumps(settings)]


def test_faker_is_checked_discovered_and_read(home: Path, tmp_path: Path) -> None:
    settings = json.dumps({"package": installed(FAKER, home), "config": CONFIG})
    (answer,) = json.loads(kitestring(home, tmp_path, "check", "airbyte", "--kind", "source", "-c", settings, "--json"))
    assert answer["ok"], answer
    streams = json.loads(kitestring(home, tmp_path, "discover", "airbyte", "-c", settings, "--json"))
    assert {stream["name"]: stream["primary_key"] for stream in streams} == {
        "products": [["id"]],
        "users": [["id"]],
        "purchases": [["id"]],
    }
    lines = kitestring(home, tmp_path, "read", "airbyte", "users", "-c", settings, "--limit", "3").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [1, 2, 3]


def test_faker_goes_into_duckdb_and_again_without_a_change(home: Path, tmp_path: Path) -> None:
    import duckdb

    words = [*faker(home), "--destination", "duckdb", "--destination-config", "path=faker.duckdb"]
    first = synced(home, tmp_path, *words, "--state", "state.json")
    assert {name: item["written"] for name, item in first.items()} == {
        "products": 100,
        "users": 1500,
        "purchases": 1500,
    }
    (states,) = json.loads((tmp_path / "state.json").read_text()).values()
    assert states["users"]["loop_offset"] == 1500
    second = synced(home, tmp_path, *words, "--state", "state.json")
    assert sum(item["read"] for item in second.values()) == 0
    with duckdb.connect(str(tmp_path / "faker.duckdb")) as database:
        assert database.execute("SELECT count(*), count(DISTINCT id) FROM users").fetchall() == [(1500, 1500)]


def test_faker_goes_into_json_lines(home: Path, tmp_path: Path) -> None:
    words = ["--destination", "files", "--destination-config", "path=out", "--destination-config", "format=jsonl"]
    results = synced(home, tmp_path, *faker(home), *words, "-s", "users", "--state", "state.json")
    assert results["users"]["written"] == 1500
    rows = [line for path in (tmp_path / "out").rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert len({json.loads(row)["id"] for row in rows}) == 1500


def test_faker_goes_into_milvus_lite(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    milvus = {
        "processing": {"chunk_size": 200, "text_fields": ["name", "occupation"], "metadata_fields": ["id", "email"]},
        "embedding": {"mode": "fake"},
        "indexing": {"host": str(tmp_path / "people.db"), "collection": "people", "auth": {"mode": "no_auth"}},
    }
    words = [*faker(home, count=300), "--destination", "milvus", "--destination-config", json.dumps(milvus)]
    results = synced(home, tmp_path, *words, "-s", "users", "--state", "state.json")
    assert results["users"]["written"] == 300
    assert results["users"]["figures"]["chunks_embedded"] == 300


def test_a_killed_sync_of_faker_is_completed_by_the_next(home: Path, tmp_path: Path) -> None:
    """Faker starts over whatever its state (with `always_updated`), so this is about what is written."""
    import duckdb

    count = 12_000
    words = [*faker(home, count=count, always_updated=True), "--destination", "duckdb"]
    words = ["sync", *words, "--destination-config", "path=faker.duckdb", "-s", "users", "--state", "state.json"]
    running = subprocess.Popen(
        command(*words, "-q"), cwd=tmp_path, env=surroundings(home), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    state = tmp_path / "state.json"
    while not state.exists() and running.poll() is None:
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL, "it ended before it could be killed"
    (saved,) = json.loads(state.read_text()).values()
    offset = saved["users"]["loop_offset"]
    with duckdb.connect(str(tmp_path / "faker.duckdb")) as database:
        ((existing,),) = database.execute("SELECT count(*) FROM users").fetchall()
    assert 0 < offset <= existing < count
    assert synced(home, tmp_path, *words[1:])["users"]["read"] == count
    with duckdb.connect(str(tmp_path / "faker.duckdb")) as database:
        assert database.execute("SELECT count(*), count(DISTINCT id) FROM users").fetchall() == [(count, count)]


@pytest.mark.parametrize(
    ("package", "title"),
    [("airbyte-source-github==2.7.1", "GitHub Source Spec"), ("airbyte-source-hubspot==5.7.0", "HubSpot Source Spec")],
)
def test_the_forms_of_large_connectors_are_shown(home: Path, tmp_path: Path, package: str, title: str) -> None:
    spec = json.loads(kitestring(home, tmp_path, "airbyte", "spec", installed(package, home)))
    assert spec["connectionSpecification"]["title"] == title


def test_a_singer_tap_is_newly_installed_read_and_read_again(tmp_path: Path) -> None:
    import duckdb

    home = tmp_path / "home"
    (tmp_path / "in").mkdir()
    lines = [json.dumps({"id": n, "text": f"row {n}"}) for n in range(2500)]
    (tmp_path / "in" / "a.jsonl").write_text("\n".join(lines) + "\n")
    settings = {
        "package": newly_installed("tap-jsonl==0.3.1", home),
        "config": {"path": str(tmp_path / "in" / "*.jsonl"), "primary_keys": ["id"], "stream_name": "rows"},
    }
    words = ["--source", "singer", "--source-config", json.dumps(settings), "--state", "state.json"]
    words += ["--destination", "duckdb", "--destination-config", "path=tap.duckdb"]
    assert synced(home, tmp_path, *words)["rows"]["written"] == 2500
    (states,) = json.loads((tmp_path / "state.json").read_text()).values()
    assert "rows" in states["rows"]["value"]["bookmarks"]
    synced(home, tmp_path, *words)
    with duckdb.connect(str(tmp_path / "tap.duckdb")) as database:
        assert database.execute("SELECT count(*), count(DISTINCT id) FROM rows").fetchall() == [(2500, 2500)]


PYAIRBYTE = """
import json, sys
import airbyte as ab

bin, folder = sys.argv[1:]
source = ab.get_source("source-sample", config={"count": 50}, local_executable=f"{bin}/source-sample")
source.check()
source.select_streams(["users", "products"])
result = source.read(cache=ab.caches.DuckDBCache(db_path=f"{folder}/cache.duckdb"))
read = {name: len(list(rows)) for name, rows in result.streams.items()}
milvus = {
    "processing": {"chunk_size": 200, "text_fields": ["name"], "metadata_fields": ["id"]},
    "embedding": {"mode": "fake"},
    "indexing": {"host": f"{folder}/people.db", "collection": "people", "auth": {"mode": "no_auth"}},
}
destination = ab.get_destination(
    "destination-milvus", config=milvus, local_executable=f"{bin}/destination-milvus"
)
destination.check()
written = destination.write(source, cache=False, streams=["users"], write_strategy="merge", force_full_refresh=True)
with open(f"{folder}/result.json", "w") as file:
    json.dump({"read": read, "written": written.processed_records}, file)
"""


def test_pyairbyte_reads_our_sample_and_writes_to_our_milvus(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    python = python_of("airbyte==0.71.3")
    for name in ("source-sample", "destination-milvus"):
        kitestring(home, tmp_path, "airbyte", "script", name, "bin")
    (tmp_path / "use.py").write_text(PYAIRBYTE)
    done = subprocess.run(
        [python, "use.py", str(tmp_path / "bin"), str(tmp_path)],
        cwd=tmp_path,
        env={**surroundings(home), "DO_NOT_TRACK": "1", "AIRBYTE_OFFLINE_MODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads((tmp_path / "result.json").read_text()) == {"read": {"users": 50, "products": 50}, "written": 50}
    code = (
        "from kitestring.destinations.milvus import Milvus; import sys, json\n"
        "from kitestring.types import Stream, Write\n"
        "d = Milvus.load(json.loads(sys.argv[1]))\n"
        "print(d.count(Stream('users', primary_key=(('id',),), write=Write(keep='latest', deletes='remove'))))\n"
    )
    milvus = {
        "processing": {"chunk_size": 200, "text_fields": ["name"], "metadata_fields": ["id"]},
        "embedding": {"mode": "fake"},
        "indexing": {"host": str(tmp_path / "people.db"), "collection": "people", "auth": {"mode": "no_auth"}},
    }
    counted = subprocess.run(
        [sys.executable, "-c", code, json.dumps(milvus)],
        env=surroundings(home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert counted.stdout.strip() == "50"
