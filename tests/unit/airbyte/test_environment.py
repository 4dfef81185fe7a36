"""Packages are installed once, whole or not at all, whoever asks at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from kitestring.airbyte import environment
from kitestring.airbyte.source import AirbyteSource
from kitestring.errors import ConfigError


@pytest.fixture
def requirement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package without dependencies, given as a file: two programs, one of them a connector."""
    monkeypatch.setenv("KITESTRING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    wheel = tmp_path / "source_tiny-1.2-py3-none-any.whl"
    spec = {"type": "SPEC", "spec": {"connectionSpecification": {"title": "Tiny"}}}
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("source_tiny.py", f"import json\ndef run():\n    print(json.dumps({spec!r}))\n")
        about = "source_tiny-1.2.dist-info"
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: source-tiny\nVersion: 1.2\n")
        file.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(
            f"{about}/entry_points.txt",
            "[console_scripts]\nsource-tiny = source_tiny:run\ntiny-tool = source_tiny:run\n",
        )
        names = ["source_tiny.py", *(f"{about}/{n}" for n in ("METADATA", "WHEEL", "entry_points.txt", "RECORD"))]
        file.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in names))
    return f"source-tiny @ {wheel.as_uri()}"


def test_a_package_is_installed_and_its_program_found(requirement: str) -> None:
    place = environment.ensure(requirement)
    assert environment.script(place, requirement).name == "source-tiny"
    assert environment.script(place, requirement, "tiny-tool").name == "tiny-tool"
    with pytest.raises(ConfigError, match=r"no program other; it installs source-tiny, tiny-tool"):
        environment.script(place, requirement, "other")
    assert json.loads((place / environment.MARK).read_text())["version"] == "1.2"
    source = AirbyteSource.load({"package": requirement})
    assert source.spec_of_connector()["connectionSpecification"] == {"title": "Tiny"}


def test_two_processes_and_two_threads_that_want_the_same_package_install_it_once(requirement: str) -> None:
    code = f"from kitestring.airbyte import environment; print(environment.ensure({requirement!r}))"
    rest = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    places: list[str] = []
    threads = [threading.Thread(target=lambda: places.append(str(environment.ensure(requirement)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places += [other.communicate()[0].strip() for other in rest]
    assert len(places) == 4
    assert len(set(places)) == 1
    assert (Path(places[0]) / "bin" / "source-tiny").is_file()


def test_an_environment_that_was_not_finished_is_made_again(requirement: str) -> None:
    place = environment.ensure(requirement)
    (place / environment.MARK).unlink()
    (place / "bin" / "source-tiny").unlink()
    assert environment.ensure(requirement) == place
    assert (place / "bin" / "source-tiny").is_file()


def test_an_environment_that_is_there_is_not_touched(requirement: str) -> None:
    place = environment.ensure(requirement)
    (place / "mine").touch()
    assert (environment.ensure(requirement) / "mine").exists()


def test_a_package_that_cannot_be_installed_leaves_nothing_behind(requirement: str, tmp_path: Path) -> None:
    missing = f"source-none @ {(tmp_path / 'source_none-1-py3-none-any.whl').as_uri()}"
    with pytest.raises(ConfigError, match="cannot be installed"):
        environment.ensure(missing)
    assert [p.name for p in environment.folder().iterdir() if p.is_dir()] == []
    with pytest.raises(ConfigError, match="cannot be installed"):
        environment.ensure(requirement, "no-such-python")


def test_what_is_no_requirement_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a package requirement"):
        environment.name_of("-x")
    assert environment.name_of("Airbyte_Source.Faker[x]>=6,<8") == "airbyte-source-faker"


def test_the_environments_stand_in_the_home_of_the_project_or_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KITESTRING_HOME", str(tmp_path))
    assert environment.folder() == tmp_path / "envs"
    monkeypatch.delenv("KITESTRING_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert environment.folder() == tmp_path / "cache" / "kitestring" / "envs"
