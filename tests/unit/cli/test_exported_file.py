"""The project file that `kitestring export` writes, and the files beside it."""

from __future__ import annotations

from pathlib import Path

import yaml

from kitestring.cli.config_as_code import text_of


def test_low_code_sources_are_written_beside_the_file_whatever_their_names_are(tmp_path: Path) -> None:
    names = [
        "shop",
        "../../up",
        "/abs",
        "a/b",
        "a_b",
        "Shop",
        "x" * 300,
        "..",
        "",
        "naïve 急",
        ".hidden",
        "con\nnl",
        "a\\b",
    ]
    manifest = {"type": "DeclarativeSource"}
    sources = {name: {"connector": name, "manifest": {**manifest, "n": n}} for n, name in enumerate(names)}
    folder = tmp_path / "deep" / "project"
    folder.mkdir(parents=True)
    content = yaml.safe_load(text_of({"sources": sources, "destinations": {}, "connections": {}}, folder))
    written = sorted(path.relative_to(folder) for path in tmp_path.rglob("*") if path.is_file())
    assert len(written) == len(names)
    assert {path.parent for path in written} == {Path("connectors")}
    assert content["sources"]["shop"]["connector"] == "./connectors/shop.yaml"
    for number, name in enumerate(names):
        file = folder / content["sources"][name]["connector"]
        assert yaml.safe_load(file.read_text())["n"] == number
