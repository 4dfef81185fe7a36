"""The package as it is built: the web interface is in it and is served from it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from kitestring.server.http.web_interface import DIST, PAGE
from tests.browser.conftest import Running

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DIST / PAGE).is_file(), reason="the web interface is not built (make ui)"),
]


def build(target: Path, kind: str, **settings: str) -> Path:
    """The built package, a wheel or a source distribution."""
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else "uv"
    command = [uv, "build", f"--{kind}", "--out-dir", str(target), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings})
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def test_the_wheel_brings_the_interface_and_serves_it(tmp_path: Path) -> None:
    wheel = build(tmp_path / "built", "wheel")
    place = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        packed.extractall(place)
    inside = [name for name in names if name.startswith("kitestring/ui/")]
    assert "kitestring/ui/dist/index.html" in inside
    # Neither its sources nor what built it.
    assert all(name.startswith("kitestring/ui/dist/") for name in inside)
    assert not any(name.startswith(("tests/", "stand_ins/")) for name in names)
    assert wheel.stat().st_size < 6_000_000
    # What is served has to come from there, not from this copy of the sources.
    index = place / "kitestring" / "ui" / "dist" / "index.html"
    index.write_text(f"{index.read_text()}<!-- out of the wheel -->")
    running = Running(tmp_path / "home", new=True, PYTHONPATH=str(place))
    try:
        with urllib.request.urlopen(f"{running.url}/") as answer:
            page = answer.read().decode()
        assert page.endswith("<!-- out of the wheel -->")
        for script in re.findall(r'src="(/assets/[^"]+)"', page):
            with urllib.request.urlopen(f"{running.url}{script}") as answer:
                assert "immutable" in answer.headers["Cache-Control"]
    finally:
        running.close()


def test_the_source_distribution_brings_the_built_interface_and_its_sources(tmp_path: Path) -> None:
    with tarfile.open(build(tmp_path, "sdist")) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {
        "kitestring/ui/dist/index.html",
        "kitestring/ui/src/main.tsx",
        "scripts/interface.py",
        "tests/stand_ins/asana.py",
    } <= names
    assert not any("node_modules" in name for name in names)


def test_it_can_be_built_without_the_interface(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path, "wheel", KITESTRING_WITHOUT_INTERFACE="1")) as packed:
        assert not any(name.startswith("kitestring/ui/") for name in packed.namelist())
