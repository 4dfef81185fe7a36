"""Keys that a source no longer lists, compared by a SQL destination."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sql_syncs import VENDORS, synced

import kitestring as ks
from kitestring.json_codec import loads
from kitestring.sql import table_listing
from kitestring.sql.destination import SqlDestination
from kitestring.types import Stream, Write


@pytest.mark.parametrize("vendor", VENDORS)
def test_each_missing_key_of_several_columns_comes_in_one_page(
    vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"x.{vendor}"
    schema = {"type": "object", "properties": {"shop": {"type": "string"}, "id": {"type": "integer"}}}
    rows = [{"shop": "s", "id": n * 7 % 5_000} for n in range(5_000)]
    synced(path, {"orders": rows}, key=("shop", "id"), schemas={"orders": schema})
    monkeypatch.setattr(table_listing, "PAGE", 700)
    stream = Stream(
        "orders",
        schema=schema,
        primary_key=(("shop",), ("id",)),
        write=Write(replace=False, keep="latest", deletes="remove"),
    )
    destination = ks.destination(vendor, {"path": str(path)}).connector
    assert isinstance(destination, SqlDestination)
    with closing(destination), closing(destination.key_listing(stream)) as listing:
        listing.add([("s", n) for n in range(100)])
        assert listing.compare() == (5_000, 4_900)
        keys = [tuple(loads(text)) for page in listing.texts() for text in page]
    assert len(keys) == len(set(keys)) == 4_900
