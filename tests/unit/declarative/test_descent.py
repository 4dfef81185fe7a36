"""What is below records is read as they are, and what speaks against it is told."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, cursor, stream, sync

from kitestring.errors import ConfigError

ROUTER = {"type": "ListPartitionRouter", "values": ["a"], "cursor_field": "part"}


def below(api: Api, join: bool, **more: Any) -> dict[str, Any]:
    descent = {"type": "Descent", "partition_field": "part", "key": "parts", **({"join": ["text"]} if join else {})}
    return stream(
        url=api.url,
        path="/{{ stream_partition.part }}",
        retriever={"partition_router": ROUTER, "descent": descent},
        **more,
    )


@pytest.mark.parametrize("join", [False, True])
def test_a_part_whose_answer_holds_no_records_is_told(api: Api, open_source: Open, join: bool) -> None:
    api.answers["/a"] = {"data": [{"id": 1, "text": "one", "parts": ["b"]}]}
    api.answers["/b"] = {"error": "maintenance"}
    result = sync(open_source(below(api, join)))
    assert [row["id"] for row in result.records] == [1]
    assert len(result.suspicions) == 1


def test_what_is_below_is_not_left_out_by_a_filter_for_the_records_above(api: Api, open_source: Open) -> None:
    filtered = below(api, False, incremental_sync=cursor(is_client_side_incremental=True))
    with pytest.raises(ConfigError, match="items below an old record may be new"):
        sync(open_source(filtered))
