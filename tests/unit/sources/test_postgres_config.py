"""What the source's configuration takes. (How it reads is tested with a real server, in tests/integration.)"""

from __future__ import annotations

from typing import Any

import pytest

import kitestring as ks
from kitestring.errors import TransientError
from kitestring.vendors.postgres.errors import Place, translated


@pytest.mark.parametrize(
    "config",
    [
        {"tunnel_method": {"tunnel_method": "NO_TUNNEL"}, "replication_method": {"method": "Standard"}},
        {"entra_service_principal_auth": False, "jdbc_url_params": "", "ssl_mode": {"mode": "prefer"}},
        {"tunnel_method": None},
    ],
)
def test_options_of_airbytes_connector_that_ask_for_nothing_more_are_taken(config: dict[str, Any]) -> None:
    assert ks.source("postgres", {"host": "db", **config}).connector


@pytest.mark.parametrize(
    "config",
    [
        {"entra_service_principal_auth": True, "entra_tenant_id": "t"},
    ],
)
def test_options_of_airbytes_connector_that_are_not_there_are_refused_not_ignored(config: dict[str, Any]) -> None:
    with pytest.raises(ks.ConfigError, match="does not have yet"):
        ks.source("postgres", {"host": "db", **config})


def test_the_options_of_airbytes_change_data_capture_are_taken() -> None:
    method = {
        "method": "CDC",
        "plugin": "pgoutput",
        "replication_slot": "airbyte_slot",
        "publication": "airbyte_publication",
        "initial_waiting_seconds": 1200,
        "queue_size": 10000,
        "lsn_commit_behaviour": "After loading Data in the destination",
        "heartbeat_action_query": "",
        "initial_load_timeout_hours": 8,
        "invalid_cdc_cursor_position_behavior": "Fail sync",
    }
    config = {"host": "db", "replication_method": method}
    taken = ks.source("postgres", config).connector.replication_method
    assert (taken.replication_slot, taken.publication) == ("airbyte_slot", "airbyte_publication")


def test_a_sync_that_would_load_everything_again_in_silence_is_refused() -> None:
    method = {"method": "CDC", "invalid_cdc_cursor_position_behavior": "Re-sync data"}
    with pytest.raises(ks.ConfigError, match="invalid_cdc_cursor_position_behavior"):
        ks.source("postgres", {"host": "db", "replication_method": method})


@pytest.mark.parametrize("state", ["starting up", "not yet accepting connections"])
def test_a_server_that_recovers_is_asked_again(state: str) -> None:
    error = translated(Exception(f"connection failed: FATAL: the database system is {state}"), Place("h", 1, "d", "u"))
    assert isinstance(error, TransientError)
    assert "is starting up" in error.message
