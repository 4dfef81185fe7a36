"""`kitestring new` writes connectors that work: as packages that are really installed, and in the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MYPY_CACHE = ROOT / ".mypy_cache" / "new_packages"
"""One for all, and kept for the next run: mypy reads the types of Kitestring once."""


def run(folder: Path, *command: str, path: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*([str(path)] if path else []), *sys.path])}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("source", []),
        ("destination", []),
        ("destination", ["--kind", "sql"]),
        ("destination", ["--kind", "vector"]),
        ("destination", ["--kind", "files"]),
        ("embedder", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value[-1:]) or "plain",
)
def test_a_package_is_clean_installs_and_keeps_its_contract(tmp_path: Path, kind: str, options: list[str]) -> None:
    python = [sys.executable, "-m"]
    printed = run(tmp_path, *python, "kitestring", "new", kind, "acme_things", *options)
    assert "Next:\n  1. cd kitestring-acme-things && pip install -e . --group dev\n" in printed
    package = tmp_path / "kitestring-acme-things"
    run(package, str(BIN / "ruff"), "check", "--select", "E,F,I,UP,B", ".")
    run(package, str(BIN / "ruff"), "format", "--check", ".")
    site = tmp_path / "site"
    install = [str(BIN / "uv"), "pip", "install", "-q", "--no-deps", "--python", sys.executable, "--target", str(site)]
    done = subprocess.run([*install, str(package)], capture_output=True, text=True, check=False)
    if "hatchling" in done.stderr:
        pytest.skip("hatchling cannot be fetched here")
    assert done.returncode == 0, done.stderr
    run(package, *python, "mypy", "--cache-dir", str(MYPY_CACHE), path=site)
    run(package, *python, "pytest", "-q", "-x", "-p", "no:cacheprovider", path=site)
    if kind == "embedder":
        assert '"acme_things"' in run(tmp_path, *python, "kitestring", "spec", "milvus", "--json", path=site)
    else:
        assert run(tmp_path, *python, "kitestring", "spec", "acme_things", path=site).startswith(
            f"{kind} acme_things\n"
        )
    second = [*python, "kitestring", "new", kind, "acme_things", *options]
    refused = subprocess.run(second, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "pyproject.toml exists" in refused.stderr


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the repository has to have for a connector and its test."""
    root = tmp_path_factory.mktemp("repository")
    ignored = shutil.ignore_patterns("ui", "__pycache__")
    shutil.copytree(ROOT / "kitestring", root / "kitestring", ignore=ignored)
    shutil.copytree(ROOT / "tests" / "contract", root / "tests" / "contract", ignore=ignored)
    for name in ("pyproject.toml", "tests/conftest.py", "tests/unit/vector"):
        target = root / name
        target.mkdir(parents=True) if (ROOT / name).is_dir() else shutil.copy(ROOT / name, target)
    return root


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (
            ["source", "acme"],
            [
                "kitestring/sources/acme.py",
                "tests/contract/connectors/acme.py",
                "docs/reference/sources/acme.md",
            ],
        ),
        (
            ["source", "acme_list", "--manifest"],
            [
                "kitestring/sources/manifests/acme_list.yaml",
                "tests/contract/connectors/acme_list.py",
                "docs/reference/sources/acme_list.md",
            ],
        ),
        (
            ["destination", "acme_files"],
            [
                "kitestring/destinations/acme_files.py",
                "tests/contract/connectors/acme_files.py",
                "docs/reference/destinations/acme_files.md",
            ],
        ),
        (["embedder", "acme"], ["kitestring/vector/embedders/acme.py", "tests/unit/vector/test_acme.py"]),
    ],
    ids=lambda value: "-".join(value) if "/" not in value[0] else "",
)
def test_in_the_repository_each_file_is_where_it_belongs(
    repository: Path, arguments: list[str], files: list[str]
) -> None:
    printed = run(repository, sys.executable, "-m", "kitestring", "new", *arguments, path=repository)
    assert [line.removeprefix("wrote ") for line in printed.splitlines() if line.startswith("wrote ")] == files
    code = [name for name in files if name.endswith(".py")]
    run(repository, str(BIN / "ruff"), "check", "--no-cache", *code)
    run(repository, str(BIN / "ruff"), "format", "--check", "--no-cache", *code)
    test = next(name for name in files if name.startswith("tests/"))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    assert " passed" in run(repository, *command, path=repository)
