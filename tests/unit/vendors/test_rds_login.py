"""Tokens of AWS in place of a database's password: what is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring import registry
from kitestring.config import secrets_in
from kitestring.errors import AuthError, ConfigError
from kitestring.vendors.rds_login import RdsLogin

KEYS = {"method": "aws_iam", "region": "eu-central-1", "access_key_id": "AKID", "secret_access_key": "hunter2"}
ENCRYPTED = {"postgres": "require", "mysql": "required"}
CONNECTORS = [(kind, name) for kind in ("source", "destination") for name in ENCRYPTED]


def built(kind: Any, name: str, **options: Any) -> Any:
    connector = registry.connector(kind, name).load()
    return connector.load({"host": "db.example.com", "database": "shop", "username": "loader", **options})


@pytest.mark.parametrize(("kind", "name"), CONNECTORS)
def test_a_token_needs_tls(kind: Any, name: str) -> None:
    connector = built(kind, name, authentication=KEYS, ssl_mode=ENCRYPTED[name])
    assert connector.machine_use() is None
    assert {"AKID", "hunter2"} <= set(secrets_in({"authentication": KEYS}, connector.spec()))
    for mode in ({}, {"ssl_mode": "prefer" if name == "postgres" else "preferred"}):
        with pytest.raises(ConfigError, match="without TLS: set ssl_mode to one of"):
            built(kind, name, authentication=KEYS, **mode)


def test_a_url_with_a_login_of_its_own_is_refused() -> None:
    with pytest.raises(ConfigError, match="url has a login of its own"):
        built("source", "postgres", authentication=KEYS, ssl_mode="require", url="postgresql://u:p@h/d")
    with pytest.raises(ConfigError, match="one host"):
        built("source", "postgres", authentication=KEYS, ssl_mode="require", host="a,b")


def test_keys_of_the_machine_are_declared_and_their_absence_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"method": "aws_iam", "region": "eu-central-1"}
    for kind, name in CONNECTORS:
        connector = built(kind, name, authentication=login, ssl_mode=ENCRYPTED[name])
        assert "credentials of the machine" in str(connector.machine_use())
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(AuthError, match="AWS gives no token for loader at db"):
        RdsLogin(region="eu-central-1").token("db.example.com", 5432, "loader")
