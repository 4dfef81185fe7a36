"""The contract as test classes: inherit one, say how to make your connector, and pytest runs every case on it.

    class TestJsonLines(DestinationContract):
        def make(self, folder):
            return JsonLines(folder=folder)

        def stored(self, destination, stream):
            return read_json_lines(...)

A case that your connector cannot meet is declared in `gaps` with its reason; a gap that has disappeared fails.
"""

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from kitestring.testing.contract.cdc import CdcContract  # noqa: E402
from kitestring.testing.contract.destination import DestinationContract  # noqa: E402
from kitestring.testing.contract.files import FilesContract  # noqa: E402
from kitestring.testing.contract.gap import Gaps  # noqa: E402
from kitestring.testing.contract.source import SourceContract  # noqa: E402
from kitestring.testing.contract.sql import SqlContract  # noqa: E402
from kitestring.testing.contract.value import Text  # noqa: E402
from kitestring.testing.contract.vector import VectorContract  # noqa: E402

__all__ = [
    "CdcContract",
    "DestinationContract",
    "FilesContract",
    "Gaps",
    "SourceContract",
    "SqlContract",
    "Text",
    "VectorContract",
]
