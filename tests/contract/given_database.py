"""The contract of a source whose database cannot run on a developer's machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.source import Source
from kitestring.testing.contract import SourceContract

WITHOUT_DATABASE = (
    "test_its_spec_is_a_form",
    "test_a_configuration_that_lacks_what_is_required_is_refused_with_its_name",
)


class GivenDatabase(SourceContract):
    """Runs on the database whose configuration is in `KITESTRING_TEST_` and the connector's name, as JSON: one with a
    few small tables. Without it, only the cases run that need no database."""

    connector: ClassVar[type[Source]]

    @pytest.fixture(autouse=True)
    def _database(self, request: pytest.FixtureRequest) -> None:
        if not os.environ.get(self.variable()) and request.node.name not in WITHOUT_DATABASE:
            pytest.skip(f"{self.variable()} has no configuration of a database")

    def variable(self) -> str:
        return f"KITESTRING_TEST_{self.connector.__name__.upper()}"

    def make(self, folder: Path) -> Source:
        return self.connector.load(json.loads(os.environ[self.variable()]))

    def spec(self, folder: Path) -> dict[str, Any]:
        return self.connector.spec()

    def load(self, folder: Path, config: Any) -> Source:
        return self.connector.load(config)
