"""From a name to a connector."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from kitestring.errors import ConfigError
from kitestring.facts import Facts
from kitestring.registry import Connector
from kitestring.source import Source

NEEDY = """
from typing import ClassVar

from kitestring.facts import Facts
from kitestring.source import Source


class Needy(Source):
    facts: ClassVar[Facts] = Facts(network="none", programs=False, packages=("json", "a_package_that_nobody_has"))
"""


def test_a_connector_whose_packages_are_missing_says_how_to_install_them_and_still_shows_its_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy.py").write_text(NEEDY)
    monkeypatch.syspath_prepend(str(tmp_path))
    needy = Connector("needy", "source", module="needy")
    assert needy.spec()["type"] == "object"
    with pytest.raises(ConfigError, match="needs the package a_package_that_nobody_has") as told:
        needy.build({})
    assert told.value.hint == "Install it: pip install 'kitestring[needy]'"


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
