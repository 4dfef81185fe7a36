"""What the sources that are a manifest share: a stand-in of their vendor, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring import registry
from kitestring.source import Source
from kitestring.testing.contract import SourceContract


class ManifestContract(SourceContract):
    """The connector is named by its file; `stand_in` gives the server that it reads, used for all cases of a class."""

    server: ClassVar[Any]

    @staticmethod
    def stand_in() -> Any:
        raise NotImplementedError

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls) -> Iterator[None]:
        with cls.stand_in() as cls.server:
            yield

    def make(self, folder: Path) -> Source:
        name = type(self).__module__.rpartition(".")[2]
        return registry.source(name, self.server.config)
