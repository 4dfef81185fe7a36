"""Images: run by whichever container engine answers, here a stand-in that runs the program on this machine."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kitestring.airbyte.source import AirbyteSource
from kitestring.engine import Status, sync
from kitestring.errors import ConfigError
from kitestring.testing.memory import MemoryDestination

ACTOR = Path(__file__).parent / "actor.py"
ENGINE = """#!{python} -IS
import json, os, subprocess, sys
words = sys.argv[1:]
with open({log!r}, "a") as file:
    file.write(json.dumps(words) + "\\n")
if words[0] == "info":
    sys.exit({answers})
if words[0] == "kill":
    sys.exit(0)
place = words[words.index("--volume") + 1].removesuffix(":/secrets:ro")
rest = [word.replace("/secrets", place) for word in words[words.index("test/actor:1") + 1 :]]
os.execv(sys.executable, [sys.executable, "-I", "-S", {actor!r}, *rest])
"""


def engine(folder: Path, name: str, answers: int = 0) -> Path:
    log = folder / f"{name}.log"
    text = ENGINE.format(python=sys.executable, log=str(log), actor=str(ACTOR), answers=answers)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    return log


def calls(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def source(read: list[Any]) -> AirbyteSource:
    streams = [{"name": "a", "json_schema": {"type": "object"}, "supported_sync_modes": ["full_refresh"]}]
    config = {
        "discover": [{"say": {"type": "CATALOG", "catalog": {"streams": streams}}}],
        "read": read,
        "token": "s3cret",
    }
    return AirbyteSource.load({"image": "test/actor:1", "config": config})


def test_an_image_is_run_with_its_files_mounted_and_no_secret_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = engine(tmp_path, "podman")
    engine(tmp_path, "docker", answers=1)  # installed, and its daemon is not there
    monkeypatch.setenv("PATH", str(tmp_path))
    destination = MemoryDestination()
    result = sync(source([{"records": {"stream": "a", "to": 5}}]), destination)
    assert result.status is Status.succeeded
    assert len(destination.stored["a"]) == 5
    run = next(words for words in calls(log) if "read" in words)
    assert run[:4] == ["run", "--rm", "--interactive", "--init"]
    assert run[run.index("test/actor:1") + 1 :] == [
        *("read", "--config", "/secrets/config.json", "--catalog", "/secrets/catalog.json")
    ]
    assert "s3cret" not in str(calls(log))


def test_a_container_is_killed_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = engine(tmp_path, "docker")
    monkeypatch.setenv("PATH", str(tmp_path))
    single_source = source([{"records": {"stream": "a", "to": 5}}, {"sleep": 600}])
    cancel = threading.Event()
    thread = threading.Thread(target=lambda: sync(single_source, MemoryDestination(), cancel=cancel))
    thread.start()
    deadline = time.monotonic() + 300
    while not (log.exists() and "read" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    cancel.set()
    thread.join(300)
    run = next(words for words in calls(log) if "read" in words)
    kill = ["kill", run[run.index("--name") + 1]]
    while kill not in calls(log):  # the thread that watches for the cancellation may still be at it
        assert time.monotonic() < deadline, calls(log)
        time.sleep(0.05)


def test_an_image_without_an_engine_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="neither docker nor podman is installed"):
        source([]).check()
    engine(tmp_path, "docker", answers=1)
    with pytest.raises(ConfigError, match="docker did not answer"):
        source([]).check()
