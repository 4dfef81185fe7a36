"""From a name to a connector."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path

import pytest

from kitestring import registry
from kitestring.errors import ConfigError, ConnectorError
from kitestring.facts import Facts
from kitestring.registry import Connector
from kitestring.source import Source

NEEDY = """
from typing import ClassVar

from kitestring.facts import Facts
from kitestring.source import Source


class Needy(Source):
    facts: ClassVar[Facts] = Facts(network="none", programs=False, packages=("json", "no_such_package.inside"))
"""


def test_a_connector_whose_packages_are_missing_says_how_to_install_them_and_still_shows_its_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy.py").write_text(NEEDY)
    monkeypatch.syspath_prepend(str(tmp_path))
    needy = Connector("needy", "source", module="needy")
    assert needy.spec()["type"] == "object"
    with pytest.raises(ConfigError, match=r"needs the package no_such_package\.inside") as caught:
        needy.build({})
    assert caught.value.hint == "Install it: pip install 'kitestring[needy]'"


def test_class_variables_from_before_facts_are_taken_over_with_a_warning() -> None:
    with pytest.warns(FutureWarning, match=r"declare facts = Facts\(network=…, packages=\('json',\), programs=False\)"):

        class Old(Source):
            packages = ("json",)
            runs_programs = False

    assert Old.facts == Facts(network=None, programs=False, packages=("json",))

    with warnings.catch_warnings():
        warnings.simplefilter("error")

        class Both(Source):
            """It runs under versions of Kitestring before and after facts."""

            facts = Facts(network="python", programs=False)
            runs_programs = False

        class Below(Old):
            """What it inherits was warned of before."""

    assert Both.facts.network == "python"
    assert Below.facts == Old.facts
    assert "runs_programs" not in Old.spec()["properties"]


@pytest.mark.slow
def test_a_package_of_somebody_else_that_breaks_spoils_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kitestring import project_file
    from kitestring.server.connectors import definitions

    (tmp_path / "broken.py").write_text("raise RuntimeError('not today')")
    (tmp_path / "lacking.py").write_text("import a_package_that_nobody_has")
    info = tmp_path / "others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kitestring.sources]\nbroken = broken:Broken\nlacking = lacking:Lacking\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    definitions._built_in.cache_clear()
    listed = {definition.type for definition in definitions.built_in("source").values()}
    definitions._built_in.cache_clear()
    assert {"broken", "lacking", "sample"} <= listed
    names = project_file.schema()["properties"]["sources"]["additionalProperties"]["properties"]["connector"][
        "examples"
    ]
    assert {"broken", "lacking", "sample"} <= set(names)
    with pytest.raises(ConnectorError, match="broken cannot be imported: RuntimeError: not today") as caught:
        registry.source("broken", {})
    assert caught.value.hint == "Report it to the authors of others."
    with pytest.raises(ConfigError, match="needs the package a_package_that_nobody_has") as sent_caught:
        registry.source("lacking", {})
    assert sent_caught.value.hint == "Install it: pip install 'a_package_that_nobody_has'"


def test_a_package_that_is_installed_while_the_program_runs_is_listed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "later" not in {connector.name for connector in registry.connectors("source")}
    info = tmp_path / "later-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: later\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kitestring.sources]\nlater = later:Later\n")
    assert "later" in {connector.name for connector in registry.connectors("source")}
    shutil.rmtree(info)
    assert "later" not in {connector.name for connector in registry.connectors("source")}


def titles(schema: object) -> list[str]:
    """All titles within a schema, of which a form shows those of fields."""
    if isinstance(schema, list):
        return [title for item in schema for title in titles(item)]
    if not isinstance(schema, dict):
        return []
    own = [title for title in [schema.get("title")] if isinstance(title, str)]
    return own + [title for item in schema.values() for title in titles(item)]


@pytest.mark.parametrize("name", ["postgres", "pgvector", "sqlite", "duckdb", "milvus", "files"])
def test_no_form_of_a_destination_shows_the_name_of_a_class(name: str) -> None:
    spec = registry.connector("destination", name).load().spec()
    assert not [
        title for title in titles(spec["properties"]) if re.search(r"^([A-Z][a-z]+){2,}$|\bCa\b|\bUrl\b", title)
    ]
