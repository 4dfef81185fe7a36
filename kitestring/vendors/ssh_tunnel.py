"""SSH tunnels to servers that only a bastion host reaches: their settings, with Airbyte's names, and the tunnel."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import weakref
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import TimeoutError as WaitTimeoutError
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union

from pydantic import ConfigDict

from kitestring.address import Endpoint
from kitestring.config import Config, at_option, option, secret
from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")
log = logging.getLogger("kitestring.ssh")

CONNECT_TIMEOUT_S = 15.0
KEEPALIVE_S = 15.0
"""How often an idle tunnel is tested. It is lost after three tests without an answer."""
LOCALHOST = "127.0.0.1"


class NoTunnel(Config):
    """The server is reached directly."""

    model_config = ConfigDict(title="No tunnel")

    tunnel_method: Literal["NO_TUNNEL"] = option("NO_TUNNEL", order=0)


class SshTunnel(Config):
    """What both kinds of tunnel need."""

    tunnel_host: str = option(order=1, title="SSH host", min_length=1)
    """The bastion host: a server that accepts SSH and reaches the database."""
    tunnel_port: int = option(22, ge=1, le=65_535, order=2, title="SSH port")
    tunnel_user: str = option(order=3, title="SSH user", min_length=1)
    """The user of the bastion host."""
    tunnel_host_key: str | None = option(None, order=8, title="Host key")
    """The public keys of the bastion host, one per line as `ssh-keyscan` prints them. Without them any host key is
    accepted, and the log has its fingerprint."""


class SshKeyTunnel(SshTunnel):
    """The user signs in with a private key."""

    model_config = ConfigDict(title="SSH key")

    tunnel_method: Literal["SSH_KEY_AUTH"] = option("SSH_KEY_AUTH", order=0)
    ssh_key: str = secret(order=4, title="Private key", multiline=True)
    """The private key as text, in the format of OpenSSH or PEM."""
    ssh_key_password: str | None = secret(None, order=5, title="Password of the private key")


class SshPasswordTunnel(SshTunnel):
    """The user signs in with a password."""

    model_config = ConfigDict(title="SSH password")

    tunnel_method: Literal["SSH_PASSWORD_AUTH"] = option("SSH_PASSWORD_AUTH", order=0)
    tunnel_user_password: str = secret(order=4, title="SSH password")


def asks_for_no_tunnel(value: Any) -> bool:
    """Whether the `tunnel_method` of a configuration of Airbyte needs no tunnel, for connectors that have none."""
    method = value.get("tunnel_method") if isinstance(value, Mapping) else value
    return method in (None, "", "NO_TUNNEL")


TunnelMethod = Union[NoTunnel, SshKeyTunnel, SshPasswordTunnel]  # noqa: UP007 - a form shows the choices of a Union


class Tunnel:
    """One SSH connection, and a port of this machine for each server behind it. Safe to share between threads.

    It connects when a port is asked for, and again after it was lost. A thread of its own runs it. The ports listen on
    127.0.0.1; nothing of this machine is used: no key, agent, configuration or list of known hosts.
    """

    def __init__(self, settings: SshKeyTunnel | SshPasswordTunnel) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._ports: dict[Endpoint, int] = {}
        self._finalizer: Any = None

    @property
    def place(self) -> str:
        return f"the SSH server {self.settings.tunnel_host}:{self.settings.tunnel_port}"

    def ports(self, servers: Sequence[Endpoint]) -> list[int]:
        """A port of 127.0.0.1 for each server. Raises our errors where the tunnel cannot be opened, or the bastion host
        does not reach a server."""
        with self._lock:
            if self._connection is not None and self._connection.is_closed():
                self._connection = None
            if self._connection is None:
                self._ports.clear()
                self._connection = self._run(connected(self.settings, self.place))
            for server in servers:
                if server not in self._ports:
                    self._ports[server] = self._run(forwarded(self._connection, server, self.place))
            return [self._ports[server] for server in servers]

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the tunnel's thread and wait for it."""
        if self._loop is None:
            loop = self._loop = asyncio.new_event_loop()
            threading.Thread(target=run_loop, args=(loop,), name="kitestring-ssh", daemon=True).start()
            self._finalizer = weakref.finalize(self, stop_loop, loop)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(3 * CONNECT_TIMEOUT_S)
        except WaitTimeoutError:
            future.cancel()
            hint = "Check `tunnel_host` and the firewall."
            raise TransientError(f"{self.place} does not answer", hint=hint) from None

    def close(self) -> None:
        """Close the tunnel; a later call of `ports` opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
            self._ports.clear()
            try:
                if connection is not None:
                    self._run(closed(connection))
            except TransientError as error:  # the SSH server is gone: nothing is left to be closed
                log.info("%s", error.message)
            finally:
                if self._finalizer is not None:
                    self._finalizer()
                self._loop = self._finalizer = None


def stop_loop(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon_threadsafe(loop.stop)


def run_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def connected(settings: SshKeyTunnel | SshPasswordTunnel, place: str) -> Any:
    asyncssh = library()
    is_key = isinstance(settings, SshKeyTunnel)
    keys = [private_key(settings)] if isinstance(settings, SshKeyTunnel) else None
    known = known_keys(settings.tunnel_host_key) if settings.tunnel_host_key else None
    user = settings.tunnel_user
    try:
        connection = await asyncssh.connect(
            settings.tunnel_host,
            settings.tunnel_port,
            username=user,
            client_keys=keys,
            password=None if isinstance(settings, SshKeyTunnel) else settings.tunnel_user_password,
            preferred_auth="publickey" if is_key else "password,keyboard-interactive",
            known_hosts=None if known is None else (known, [], []),
            # Nothing of the account that this process runs in:
            config=None,
            agent_path=None,
            gss_kex=False,
            gss_auth=False,
            host_based_auth=False,
            connect_timeout=CONNECT_TIMEOUT_S,
            login_timeout=CONNECT_TIMEOUT_S,
            keepalive_interval=KEEPALIVE_S,
        )
    except asyncssh.PermissionDenied:
        what = "key" if is_key else "password"
        field = "`ssh_key`" if is_key else "`tunnel_user_password`"
        raise AuthError(
            f"{place} refuses the {what} of the user {user}", hint=f"Check `tunnel_user` and {field}."
        ) from None
    except asyncssh.HostKeyNotVerifiable:
        raise ConfigError(
            f"{place} shows a host key that is not in `tunnel_host_key`",
            hint="If its key was changed on purpose, set `tunnel_host_key` to the output of ssh-keyscan.",
        ) from None
    except (OSError, asyncssh.Error) as error:
        raise unreachable(place, error) from error
    if known is None and (host_key := connection.get_server_host_key()) is not None:
        log.info(
            "the host key of the SSH server is not checked",
            extra={"server": settings.tunnel_host, "fingerprint": host_key.get_fingerprint()},
        )
    return connection


def unreachable(place: str, error: Exception) -> KitestringError:
    if isinstance(error, socket.gaierror):
        return ConfigError(f"{place} cannot be found: {error}", hint="Check `tunnel_host`.")
    reason = str(error) or type(error).__name__
    return TransientError(f"{place} cannot be reached: {reason}", hint="Check `tunnel_host` and `tunnel_port`.")


async def forwarded(connection: asyncssh.SSHClientConnection, server: Endpoint, place: str) -> int:
    """A port of this machine for a server, after one connection to it as a test."""
    asyncssh = library()
    target = f"{server.host}:{server.port}"
    try:
        _, writer = await connection.open_connection(server.host, server.port)
        writer.close()
        listener = await connection.forward_local_port(LOCALHOST, 0, server.host, server.port)
    except asyncssh.ChannelOpenError as error:
        if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            raise ConfigError(
                f"{place} does not allow connections to {target}",
                hint="Allow them in its sshd_config: AllowTcpForwarding and PermitOpen.",
            ) from None
        raise TransientError(
            f"{place} does not reach {target}: {error.reason}",
            hint="`host` and `port` are those of the database as the SSH server reaches it.",
        ) from None
    except (OSError, asyncssh.Error) as error:
        raise TransientError(f"{place} broke off: {error}", hint="Try again.") from error
    return int(listener.get_port())


async def closed(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    await connection.wait_closed()


def private_key(settings: SshKeyTunnel) -> Any:
    asyncssh = library()
    # A form of one line may have joined the lines of the key.
    text = settings.ssh_key.replace("\\n", "\n").strip() + "\n"
    with at_option("tunnel_method.ssh_key"):
        try:
            return asyncssh.import_private_key(text, settings.ssh_key_password)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
            what = "cannot be read" if settings.ssh_key_password is None else "cannot be read with its password"
            raise ConfigError(
                f"the private key of the SSH tunnel {what}",
                hint="`ssh_key` is a private key of OpenSSH or PEM with all its lines; set `ssh_key_password` where it "
                "has a password.",
            ) from None


def known_keys(text: str) -> list[Any]:
    """The public keys in lines as those of `ssh-keyscan` (a host before the key) or of a `.pub` file."""
    asyncssh = library()
    keys = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place = next((n for n, word in enumerate(words) if word.startswith(("ssh-", "ecdsa-", "sk-"))), None)
        try:
            keys.append(asyncssh.import_public_key(" ".join(words[place : place + 2] if place is not None else words)))
        except (asyncssh.KeyImportError, ValueError):
            keys.clear()
            break
    if not keys:
        with at_option("tunnel_method.tunnel_host_key"):
            raise ConfigError(
                "the host key of the SSH tunnel cannot be read",
                hint="`tunnel_host_key` has lines as ssh-keyscan prints them: ssh-ed25519 AAAA…",
            )
    return keys


def library() -> Any:
    try:
        import asyncssh
    except ImportError as error:
        raise ConfigError(
            "an SSH tunnel needs the package asyncssh, which is not installed", hint="pip install 'kitestring[ssh]'"
        ) from error
    return asyncssh
