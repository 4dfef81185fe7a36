"""Airbyte's columns: when and by which copy a row was written, for users with queries written for Airbyte."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kitestring.json_codec import dumps_text
from kitestring.sql.types import MOMENT, TEXT

if TYPE_CHECKING:
    from kitestring.sql.dialect import Dialect

AIRBYTE_COLUMNS: Mapping[str, str] = {
    "_airbyte_raw_id": TEXT,
    "_airbyte_extracted_at": MOMENT,
    "_airbyte_meta": "JSON",
    "_airbyte_generation_id": "BIGINT",
}
"""Their kinds (https://docs.airbyte.com/platform/understanding-airbyte/airbyte-metadata-fields)."""


def airbyte_values(dialect: Dialect, generation: int) -> dict[str, str]:
    """The expressions for these columns. A generation is a copy: its number grows with each replacement."""
    moment = dialect.literal(dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"))
    return {
        "_airbyte_raw_id": dialect.random_id,
        "_airbyte_extracted_at": dialect.converted(moment, TEXT, MOMENT),
        "_airbyte_meta": dialect.converted(dialect.literal(dumps_text({"changes": []})), TEXT, "JSON"),
        "_airbyte_generation_id": f"CAST({generation} AS {dialect.type_name('BIGINT')})",
    }
