"""The catalog that an Airbyte source gets names write modes in words that every version of the protocol knows."""

from __future__ import annotations

import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.airbyte.source import configured_stream
from kitestring.types import Stream, Write


@pytest.mark.parametrize("name", WRITES)
def test_a_source_of_any_version_reads_the_write_mode_of_a_stream(name: str) -> None:
    configured = configured_stream({"name": "things"}, Stream("things", write=WRITES[name]))
    expected = {"append": "append", "overwrite": "overwrite", "overwrite_dedup": "overwrite"}
    assert configured["destination_sync_mode"] == expected.get(name, "append_dedup")


def test_a_write_mode_without_a_name_of_airbytes_has_the_nearest_word() -> None:
    write = Write(replace=True, keep="latest", deletes="mark")
    assert configured_stream({}, Stream("things", write=write))["destination_sync_mode"] == "overwrite"
