"""The table of Airbyte's sync modes: how each reads and writes a stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kitestring.errors import ConfigError
from kitestring.types import SyncMode, Write

WRITES: Mapping[str, Write] = {
    "append": Write(),
    "overwrite": Write(replace=True, deletes="remove"),
    "overwrite_dedup": Write(replace=True, keep="latest", deletes="remove"),
    "append_dedup": Write(keep="latest", deletes="remove"),
    "update": Write(keep="latest", deletes="remove"),
    "soft_delete": Write(keep="latest", deletes="mark"),
}
"""Airbyte's `destination_sync_mode`, our `write_mode`. `update` is `append_dedup` here: missing records are added.
An `overwrite` of a stream with a primary key is an `overwrite_dedup` where the destination supports it."""


WriteWord = Literal["append", "overwrite", "overwrite_dedup", "append_dedup", "update", "soft_delete"]
"""The keys of `WRITES`, for schemas."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A sync mode of a connection: how it reads the stream, and how it writes it (a key of `WRITES`).

    `title` is its name in Airbyte's interface, `note` says in a sentence what it does.
    """

    name: str
    reads: SyncMode
    writes: str
    title: str
    note: str

    @property
    def write(self) -> Write:
        return WRITES[self.writes]

    @property
    def needs_key(self) -> bool:
        return self.write.keep == "latest"


MODES: Mapping[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode(
            "incremental_deduped_history", SyncMode.incremental, "append_dedup",
            "Incremental | Append + Deduped", "Reads what is new or changed, and keeps one record for each key.",
        ),
        Mode(
            "incremental_append", SyncMode.incremental, "append",
            "Incremental | Append", "Reads what is new or changed, and keeps every version.",
        ),
        Mode(
            "incremental_update", SyncMode.incremental, "update",
            "Incremental | Update", "Reads what is new or changed, and changes the record in its place.",
        ),
        Mode(
            "incremental_soft_delete", SyncMode.incremental, "soft_delete",
            "Incremental | Soft Delete", "Reads what is new or changed, and marks what was deleted.",
        ),
        Mode(
            "full_refresh_overwrite", SyncMode.full_refresh, "overwrite",
            "Full refresh | Overwrite", "Reads everything, and replaces what was there once the new data is complete.",
        ),
        Mode(
            "full_refresh_overwrite_deduped", SyncMode.full_refresh, "overwrite_dedup",
            "Full refresh | Overwrite + Deduped",
            "Reads everything, and replaces what was there: one record for each key.",
        ),
        Mode(
            "full_refresh_append", SyncMode.full_refresh, "append",
            "Full refresh | Append", "Reads everything, and adds it to what is there.",
        ),
        Mode(
            "full_refresh_update", SyncMode.full_refresh, "update",
            "Full refresh | Update", "Reads everything, and changes records in their place.",
        ),
        Mode(
            "full_refresh_soft_delete", SyncMode.full_refresh, "soft_delete",
            "Full refresh | Soft Delete", "Reads everything, and marks what the source reports as deleted.",
        ),
    )
}  # fmt: skip
"""Airbyte's sync modes (`ConnectionSyncModeEnum` of its public API) by name, the most useful first."""

DEFAULT = "full_refresh_overwrite"
"""The default of Airbyte's API."""


def mode_of(reads: str, writes: str) -> Mode | None:
    """The mode for these `sync_mode` and `destination_sync_mode` of Airbyte's; None if there is none."""
    exact = (mode for mode in MODES.values() if (mode.reads, mode.writes) == (reads, writes))
    same = (mode for mode in MODES.values() if writes in WRITES and (mode.reads, mode.write) == (reads, WRITES[writes]))
    return next(exact, None) or next(same, None)


def write_of(mode: str | Mapping[str, Any] | Write) -> Write:
    """A write mode from its name, or from its three choices as a mapping. `ConfigError` for another value."""
    if isinstance(mode, Write):
        return mode
    if isinstance(mode, str):
        if mode not in WRITES:
            raise ConfigError(f"{mode} is not a write mode", hint=f"The write modes are: {', '.join(WRITES)}.")
        return WRITES[mode]
    try:
        return Write(**mode)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the write mode {dict(mode)} is invalid: {error}",
            hint="Give `replace` (true or false), `keep` (all or latest) and `deletes` (remove, mark or keep).",
        ) from None


def word_of(write: Write) -> str:
    """Airbyte's name of a write mode; where it has none, the three choices in ours."""
    return next((name for name, mode in WRITES.items() if mode == write), str(write))
