"""`kitestring new` writes connectors that work: as packages that are really installed, and in the repository.

Programs that take seconds to start (uv, mypy, pytest) run once, on all packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.preloaded_command import PreloadedCommand

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MYPY_CACHE = ROOT / ".mypy_cache" / "new_packages"
"""Kept for the next run: mypy reads the types of Kitestring once."""
PACKAGES = {
    "acme_list": ["source"],
    "acme_lines": ["destination"],
    "acme_tables": ["destination", "--kind", "sql"],
    "acme_vectors": ["destination", "--kind", "vector"],
    "acme_folders": ["destination", "--kind", "files"],
    "acme_letters": ["embedder"],
}
"""The names of packages, and which connector each has."""


def run(folder: Path, *command: str, path: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*([str(path)] if path else []), *sys.path])}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def of_pytest(folder: Path, path: Path, *tests: str) -> str:
    """What pytest prints; no test fails or has an unknown mark. `path` is where it imports from first."""
    options = ["-q", "-x", "-p", "no:cacheprovider", "-W", "error::pytest.PytestUnknownMarkWarning"]
    return run(folder, sys.executable, "-m", "pytest", *options, *tests, path=path)


def kitestring(folder: Path, *words: str, code: int = 0, path: Path | None = None) -> str:
    """What a command prints; one that fails, on standard error."""
    variables = {**os.environ, "PYTHONPATH": str(path or "")}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        status = PreloadedCommand(words, folder, variables, out.fileno(), errors.fileno()).wait()
        for file in (out, errors):
            file.seek(0)
        printed, wrong = out.read(), errors.read()
    assert status == code, printed + wrong
    return wrong if code else printed


def new(name: str) -> list[str]:
    """The words of the command that writes a package."""
    kind, *options = PACKAGES[name]
    return ["new", kind, name, *options]


def package(folder: Path, name: str) -> Path:
    return folder / f"kitestring-{name.replace('_', '-')}"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all packages, as they were written."""
    folder = tmp_path_factory.mktemp("packages")
    for name in PACKAGES:
        printed = kitestring(folder, *new(name))
        place = package(folder, name).name
        assert f"Next:\n  1. cd {place} && pip install -e . --group dev\n" in printed
    return folder


@pytest.fixture(scope="module")
def site(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all packages are installed."""
    site = tmp_path_factory.mktemp("site")
    install = [str(BIN / "uv"), "pip", "install", "-q", "--no-deps", "--python", sys.executable, "--target", str(site)]
    places = [str(package(packages, name)) for name in PACKAGES]
    done = subprocess.run([*install, *places], capture_output=True, text=True, check=False)
    if "hatchling" in done.stderr:
        pytest.skip("hatchling cannot be fetched here")
    assert done.returncode == 0, done.stderr
    return site


@pytest.mark.parametrize("name", PACKAGES)
def test_the_code_of_a_package_is_clean(packages: Path, name: str) -> None:
    run(package(packages, name), str(BIN / "ruff"), "check", "--select", "E,F,I,UP,B", ".")
    run(package(packages, name), str(BIN / "ruff"), "format", "--check", ".")


def test_the_types_of_all_packages_are_right(packages: Path, site: Path) -> None:
    settings = {
        (package(packages, name) / "pyproject.toml").read_text().partition("[tool.mypy]")[2] for name in PACKAGES
    }
    assert len(settings) == 1
    options = ["--cache-dir", str(MYPY_CACHE), "--config-file", str(package(packages, "acme_list") / "pyproject.toml")]
    places = [str(package(packages, name) / folder) for name in PACKAGES for folder in ("src", "tests")]
    run(packages, sys.executable, "-m", "mypy", *options, *places, path=site)


def test_all_packages_keep_their_contracts_when_they_are_installed(packages: Path, site: Path) -> None:
    first, *rest = PACKAGES
    assert " passed" in of_pytest(package(packages, first), site)  # as its user does
    assert " passed" in of_pytest(packages, site, *(str(package(packages, name) / "tests") for name in rest))


@pytest.mark.parametrize("name", PACKAGES)
def test_kitestring_knows_the_connector_of_an_installed_package(packages: Path, site: Path, name: str) -> None:
    kind = PACKAGES[name][0]
    if kind == "embedder":
        assert f'"{name}"' in kitestring(packages, "spec", "milvus", "--json", path=site)
    else:
        assert kitestring(packages, "spec", name, path=site).startswith(f"{kind} {name}\n")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_not_overwritten(packages: Path, name: str) -> None:
    assert "pyproject.toml exists" in kitestring(packages, *new(name), code=2)


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


def test_in_the_repository_each_file_is_where_it_belongs(repository: Path) -> None:
    files_of = {
        ("source", "acme"): [
            "kitestring/sources/acme.py",
            "tests/contract/connectors/acme.py",
            "docs/reference/sources/acme.md",
        ],
        ("source", "acme_list", "--manifest"): [
            "kitestring/sources/manifests/acme_list.yaml",
            "tests/contract/connectors/acme_list.py",
            "docs/reference/sources/acme_list.md",
        ],
        ("destination", "acme_files"): [
            "kitestring/destinations/acme_files.py",
            "tests/contract/connectors/acme_files.py",
            "docs/reference/destinations/acme_files.md",
        ],
        ("embedder", "acme"): ["kitestring/vector/embedders/acme.py", "tests/unit/vector/test_acme.py"],
    }
    for words, files in files_of.items():
        printed = kitestring(repository, "new", *words)
        assert [line.removeprefix("wrote ") for line in printed.splitlines() if line.startswith("wrote ")] == files
    code = [name for files in files_of.values() for name in files if name.endswith(".py")]
    run(repository, str(BIN / "ruff"), "check", "--no-cache", *code)
    run(repository, str(BIN / "ruff"), "format", "--check", "--no-cache", *code)
    tests = [name for name in code if name.startswith("tests/")]
    assert len(tests) == len(files_of)
    assert " passed" in of_pytest(repository, repository, *tests)
