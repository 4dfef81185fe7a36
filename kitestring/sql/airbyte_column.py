"""Airbyte's columns: when and by which copy a row was written, for users with queries written for Airbyte."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kitestring.sql.changed_value import UNCHANGED
from kitestring.sql.types import MOMENT, TEXT

if TYPE_CHECKING:
    from kitestring.sql.dialect import Dialect

RAW_ID = "_airbyte_raw_id"
META = "_airbyte_meta"
"""The column that names the values which did not fit."""

AIRBYTE_COLUMNS: Mapping[str, str] = {
    RAW_ID: TEXT,
    "_airbyte_extracted_at": MOMENT,
    META: "JSON",
    "_airbyte_generation_id": "BIGINT",
}
"""Their kinds (https://docs.airbyte.com/platform/understanding-airbyte/airbyte-metadata-fields)."""


def airbyte_values(dialect: Dialect, generation: int) -> dict[str, str]:
    """The expressions for these columns. A generation is a copy: its number grows with each replacement."""
    moment = dialect.literal(dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"))
    return {
        RAW_ID: dialect.random_id,
        "_airbyte_extracted_at": dialect.converted(moment, TEXT, MOMENT),
        META: dialect.converted(dialect.literal(UNCHANGED), TEXT, "JSON"),
        "_airbyte_generation_id": dialect.converted(str(generation), "INTEGER", "BIGINT"),
    }
