"""Real packages of PyPI in environments of their own, made once for the tests of a module; a skip without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kitestring.airbyte import environment
from kitestring.errors import TransientError

ROOT = Path(__file__).parents[2]


def installed(requirement: str, home: Path) -> str:
    """The requirement, installed under this home; skips where PyPI cannot be reached."""
    before = os.environ.get("KITESTRING_HOME")
    os.environ["KITESTRING_HOME"] = str(home)
    try:
        environment.ensure(requirement)
    except TransientError as error:
        pytest.skip(f"PyPI cannot be reached: {error}")
    finally:
        if before is None:
            del os.environ["KITESTRING_HOME"]
        else:
            os.environ["KITESTRING_HOME"] = before
    return requirement


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "kitestring", *words]


def surroundings(home: Path) -> dict[str, str]:
    return {**os.environ, "KITESTRING_HOME": str(home), "PYTHONPATH": str(ROOT)}


def kitestring(home: Path, cwd: Path, *words: str) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(command(*words), capture_output=True, text=True, cwd=cwd, env=surroundings(home), check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    return done.stdout


def synced(home: Path, cwd: Path, *words: str) -> dict[str, Any]:
    """The streams of a sync's result."""
    result: dict[str, Any] = json.loads(kitestring(home, cwd, "sync", *words, "--json", "-q"))
    assert result["status"] == "succeeded", result
    found: dict[str, Any] = result["streams"]
    return found
