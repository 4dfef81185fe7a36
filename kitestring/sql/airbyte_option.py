"""Options of Airbyte's connectors that do not exist here: accepted where they change nothing, else refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Refusals = Mapping[str, tuple[Callable[[Any], bool], str]]
"""By option: whether a value has no effect here, and why another one is refused."""

RAW_TABLES = "raw tables are not written"

SHARED: Refusals = {
    "disable_type_dedupe": (lambda value: not value, RAW_TABLES),
    "legacy_raw_tables_only": (lambda value: not value, RAW_TABLES),
    "cdc_deletion_mode": (
        lambda value: str(value).lower().startswith("hard"),
        "soft deletes are the write mode `soft_delete` of a stream",
    ),
}
"""Options of Airbyte's warehouses."""


def accepted(options: Mapping[str, Any], refusals: Refusals) -> dict[str, Any]:
    """The options without these of Airbyte's. `ValueError` for a value that would need what is not here."""
    own = dict(options)
    for name, (is_harmless, reason) in refusals.items():
        if name in own and not is_harmless(own.pop(name)):
            raise ValueError(f"{name} cannot be set so: {reason}")
    return own
