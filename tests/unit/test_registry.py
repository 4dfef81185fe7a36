"""From a name to a connector."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.errors import ConfigError
from kitestring.registry import Connector

NEEDY = """
from typing import ClassVar

from kitestring.source import Source


class Needy(Source):
    packages: ClassVar[tuple[str, ...]] = ("json", "a_package_that_nobody_has")
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
