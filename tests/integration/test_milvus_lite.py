"""Milvus Lite: everything Milvus must do, and what comes with a directory that one process owns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from integration.milvus_cases import *  # noqa: F403
from integration.milvus_cases import config, config_of, opened, put, rows, texts, things  # noqa: F401

from kitestring.destinations.milvus import Milvus
from kitestring.errors import ConfigError, TransientError

HOLD = (
    "import sys, time\n"
    "from pymilvus import MilvusClient\n"
    "client = MilvusClient(sys.argv[1])\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("lite") / "shared.db")


def test_a_directory_that_another_process_holds_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "held.db"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "ready"
        with opened(config_of(str(path), "things")) as destination, pytest.raises(TransientError) as error:
            destination.check()
        assert "in use by another process" in error.value.message
        assert "milvus-lite server" in error.value.hint
        other.kill()


def test_closing_releases_the_directory_for_another_process(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    with opened(config_of(str(path), "things")) as destination:
        put(destination, [{"id": 1, "text": "a"}])
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "ready"
        other.kill()


def test_two_destinations_of_one_process_share_the_directory(tmp_path: Path) -> None:
    single_config = config_of(str(tmp_path / "x.db"), "things")
    with opened(single_config) as first:
        put(first, [{"id": 1, "text": "a"}])
        with opened(single_config) as second:
            assert second.count(things()) == 1
        assert first.count(things()) == 1, "closing one leaves the other its connection"


def test_a_client_of_the_application_keeps_its_connection(tmp_path: Path) -> None:
    from pymilvus import MilvusClient

    mine = MilvusClient(str(tmp_path / "x.db"))
    with opened(config_of(str(tmp_path / "x.db"), "things")) as destination:
        put(destination, [{"id": 1, "text": "a"}])
    assert mine.list_collections() == ["things"]
    mine.close()


def test_check_of_a_path_that_is_not_there_makes_no_directory(tmp_path: Path) -> None:
    with opened(config_of(str(tmp_path / "sub" / "new.db"), "things")) as destination:
        destination.check()
        assert destination.count(things()) == 0
    assert list(tmp_path.iterdir()) == []


def test_searching_where_nothing_was_synced_says_so(tmp_path: Path) -> None:
    with opened(config_of(str(tmp_path / "new.db"), "things")) as destination, pytest.raises(ConfigError) as error:
        destination.search("x")
    assert "has no collection things" in error.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_data_file_that_a_killed_process_left_incomplete_does_not_stop_the_next_sync(tmp_path: Path) -> None:
    lite_config = config_of(str(tmp_path / "x.db"), "things")
    with opened(lite_config) as destination:
        put(destination, [{"id": n, "text": f"sentence {n}"} for n in range(5)])
    [complete, *_] = tmp_path.glob("**/partitions/*/data/*.parquet")
    incomplete = complete.with_name("data_000900_000999.parquet")
    incomplete.write_bytes(complete.read_bytes()[:-8])
    (tmp_path / "gone").symlink_to("nothing")
    complete.with_name("data_001000_001001.parquet").symlink_to(tmp_path / "gone")
    with opened(lite_config) as destination:
        assert put(destination, [{"id": 1, "text": "sentence 1"}]).unchanged == 1
        assert len(destination.search("sentence", limit=20)) == 5


def test_a_file_of_milvus_lite_2_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    path.write_bytes(b"SQLite format 3\x00")
    with opened(config_of(str(path), "things")) as destination, pytest.raises(ConfigError, match="is a file"):
        destination.check()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_a_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with opened(config_of(str(tmp_path / "x.db"), "things")) as destination, pytest.raises(ConfigError) as error:
        destination.check()
    assert "cannot be written" in error.value.message
    tmp_path.chmod(0o700)


def test_a_path_below_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with opened(config_of(str(tmp_path / "file" / "x.db"), "things")) as destination:
        with pytest.raises(ConfigError, match="cannot be written"):
            destination.check()
        with pytest.raises(ConfigError):
            destination.begin(things())


def test_hybrid_search_finds_by_words(tmp_path: Path) -> None:
    single_config = config_of(str(tmp_path / "x.db"), "things")
    with opened(single_config, hybrid=True) as destination:
        put(destination, [{"id": n, "text": f"ordinary sentence {n}"} for n in range(20)])
        put(destination, [{"id": 77, "text": "the zeppelin landed"}])
        by_meaning = destination.search("zeppelin", limit=3, hybrid=False)
        assert "things_77" not in {hit["record_id"] for hit in by_meaning}, "the fake embedder knows no words"
        assert "things_77" in {hit["record_id"] for hit in destination.search("zeppelin", limit=3)}
        assert put(destination, [{"id": 77, "text": "the zeppelin landed"}]).unchanged == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1]}, {"a": [1]}),
        ([1, "b"], [1, "b"]),
        ('{"a": 1}', {"a": 1}),
        ("hello", "hello"),
        ('"quoted"', '"quoted"'),
        ("{not json", "{not json"),
        (3, 3),
        (1.5, 1.5),
        (True, True),
    ],
)
def test_a_json_column_takes_every_value(config: dict[str, Any], value: Any, expected: Any) -> None:  # noqa: F811
    with opened(config, scalar_fields={"more": "JSON"}) as destination:
        put(destination, [{"id": 1, "text": "a", "more": value}, {"id": 2, "text": "b"}])
        values_by_id = {row["_ab_record_id"]: row["more"] for row in rows(destination)}
        assert values_by_id["things_1"] == expected


def test_a_partition_key_is_used(tmp_path: Path) -> None:
    single_config = config_of(str(tmp_path / "x.db"), "things")
    with opened(single_config, scalar_fields=["status"], partition_key="status") as destination:
        put(destination, [{"id": n, "text": f"t {n}", "status": ("new", "old")[n % 2]} for n in range(6)])
        assert {hit["status"] for hit in destination.search("t", where={"status": "new"})} == {"new"}
        assert len(destination.search("t", where={"status": "new"})) == 3


def test_hybrid_search_without_its_index_says_so(tmp_path: Path) -> None:
    with opened(config_of(str(tmp_path / "x.db"), "things")) as destination:
        put(destination, [{"id": 1, "text": "a"}])
        with pytest.raises(ConfigError, match="needs an index of words"):
            destination.search("a", hybrid=True)


def test_an_application_can_read_beside_a_sync_through_the_lite_server(tmp_path: Path) -> None:
    """`milvus-lite server` is Lite behind http: its insert replaces, as Lite's does."""
    from integration.milvus_server import free_port

    port = free_port()
    program = str(Path(sys.executable).with_name("milvus-lite"))
    data = str(tmp_path / "data")
    server = subprocess.Popen(
        [program, "server", "--data-dir", data, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        single_config = config_of(f"http://127.0.0.1:{port}", "things")
        deadline = time.monotonic() + 300
        while True:
            try:
                with opened(single_config) as destination:
                    destination.check()
                break
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)
        with opened(single_config) as destination:
            put(destination, [{"id": 1, "text": "a", "old": 1}])
            put(destination, [{"id": 1, "text": "a"}])
            (row,) = rows(destination)
            assert "old" not in row
    finally:
        server.kill()
        server.wait()


def test_the_form_never_shows_and_the_log_never_tells_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "s3cr3t-t0ken"
    single_config: dict[str, Any] = config_of("http://127.0.0.1:9", "things")
    single_config["indexing"]["auth"] = {"mode": "token", "token": secret}
    with opened(single_config) as destination, pytest.raises(Exception) as error:
        destination.check()
    assert secret not in str(error.value) + repr(error.value.fields) + caplog.text  # type: ignore[attr-defined]
    spec = Milvus.spec()
    assert spec["properties"]["indexing"]["properties"]["auth"]["oneOf"][0]["properties"]["token"]["airbyte_secret"]
    assert "$ref" not in json.dumps(spec)
