"""The result of mapping a batch. `apply.py` does the mapping, and is imported only where there are mappers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kitestring.batch import Batch
from kitestring.types import Reject

FILTERED = "filtered out"
"""The time of deletion (compared by identity) of a record that a filter removes, and that is deleted at the destination
too."""


class AsMapped(dict[str, Any]):
    """A replayed record that the mappers changed before it was rejected: they leave it unchanged now."""


@dataclass(slots=True)
class Mapped:
    """A mapped batch, the number of filtered records, and the records that could not be mapped."""

    batch: Batch
    filtered: int = 0
    rejected: list[Reject] = field(default_factory=list)
