"""The ClickHouse destination without a server: its options, names and versions."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest

from kitestring.destinations.clickhouse import Clickhouse
from kitestring.destinations.clickhouse.dialect import DIALECT, FILE_BYTES, SCHEMA_BYTES
from kitestring.destinations.clickhouse.versions import Versions
from kitestring.errors import ConfigError

AIRBYTES: dict[str, Any] = {
    "host": "db.example.com",
    "port": "8443",
    "protocol": "https",
    "database": "shop",
    "username": "writer",
    "password": "secret",
    "enable_json": False,
    "record_window_size": 50_000,
    "tunnel_method": {"tunnel_method": "NO_TUNNEL"},
}


def test_the_configuration_of_airbytes_connector_is_accepted() -> None:
    destination = Clickhouse.load(AIRBYTES)
    assert (destination.port, destination.protocol, destination.database) == (8443, "https", "shop")
    assert Clickhouse.load({"ssl": True}).protocol == "https"


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"enable_json": True}, "the type JSON changes values"),
        ({"jdbc_url_params": "a=b"}, "another driver"),
        (
            {"tunnel_method": {"tunnel_method": "SSH_KEY_AUTH", "tunnel_host": "h"}},
            "this connector has no tunnels",
        ),
    ],
)
def test_an_option_that_would_have_an_effect_here_is_refused_with_its_reason(option: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Clickhouse.load({**AIRBYTES, **option})


def test_names_fit_into_file_names_and_stay_apart() -> None:
    names = ["n" * 300 + "1", "n" * 300 + "2", "日本" * 60, "日本" * 61, "a b" * 90]
    tables = {DIALECT.safe_table(name) for name in names}
    assert len(tables) == len(names)
    assert max(map(DIALECT.size, tables)) <= FILE_BYTES
    schemas = {DIALECT.safe_schema(name) for name in names}
    assert len(schemas) == len(names)
    assert max(map(DIALECT.size, schemas)) <= SCHEMA_BYTES
    assert DIALECT.safe("orders") == "orders"
    assert [DIALECT.safe(name) for name in ("_part", "_kitestring_x", "")] == ["__part", "__kitestring_x", "_"]


def test_a_version_is_above_all_of_the_table_and_of_other_threads() -> None:
    versions, future = Versions(), time.time_ns() + 10**15
    assert versions.next("a", "slow clock", 100, lambda: future) == future + 1
    assert versions.next("a", "slow clock", 1, lambda: 0) == future + 102  # behind the copies of the rows before
    numbers: list[int] = []

    def write() -> None:
        numbers.extend(versions.next("a", "b", 10, lambda: 0) for _ in range(200))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(numbers)
    assert all(after > before + 10 for before, after in itertools.pairwise(ordered))
