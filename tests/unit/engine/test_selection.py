"""Which streams are copied and how, decided before anything begins."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.engine.selection import Selection, routes
from kitestring.errors import ConfigError
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Catalog, Stream, SyncMode

pa = pytest.importorskip("pyarrow")
BOTH = (SyncMode.full_refresh, SyncMode.incremental)
SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "user": {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}},
        "seen": {"type": "string"},
    },
}


def only_route(stream: Stream, selection: Selection, **more: Any) -> Any:
    (route,) = routes(Catalog((stream,)), [selection], MemoryDestination(), **more)
    return route


@pytest.mark.parametrize(
    ("stream", "sync_mode", "write_mode"),
    [
        (Stream("t"), "full_refresh", "overwrite"),
        (Stream("t", primary_key=(("id",),)), "full_refresh", "append_dedup"),
        (Stream("t", cursor=("at",), sync_modes=BOTH), "incremental", "append"),
        (Stream("t", cursor=("at",), sync_modes=BOTH, primary_key=(("id",),)), "incremental", "append_dedup"),
        (Stream("t", sync_modes=BOTH), "full_refresh", "overwrite"),
        (Stream("t", sync_modes=BOTH, source_defined_cursor=True), "incremental", "append"),
    ],
)
def test_modes_that_are_not_chosen_are_the_sensible_ones(stream: Stream, sync_mode: str, write_mode: str) -> None:
    route = only_route(stream, Selection("t"))
    assert (route.read.sync_mode, route.read.write) == (sync_mode, WRITES[write_mode])


def test_the_user_gives_a_key_and_a_cursor_where_the_source_has_none() -> None:
    route = only_route(Stream("t", sync_modes=BOTH), Selection("t", primary_key=["user.id"], cursor="seen"))
    assert route.read.primary_key == (("user", "id"),)
    assert route.read.cursor == ("seen",)
    assert route.read.sync_mode is SyncMode.incremental
    assert route.written.write == WRITES["append_dedup"]


def test_a_stream_may_have_another_name_at_the_destination() -> None:
    route = only_route(Stream("t", namespace="public"), Selection("public.t", alias="tickets"), prefix="raw_")
    assert (route.read.key, route.written.key) == ("public.t", "public.raw_tickets")
    with pytest.raises(ConfigError, match="two streams would be written as b"):
        routes(Catalog((Stream("a"), Stream("b"))), [Selection("a", alias="b"), "b"], MemoryDestination())


def test_a_cursor_that_the_source_has_set_stays() -> None:
    stream = Stream("t", cursor=("at",), sync_modes=BOTH, source_defined_cursor=True)
    assert only_route(stream, Selection("t", cursor="at")).read.cursor == ("at",)
    with pytest.raises(ConfigError, match="the cursor of t is at, set by the source; seen was requested"):
        only_route(stream, Selection("t", cursor="seen"))


def test_incremental_without_a_cursor_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no cursor field"):
        only_route(Stream("t", sync_modes=BOTH), Selection("t", sync_mode="incremental"))


def test_streams_of_one_name_in_two_namespaces_are_told_apart() -> None:
    catalog = Catalog((Stream("t", namespace="a"), Stream("t", namespace="b")))
    actual_routes = routes(catalog, None, MemoryDestination())
    assert [route.written.key for route in actual_routes] == ["a.t", "b.t"]
    with pytest.raises(ConfigError, match="the source has no stream t"):
        routes(catalog, ["t"], MemoryDestination())
    with pytest.raises(ConfigError, match="two streams would be written as t"):
        routes(catalog, None, MemoryDestination(), namespace="")


def test_no_stream_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="no stream is selected"):
        routes(Catalog((Stream("t"),)), [], MemoryDestination())


def test_an_unknown_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="the stream t has no field usr; did you mean user"):
        only_route(Stream("t", schema=SCHEMA), Selection("t", fields=["usr.name"]))


def test_the_schema_is_pruned_with_the_records_and_keeps_key_and_cursor() -> None:
    stream = Stream("t", schema=SCHEMA, primary_key=(("id",),), cursor=("seen",), sync_modes=BOTH)
    route = only_route(stream, Selection("t", fields=["user.name"]))
    assert route.written.schema["properties"] == {
        "id": {"type": "integer"},
        "user": {"type": "object", "properties": {"name": {"type": "string"}}},
        "seen": {"type": "string"},
    }


def test_a_whole_object_wins_over_a_part_of_it() -> None:
    row = {"id": 1, "user": {"id": 2, "name": "A"}}
    for fields in (["user", "user.name"], ["user.name", "user"]):
        route = only_route(Stream("t", schema=SCHEMA), Selection("t", fields=fields))
        assert route.prune is not None
        assert route.prune(Batch("t", rows=[row])).rows() == [{"user": {"id": 2, "name": "A"}}]


def test_columns_of_an_arrow_table_are_selected_without_making_rows() -> None:
    table = pa.table({"id": [1], "seen": ["x"], "extra": [True]})
    route = only_route(Stream("t"), Selection("t", fields=["id", "seen"]))
    assert route.prune is not None
    pruned = route.prune(Batch("t", table=table))
    assert pruned.is_table
    assert pruned.table().column_names == ["id", "seen"]
    nested = pa.table({"id": [1], "user": [{"id": 2, "name": "A"}]})
    route = only_route(Stream("t"), Selection("t", fields=["user.name"]))
    assert route.prune is not None
    assert route.prune(Batch("t", table=nested)).rows() == [{"user": {"name": "A"}}]


def test_two_streams_of_one_key_are_told_by_name() -> None:
    catalog = Catalog((Stream("c", namespace="a.b"), Stream("b.c", namespace="a")))
    with pytest.raises(ConfigError, match=r"2 streams .* called a\.b\.c: c in a\.b and b\.c in a"):
        routes(catalog, None, MemoryDestination())
