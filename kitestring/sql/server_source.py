"""The base of sources that read the database server of one vendor: options of Airbyte's connector are accepted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from kitestring.source import Source
from kitestring.sql.source import SqlSource
from kitestring.vendors.airbyte_option import without_ignored
from kitestring.vendors.ssh_tunnel import asks_for_no_tunnel


def is_standard(value: Any) -> bool:
    """Whether a `replication_method` of Airbyte reads by cursor columns."""
    method = value.get("method") if isinstance(value, Mapping) else value
    return not method or str(method).upper() == "STANDARD"


class ServerSource(SqlSource, Source):
    """A source of one vendor: it accepts options of Airbyte's connector whose values have no effect."""

    airbyte_options: ClassVar[Mapping[str, Callable[[Any], bool]]] = {
        "tunnel_method": asks_for_no_tunnel,
        "jdbc_url_params": lambda value: not value,
        "replication_method": is_standard,
        "cursor": lambda _: True,
        "check_privileges": lambda _: True,
        "check_permissions": lambda _: True,
        "checkpoint_target_interval_seconds": lambda _: True,
        "max_db_connections": lambda _: True,
        "concurrency": lambda _: True,
    }
    """Options that do not exist here, and whether a value has no effect."""

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        options = without_ignored(
            values,
            cls.airbyte_options,
            lambda name: (
                f"{name} needs what Kitestring does not have for this source: tunnels, JDBC parameters, "
                "and change data capture (choose the `replication_method` STANDARD)"
            ),
        )
        return cls.own_options(options)

    @classmethod
    def own_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        """The options, those of Airbyte's connector in the form that they have here."""
        return options
