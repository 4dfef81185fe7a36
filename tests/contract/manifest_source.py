"""What the sources that are a manifest share: a stand-in of their vendor, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring import registry
from kitestring.source import Source
from kitestring.testing.contract import SourceContract


class ManifestContract(SourceContract):
    """The connector is named by its file; `stand_in` gives the server that it reads, used for all cases of a class."""

    sampled: ClassVar[int] = 2  # each read of a stream costs its calls
    server: ClassVar[Any]

    @staticmethod
    def stand_in() -> Any:
        raise NotImplementedError

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls) -> Iterator[None]:
        with cls.stand_in() as cls.server:
            yield

    @property
    def connector(self) -> registry.Connector:
        return registry.connector("source", type(self).__module__.rpartition(".")[2])

    def make(self, folder: Path) -> Source:
        return self.load(folder, self.server.config)

    def spec(self, folder: Path) -> dict[str, Any]:
        return self.connector.spec()

    def comparable(self, state: Any) -> Any:
        """How many seconds the read took is part of a global cursor's state."""
        if isinstance(state, dict):
            return {name: self.comparable(value) for name, value in state.items() if name != "lookback_window"}
        return list(map(self.comparable, state)) if isinstance(state, list) else state

    def load(self, folder: Path, config: Mapping[str, Any]) -> Source:
        source = self.connector.build(config)
        assert isinstance(source, Source)
        return source
