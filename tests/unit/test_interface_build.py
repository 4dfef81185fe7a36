"""When the web interface is built again, and what is said where it cannot be."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, on sources of its own."""
    spec = importlib.util.spec_from_file_location("interface", ROOT / "scripts" / "interface.py")
    assert spec is not None
    assert spec.loader is not None
    created_spec = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(created_spec)
    for name, path in {
        "UI": tmp_path,
        "DIST": tmp_path / "dist",
        "DIGEST": tmp_path / "dist" / ".digest",
        "INSTALLED": tmp_path / "node_modules" / ".digest",
        "CHECKED": tmp_path / "node_modules" / ".checked",
        "API": tmp_path / "node_modules" / "openapi.yaml",
    }.items():
        monkeypatch.setattr(created_spec, name, path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.tsx").write_text("first")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text("built")
    (tmp_path / "dist" / ".digest").write_text(created_spec.sources())
    return created_spec


def test_it_is_built_again_when_its_sources_have_changed_and_not_otherwise(
    interface: ModuleType, tmp_path: Path
) -> None:
    assert interface.fresh()
    for ignored in ("node_modules/some/index.js", "dist/assets/x.js", "src/api/schema.gen.ts"):
        (tmp_path / ignored).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ignored).write_text("made by tools")
    assert interface.fresh()
    (tmp_path / "src" / "main.tsx").write_text("second")
    assert not interface.fresh()


def test_a_renamed_file_is_a_change(interface: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "src" / "main.tsx").rename(tmp_path / "src" / "other.tsx")
    assert not interface.fresh()


def test_without_node_a_build_says_what_is_missing(
    interface: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(interface.importlib.util, "find_spec", lambda name: None)
    interface.build()  # it is fresh: nothing is needed
    (tmp_path / "src" / "main.tsx").write_text("second")
    with pytest.raises(interface.Unbuilt, match="there is no Node"):
        interface.build()
    assert (tmp_path / "dist" / "index.html").read_text() == "built"


def test_a_check_installs_nothing(interface: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interface.main(["--check"]) == 0
    assert not (tmp_path / "node_modules").exists()


def test_types_are_checked_again_when_sources_the_api_or_packages_have_changed_and_not_otherwise(
    interface: ModuleType, tmp_path: Path
) -> None:
    packages = tmp_path / "node_modules"
    packages.mkdir()
    program = packages / "npm"
    program.write_text(f"#!/bin/sh\necho checked >>{packages}/runs; test ! -e {packages}/wrong\n")
    program.chmod(0o755)

    def runs() -> int:
        interface.check([str(program)])
        return len((packages / "runs").read_text().splitlines())

    for path in (interface.INSTALLED, interface.API):
        path.write_text("first")
    assert [runs(), runs()] == [1, 1]
    for number, path in enumerate((tmp_path / "src" / "main.tsx", interface.INSTALLED, interface.API), start=2):
        path.write_text("second")
        assert [runs(), runs()] == [number, number]
    (tmp_path / "src" / "main.tsx").write_text("third")
    (packages / "wrong").touch()
    for _ in range(2):
        with pytest.raises(interface.Unbuilt, match="types are wrong"):
            runs()
    (packages / "wrong").unlink()
    assert [runs(), runs()] == [7, 7]
