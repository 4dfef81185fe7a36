"""The SSL modes of PostgreSQL with real certificates, with the driver of the source and that of the destination."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from tls_relay import Authority, tls_relay

from kitestring.destinations.postgres import Postgres as PostgresDestination
from kitestring.errors import AuthError, KitestringError, TransientError
from kitestring.sources.postgres import Postgres
from kitestring.vendors.postgres import Place, translated
from kitestring.vendors.rds_login import RdsLogin

OWN, OTHER = Authority(), Authority()


def outcome(database: Any, port: int, ssl_mode: Any, host: str = "localhost") -> str:
    """What both drivers say: nothing if they connect."""
    config = {**database.config, "host": host, "port": port, "ssl_mode": ssl_mode}
    messages = []
    for connector in (Postgres.load(config), PostgresDestination.load({**config, "schema": "public"})):
        try:
            connector.check()
            messages.append("")
        except KitestringError as error:
            messages.append(str(error))
        finally:
            connector.close()
    assert bool(messages[0]) == bool(messages[1]), messages
    return messages[0]


def test_the_certificate_of_a_server_is_checked_as_the_mode_says(database: Any, tmp_path: Path) -> None:
    database.run("CREATE TABLE t (id int)")
    with tls_relay(tmp_path, database.config["port"], OWN.issue("db.example.com")) as (port, shown):
        for mode, fails in (
            ("require", ""),
            ({"mode": "verify-ca", "ca_certificate": OWN.pem}, ""),
            ({"mode": "verify-ca", "ca_certificate": OTHER.pem}, "fails the checks of `ssl_mode`"),
            ({"mode": "verify-full", "ca_certificate": OWN.pem}, "fails the checks of `ssl_mode`"),  # another name
        ):
            assert fails in outcome(database, port, mode), mode
            assert bool(fails) == bool(outcome(database, port, mode)), mode
        assert shown
    with tls_relay(tmp_path, database.config["port"], OWN.issue("localhost")) as (port, _):
        for host in ("localhost", "127.0.0.1"):
            assert not outcome(database, port, {"mode": "verify-full", "ca_certificate": OWN.pem}, host)


@pytest.mark.parametrize("password", ["", "open sesame"])
def test_a_client_shows_its_certificate(database: Any, tmp_path: Path, password: str) -> None:
    database.run("CREATE TABLE t (id int)")
    certificate, key = OWN.issue("reader", password)
    mode = {
        "mode": "verify-full",
        "ca_certificate": OWN.pem,
        "client_certificate": certificate,
        "client_key": key,
        **({"client_key_password": password} if password else {}),
    }
    with tls_relay(tmp_path, database.config["port"], OWN.issue("localhost"), clients=OWN) as (port, shown):
        assert not outcome(database, port, mode)
        assert {pair for name in shown[0]["subject"] for pair in name} == {("commonName", "reader")}
        without = {name: value for name, value in mode.items() if not name.startswith("client")}
        assert outcome(database, port, without)
        stranger, stranger_key = OTHER.issue("reader")
        other = {**without, "client_certificate": stranger, "client_key": stranger_key}
        assert outcome(database, port, other)
        if password:
            refusal = outcome(database, port, {**mode, "client_key_password": "wrong word"})
            assert refusal
            assert password not in refusal
            assert "wrong word" not in refusal


def test_each_connection_signs_in_with_a_new_token_of_aws(
    database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server accepts the token of one moment alone, as its password."""
    keys = {"region": "eu-central-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "hunter2"}
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    database.run("CREATE ROLE loader LOGIN")
    with tls_relay(tmp_path, database.config["port"], OWN.issue("localhost")) as (port, _):
        config = {
            **database.config,
            "host": "localhost",
            "port": port,
            "username": "loader",
            "password": None,
            "ssl_mode": {"mode": "verify-full", "ca_certificate": OWN.pem},
            "authentication": {"method": "aws_iam", **keys},
        }
        source = Postgres.load(config)
        try:
            for minute in range(2):
                now = moment + dt.timedelta(minutes=minute)
                monkeypatch.setattr("botocore.auth.get_current_datetime", lambda now=now: now)
                with pytest.raises(AuthError) as caught:
                    source.open()  # the token of the minute before
                assert "hunter2" not in str(caught.value)
                token = RdsLogin(**keys).token("localhost", port, "loader")
                assert f"localhost:{port}/?Action=connect&DBUser=loader" in token
                database.run(f"ALTER ROLE loader PASSWORD '{token}'")
                source.open().close()
                source.connect().close()
        finally:
            source.close()
            database.run("DROP ROLE loader")


def test_a_tls_connection_that_broke_off_is_no_wrong_setting() -> None:
    place = Place("h", 5432, "d", "u")
    for text in (
        "SSL SYSCALL error: EOF detected",
        "SSL SYSCALL error: Connection reset by peer",
        "SSL error: unexpected eof while reading",
        "SSL connection has been closed unexpectedly",
    ):
        assert type(translated(Exception(f"consuming input failed: {text}"), place)) is TransientError, text
