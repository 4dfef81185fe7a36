"""A table of the lake that a connection has looked at, and its working table in DuckDB."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kitestring.lake.table_format import LakeTable


@dataclass
class Opened:
    """A table of the lake that this connection has looked at. `working`: what its working table in DuckDB holds."""

    reference: str
    table: LakeTable
    kinds: dict[str, str]
    working: Literal["", "added", "keyed", "all"] = ""
    keys: list[str] = field(default_factory=list)
    """The columns of the key by which rows were loaded."""
    loaded: bool = False
    """Rows of the lake are in the working table; the table `LOADED` has their keys and numbers."""
