"""The `tunnel_method` of Airbyte's configurations, for connectors without SSH tunnels."""

from __future__ import annotations

from typing import Any

import pytest

import kitestring as ks
from kitestring.config import Config
from kitestring.errors import ConfigError


def connector(kind: str, name: str, method: Any) -> Config:
    build = ks.source if kind == "source" else ks.destination
    return build(name, {"database": "shop", "tunnel_method": method}).connector


CONNECTORS = [("source", "mysql"), ("destination", "mysql"), ("source", "clickhouse")]


@pytest.mark.parametrize(("kind", "name"), CONNECTORS)
@pytest.mark.parametrize("method", [None, "", {}, "NO_TUNNEL", {"tunnel_method": "NO_TUNNEL"}])
def test_a_method_without_a_tunnel_is_accepted(kind: str, name: str, method: Any) -> None:
    assert connector(kind, name, method)


@pytest.mark.parametrize(("kind", "name"), CONNECTORS)
@pytest.mark.parametrize("method", ["SSH_KEY_AUTH", {"tunnel_method": "SSH_PASSWORD_AUTH"}, ["NO_TUNNEL"]])
def test_a_tunnel_is_refused_and_not_ignored(kind: str, name: str, method: Any) -> None:
    with pytest.raises(ConfigError, match="tunnel_method needs"):
        connector(kind, name, method)
