"""The setting `replication_method`: how changes are read. Its names and those of its options are Airbyte's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, model_validator

from kitestring.config import Config, option

UNUSED = ("server_timezone", "initial_load_timeout_hours", "debezium_shutdown_timeout_seconds")
"""Options of Airbyte's that have no effect: the log has TIMESTAMP in UTC, and a load that takes long goes on in the
next sync."""


class Standard(Config):
    """Rows by a cursor column, or whole tables."""

    model_config = ConfigDict(title="Cursor column")

    method: Literal["STANDARD"] = option("STANDARD", order=0)


class ChangeDataCapture(Config):
    """Every insert, update and delete, from the server's binary log."""

    model_config = ConfigDict(title="Change data capture (CDC)")

    method: Literal["CDC"] = option("CDC", order=0)
    follow_seconds: int = option(0, ge=0, le=86_400, order=1)
    """How long a sync follows the log before it ends. 0: it reads up to the end of the log as it was at its start."""
    initial_waiting_seconds: int = option(10, ge=1, le=1200, order=2, group="advanced")
    """How long the first load waits for the lock that MySQL needs for a moment; MariaDB needs none."""
    invalid_cdc_cursor_position_behavior: Literal["Fail sync"] = option("Fail sync", order=3, group="advanced")
    """What a sync does when the log from its position on is lost. It fails, and says what can be done."""

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {name: value for name, value in values.items() if name not in UNUSED}


ReplicationMethod: TypeAlias = Standard | ChangeDataCapture


def method_of(value: Any) -> Any:
    """`CDC` for `{method: CDC}`, with the method in capitals."""
    options = {"method": value} if isinstance(value, str) else dict(value) if isinstance(value, Mapping) else value
    if isinstance(options, dict) and isinstance(options.get("method"), str):
        options["method"] = options["method"].upper()
    return options
