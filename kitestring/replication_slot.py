"""Replication slots: what a source reports of the log that its database retains for it, and how it drops the slot."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class SlotReport:
    """A slot as the database shows it now. All positions and sizes are in bytes of its log.

    `server` identifies the database server whatever its address; empty where it does not say. `wal_status` is the
    server's word: reserved, extended, unreserved (the log is about to be removed), lost; `missing` if there is no slot.
    `end`: the end of the log; `confirmed`: what commits before it is durable at the destination. `retained_bytes` are
    kept for the slot; `safe_bytes` may still be written before it is lost, None without a limit. `created`: by this
    source object, or by an earlier one that left its mark.
    """

    server: str
    place: str
    slot: str
    publication: str
    wal_status: str
    active: bool
    end: int
    confirmed: int | None
    retained_bytes: int
    safe_bytes: int | None
    created: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@runtime_checkable
class RetainsLog(Protocol):
    """A source for which a database retains its log."""

    def slot_report(self) -> SlotReport | None:
        """The slot now; None where the configuration uses none. Any thread may call it, also during a read.

        Raises `ConfigError`, `AuthError` or `TransientError`.
        """

    def drop_slot(self) -> list[str]:
        """Drop the slot, and the publication if Kitestring created it and nothing else can be reading it. Returns what
        was dropped, in words. A slot that is not there is no error. The hint of an error is the SQL for the user."""
