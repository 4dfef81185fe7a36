"""Real packages of PyPI, each in an environment that is kept for the next run; a skip without a network."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from kitestring.airbyte import environment
from kitestring.errors import TransientError
from tests.preloaded_command import PreloadedCommand

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kitestring-tests"
PACKAGES = CACHE / f"packages-python{sys.version_info.major}.{sys.version_info.minor}"


def installed(requirement: str, home: Path) -> str:
    """The requirement, installed for commands that run with this home; skips where PyPI cannot be reached.

    Its environment is kept for the next run: to install and compile some of them takes 20 s of CPU time.
    """
    place(requirement, PACKAGES)
    if not (home / "envs").is_symlink():
        home.mkdir(exist_ok=True)
        (home / "envs").symlink_to(PACKAGES / "envs")
    return requirement


def newly_installed(requirement: str, home: Path) -> str:
    """The requirement, installed under this home itself; skips where PyPI cannot be reached."""
    place(requirement, home)
    return requirement


def python_of(requirement: str) -> str:
    """The Python of the kept environment of a requirement."""
    return str(place(requirement, PACKAGES) / "bin" / "python")


def place(requirement: str, home: Path) -> Path:
    """The folder of a requirement's environment under this home."""
    before = os.environ.get("KITESTRING_HOME")
    os.environ["KITESTRING_HOME"] = str(home)
    try:
        return environment.ensure(requirement)
    except TransientError as error:
        pytest.skip(f"PyPI cannot be reached: {error}")
    finally:
        if before is None:
            del os.environ["KITESTRING_HOME"]
        else:
            os.environ["KITESTRING_HOME"] = before


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "kitestring", *words]


def surroundings(home: Path) -> dict[str, str]:
    return {**os.environ, "KITESTRING_HOME": str(home), "PYTHONPATH": str(ROOT)}


def kitestring(home: Path, cwd: Path, *words: str) -> str:
    """What a command prints; it has to succeed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        status = PreloadedCommand(words, cwd, surroundings(home), out.fileno(), errors.fileno()).wait()
        for file in (out, errors):
            file.seek(0)
        printed, wrong = out.read(), errors.read()
    assert status == 0, f"{printed}\n{wrong[-4000:]}"
    return printed


def synced(home: Path, cwd: Path, *words: str) -> dict[str, Any]:
    """The streams of a sync's result."""
    result: dict[str, Any] = json.loads(kitestring(home, cwd, "sync", *words, "--json", "-q"))
    assert result["status"] == "succeeded", result
    streams: dict[str, Any] = result["streams"]
    return streams
