"""What the mappers of a stream have made of its records. `mapping.py` does it, imported where there are some."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kitestring.batch import Batch
from kitestring.types import Reject

FILTERED = "filtered out"
"""In the place of the time of deletion (and known by its identity): a record that a filter leaves out, and that is to
leave the destination too."""


class AsMapped(dict[str, Any]):
    """A record that comes back as the mappers have made it before it was rejected: it is let through."""


@dataclass(slots=True)
class Mapped:
    """What became of a batch: what goes on, how many records were left out, and those that could not be mapped."""

    batch: Batch
    filtered: int = 0
    rejected: list[Reject] = field(default_factory=list)
