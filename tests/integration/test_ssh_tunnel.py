"""PostgreSQL through an SSH tunnel: a real database behind a real SSH server, both on this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from ssh_servers import SSHD, SshServer, openssh

from kitestring.config import masked, secrets_in
from kitestring.destinations.postgres import Postgres as PostgresDestination
from kitestring.engine import MemoryStates, Selection, sync
from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError
from kitestring.sources.postgres import Postgres


@pytest.fixture(scope="module")
def bastion() -> Iterator[SshServer]:
    with SshServer().running() as server:
        yield server


def behind(database: Any, tunnel: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**database.config, "tunnel_method": tunnel, **more}


def names(config: dict[str, Any]) -> list[str]:
    source = Postgres.load(config)
    try:
        source.check()
        return sorted(stream.name for stream in source.discover())
    finally:
        source.close()


def test_a_source_and_a_destination_work_through_a_tunnel(database: Any, bastion: SshServer) -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 1000)")
    config, before = behind(database, bastion.tunnel()), len(bastion.targets)
    source = Postgres.load(config)
    destination = PostgresDestination.load({**config, "schema": "copy"})
    result = sync(source, destination, [Selection("t", namespace="copy", write_mode="overwrite")])
    assert result.ok, result.as_dict()
    assert database.run("SELECT count(*)::int AS n FROM copy.t")[0]["n"] == 1000
    assert set(bastion.targets[before:]) == {(database.config["host"], database.config["port"])}
    assert (source._tunnel._connection, destination._tunnel._connection) == (None, None)


def test_the_server_behind_a_tunnel_is_named_as_the_ssh_server_reaches_it(database: Any, bastion: SshServer) -> None:
    database.run("CREATE TABLE t (id int)")
    url = "postgresql://{username}:{password}@localhost:{port}/{database}?sslmode=disable"
    config = {"url": url.format(**{"password": "", **database.config}), "tunnel_method": bastion.tunnel()}
    assert names(config) == ["t"]
    assert bastion.targets[-1][0] == "localhost"
    with pytest.raises(TransientError, match="does not reach no-such-host"):
        names(behind(database, bastion.tunnel(), host="no-such-host.invalid"))
    with pytest.raises(ConfigError, match="does not allow connections to"):
        names(behind(database, bastion.tunnel(), port=1))


def test_a_password_opens_a_tunnel_too(database: Any, bastion: SshServer) -> None:
    database.run("CREATE TABLE t (id int)")
    tunnel = {**bastion.tunnel(), "tunnel_method": "SSH_PASSWORD_AUTH", "tunnel_user_password": "pass word"}
    del tunnel["ssh_key"]
    assert names(behind(database, tunnel)) == ["t"]
    with pytest.raises(AuthError, match="refuses the password of the user guest") as refused:
        names(behind(database, {**tunnel, "tunnel_user_password": "wrong pass"}))
    assert "wrong pass" not in f"{refused.value} {refused.value.hint}"


def test_a_key_with_a_password_opens_a_tunnel_and_a_wrong_one_is_named(database: Any, bastion: SshServer) -> None:
    database.run("CREATE TABLE t (id int)")
    for form in ("openssh", "pkcs8-pem"):
        sealed = bastion.client_key.export_private_key(form, passphrase="open sesame", rounds=50).decode()
        assert names(behind(database, bastion.tunnel(ssh_key=sealed, ssh_key_password="open sesame"))) == ["t"]
    for tunnel in (
        bastion.tunnel(ssh_key=sealed),
        bastion.tunnel(ssh_key=sealed, ssh_key_password="close"),
        bastion.tunnel(ssh_key="no key"),
    ):
        with pytest.raises(ConfigError, match="the private key of the SSH tunnel cannot be read") as unreadable:
            names(behind(database, tunnel))
        assert unreadable.value.fields["option"] == "tunnel_method.ssh_key"
    with pytest.raises(AuthError, match="refuses the key of the user guest"):
        names(behind(database, bastion.tunnel(ssh_key=SshServer().client_key.export_private_key().decode())))


def test_a_host_key_that_is_not_the_known_one_is_refused(database: Any, bastion: SshServer, caplog: Any) -> None:
    other = SshServer().host_key.export_public_key().decode()
    with pytest.raises(ConfigError, match="shows a host key that is not in `tunnel_host_key`"):
        names(behind(database, bastion.tunnel(tunnel_host_key=other)))
    with pytest.raises(ConfigError, match="the host key of the SSH tunnel cannot be read"):
        names(behind(database, bastion.tunnel(tunnel_host_key="ssh-ed25519 nonsense")))
    database.run("CREATE TABLE t (id int)")
    with caplog.at_level(logging.INFO, "kitestring.ssh"):
        assert names(behind(database, bastion.tunnel(tunnel_host_key=None))) == ["t"]
    (record,) = [record for record in caplog.records if "not checked" in record.message]
    assert record.fingerprint == bastion.host_key.get_fingerprint()


def test_a_tunnel_that_was_cut_is_opened_again(database: Any, bastion: SshServer) -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    source = Postgres.load(behind(database, bastion.tunnel()))
    try:
        assert len(source.discover()) == 1
        connection = source._tunnel._connection
        bastion.cut()
        asyncio.run_coroutine_threadsafe(connection.wait_closed(), source._tunnel._loop).result(300)
        assert len(source.discover()) == 1
        assert source._tunnel._connection is not connection
    finally:
        source.close()


def test_an_ssh_server_that_is_not_there_is_named(database: Any, bastion: SshServer) -> None:
    for host, error in (("no-such-host.invalid", ConfigError), ("127.0.0.1", TransientError)):
        with pytest.raises(KitestringError, match=f"the SSH server {host}:9") as unreachable:
            names(behind(database, bastion.tunnel(tunnel_host=host, tunnel_port=9)))
        assert type(unreachable.value) is error


def test_the_secrets_of_a_tunnel_are_secrets(bastion: SshServer) -> None:
    tunnel = bastion.tunnel(ssh_key_password="open sesame")
    config = {"host": "db", "tunnel_method": tunnel}
    secrets = set(secrets_in(config, Postgres.spec()))
    assert secrets == {tunnel["ssh_key"], "open sesame"}
    assert "PRIVATE KEY" not in str(masked(config, Postgres.spec()))
    assert "PRIVATE KEY" not in repr(Postgres.load(config))


def test_a_pinned_connector_resolves_no_name_behind_its_tunnel(database: Any, bastion: SshServer) -> None:
    """The name of the database means something to the SSH server, and its address is none that this machine calls."""
    database.run("CREATE TABLE t (id int)")

    def refuse(host: str, port: int) -> str:
        raise ConfigError(f"{host} was resolved")

    source = Postgres.load(behind(database, bastion.tunnel(), host="localhost"))
    source.pin(refuse)
    try:
        assert len(source.discover()) == 1
    finally:
        source.close()


@pytest.mark.skipif(SSHD is None, reason="OpenSSH's server is not installed")
def test_opensshs_server_is_a_tunnel_as_well(database: Any, tmp_path: Any) -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 1000)")
    with openssh(tmp_path) as tunnel:
        source = Postgres.load(behind(database, tunnel))
        destination = PostgresDestination.load({**behind(database, tunnel), "schema": "copy"})
        states = MemoryStates()
        result = sync(source, destination, [Selection("t", namespace="copy", write_mode="overwrite")], states=states)
        assert result.ok, result.as_dict()
    assert database.run("SELECT count(*)::int AS n FROM copy.t")[0]["n"] == 1000
