"""What the source's configuration takes. (How it reads is tested with a real server, in tests/integration.)"""

from __future__ import annotations

from typing import Any

import pytest

import kitestring as ks


@pytest.mark.parametrize(
    "config",
    [
        {"tunnel_method": {"tunnel_method": "NO_TUNNEL"}, "replication_method": {"method": "Standard"}},
        {"entra_service_principal_auth": False, "jdbc_url_params": "", "ssl_mode": {"mode": "prefer"}},
    ],
)
def test_options_of_airbytes_connector_that_ask_for_nothing_more_are_taken(config: dict[str, Any]) -> None:
    assert ks.source("postgres", {"host": "db", **config}).connector


@pytest.mark.parametrize(
    "config",
    [
        {"tunnel_method": {"tunnel_method": "SSH_KEY_AUTH", "tunnel_host": "bastion"}},
        {"replication_method": {"method": "CDC"}},
    ],
)
def test_options_of_airbytes_connector_that_are_not_there_are_refused_not_ignored(config: dict[str, Any]) -> None:
    with pytest.raises(ks.ConfigError, match="does not have yet"):
        ks.source("postgres", {"host": "db", **config})
