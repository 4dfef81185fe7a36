"""The sources of SQL Server, Oracle and BigQuery as far as they go without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kitestring.errors import ConfigError, TransientError
from kitestring.sources.bigquery import Bigquery
from kitestring.sources.mssql import Mssql
from kitestring.sources.oracle import Oracle

MSSQL: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 9,
    "database": "shop",
    "schemas": ["dbo"],
    "username": "reader",
    "password": "hunter2",
    "ssl_method": {"ssl_method": "encrypted_trust_server_certificate"},
    "replication_method": {"method": "STANDARD"},
    "tunnel_method": {"tunnel_method": "NO_TUNNEL"},
}
ORACLE: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 9,
    "connection_data": {"connection_type": "service_name", "service_name": "FREEPDB1"},
    "username": "reader",
    "password": "hunter2",
    "schemas": ["SHOP"],
    "encryption": {"encryption_method": "unencrypted"},
}


def test_the_configurations_of_airbyte_are_accepted() -> None:
    assert Mssql.load(MSSQL).place() == "127.0.0.1/shop"
    assert Mssql.load(MSSQL).connect_args()["encryption"] == "require"
    oracle = Oracle.load(ORACLE)
    assert (oracle.place(), oracle.read_schemas()) == ("127.0.0.1:9/FREEPDB1", ["shop"])
    encrypted = {"encryption": {"encryption_method": "encrypted_verify_certificate", "ssl_certificate": ""}}
    assert Oracle.load({**ORACLE, **encrypted}).connect_args()["protocol"] == "tcps"


@pytest.mark.parametrize(
    ("source", "config", "words"),
    [
        (Mssql, {**MSSQL, "replication_method": {"method": "CDC"}}, "replication_method needs"),
        (Mssql, {**MSSQL, "tunnel_method": {"tunnel_method": "SSH_KEY_AUTH"}}, "tunnel_method needs"),
        (Mssql, {**MSSQL, "ssl_method": {"ssl_method": "encrypted_verify_certificate"}}, "ssl_method"),
        (Oracle, {**ORACLE, "sid": "XE"}, "either `service_name` or `sid`"),
        (Oracle, {**ORACLE, "encryption": {"encryption_method": "client_nne"}}, "native network encryption"),
        (Oracle, {**ORACLE, "jdbc_url_params": "x=1"}, "jdbc_url_params needs"),
    ],
)
def test_what_needs_more_is_refused_with_its_name(source: Any, config: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        source.load(config)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(("source", "config", "package"), [(Mssql, MSSQL, "pymssql"), (Oracle, ORACLE, "oracledb")])
def test_a_server_that_is_away_may_come_back(source: Any, config: Any, package: str) -> None:
    pytest.importorskip(package)
    with pytest.raises(TransientError, match="cannot be read now") as caught:
        source.load(config).check()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["hunter2", "[]", "{}", json.dumps({"type": "service_account", "private_key": "hunter2"})]
)
def test_credentials_of_bigquery_that_are_no_key_are_refused_without_them(text: str) -> None:
    pytest.importorskip("sqlalchemy_bigquery")
    source = Bigquery.load({"project_id": "p", "dataset_id": "shop", "credentials_json": text})
    with pytest.raises(ConfigError, match="`credentials_json` is not the key") as caught:
        source.check()
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
