"""The setting `replication_method`: how changes are read. Its names and those of its options are Airbyte's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, model_validator

from kitestring.config import Config, option

UNUSED = ("queue_size", "lsn_commit_behaviour", "heartbeat_action_query", "initial_load_timeout_hours")
"""Options of Airbyte's that have no effect: memory is bounded by bytes, the slot is confirmed when data are durable,
the heartbeat is a message in the log, and a load that takes long goes on in the next sync."""


class Standard(Config):
    """Rows by a cursor column, or whole tables."""

    model_config = ConfigDict(title="Cursor column")

    method: Literal["Standard"] = option("Standard", order=0)


class ChangeDataCapture(Config):
    """Every insert, update and delete, from the database's log."""

    model_config = ConfigDict(title="Change data capture (CDC)")

    method: Literal["CDC"] = option("CDC", order=0)
    replication_slot: str = option("kitestring", order=1, pattern="^[a-z0-9_]{1,63}$")
    """The slot that keeps the log for this connection. It is created if it is not there."""
    publication: str = option("kitestring", order=2, min_length=1)
    """The publication with the tables. It is created if it is not there."""
    initial_waiting_seconds: int = option(300, ge=1, le=86_400, order=3, group="advanced")
    """How long a new slot waits for transactions that are open."""
    follow_seconds: int = option(0, ge=0, le=86_400, order=4)
    """How long a sync follows the log before it ends. 0: it reads up to the end of the log as it was at its start."""
    stream_transactions: bool = option(False, order=7, group="advanced")
    """Whether large transactions are received while they are in progress (PostgreSQL 14 or later). The server then does
    not write them to its disk, and they arrive sooner after their commit. Until that, temporary files have them."""
    plugin: Literal["pgoutput"] = option("pgoutput", order=5, group="advanced")
    invalid_cdc_cursor_position_behavior: Literal["Fail sync"] = option("Fail sync", order=6, group="advanced")
    """What a sync does when the log from its position on is lost. It fails, and says what can be done."""

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {name: value for name, value in values.items() if name not in UNUSED}


class Xmin(Config):
    """Rows whose version was written since the last sync, by the transaction id in each row. No deletions."""

    model_config = ConfigDict(title="Transaction ids (xmin)")

    method: Literal["Xmin"] = option("Xmin", order=0)


ReplicationMethod: TypeAlias = Standard | Xmin | ChangeDataCapture
