"""Options of Airbyte's warehouses that do not exist here, each with the reason why it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kitestring.vendors.airbyte_option import without_ignored

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
    ignored = {name: has_no_effect for name, (has_no_effect, _) in refusals.items()}
    return without_ignored(options, ignored, lambda name: f"{name} cannot be set so: {refusals[name][1]}")
