"""A table whose changes are read from the binary log: what is known of it, and its changes that wait to be decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

from kitestring.sources.mysql.captured_table import CapturedColumn, CapturedTable
from kitestring.sources.mysql.logged_rows import LoggedChange
from kitestring.sql.changes import Tracked
from kitestring.types import State
from kitestring.vendors.mysql.binlog_event import TableMap


@dataclass(slots=True)
class Followed:
    """A stream in the log: its table and columns as they are now, and the stream's bookkeeping. `note`: what its state
    says of the table."""

    tracked: Tracked
    table: CapturedTable
    columns: list[CapturedColumn]
    note: State
    is_certain: bool = True
    """False where the columns of a log without names may be others than those of the catalog."""

    @property
    def key(self) -> str:
        return self.tracked.stream.key


@dataclass(slots=True)
class Run:
    """Changes of one table that wait to be decoded together."""

    table: TableMap
    followed: Followed
    changes: list[LoggedChange] = field(default_factory=list)
    position: int = -1
    """The beginning of the last transaction with one."""
    first: int = -1
    """The beginning of the first transaction with one."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A table as it is now, with the columns to read. `reason`: why all rows have to be read again. `since`: the end of
    the log after the catalog was read."""

    table: CapturedTable
    columns: list[CapturedColumn]
    reason: str
    since: int
