"""The egress policy: keeps connectors away from this machine and private networks (`allow_private_hosts: false`).

It is installed in the child process in which a connector runs. Every connection of Python's sockets is checked at its
resolved address, whether it comes from a configuration, a redirect or a link in an answer, and however it is spelled.
The socket gets the very address that was checked, so that a name cannot resolve to another a moment later. Behind that,
an audit hook, which cannot be removed, refuses connections that were made in another way.

Native drivers do not use Python's sockets. Their connectors pin them (`Config.pin`): each host is resolved and checked
once, and every connection goes to that address. What cannot be checked is refused (`confinement.py`): connectors that
do not declare how they reach the network, programs of their own, files of this machine, Unix sockets.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kitestring.config import Config
from kitestring.errors import ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy", "grpc_proxy", "no_grpc_proxy")
CREDENTIALS = ("AWS_", "AZURE_", "GOOGLE_", "GCLOUD_", "CLOUDSDK_")
"""Prefixes of the variables by which cloud libraries find the credentials of this machine."""
NOWHERE = {
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "CLOUDSDK_CONFIG": os.devnull,
}
"""Variables that keep them from finding credentials in the home folder."""
PROCESSES = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"})


def networks_of(text: str) -> list[Network]:
    """The networks of the setting `allowed_networks`, which was checked before."""
    return [ipaddress.ip_network(network.strip()) for network in text.split(",") if network.strip()]


class EgressPolicy:
    """Which addresses connectors may reach: public ones, and those of the private networks in `allowed`."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self.allowed = tuple(allowed)
        self._own = threading.local()
        self._credentials: dict[str, str] = {}

    def check(self, host: str, address: str) -> None:
        """`ConfigError` for an address that is neither public nor allowed."""
        if getattr(self._own, "trusted", False):
            return
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            raise ConfigError(
                f"{host} is not a valid address", hint="This server lets connectors reach public addresses only."
            ) from None
        for meaning in meanings(ip):
            inside = any(meaning in network for network in self.allowed if network.version == meaning.version)
            if not inside and (not meaning.is_global or meaning.is_multicast):
                where = host if host == address else f"{host} ({address})"
                raise ConfigError(
                    f"{where} is not an address of the public internet, and this server lets connectors reach no other",
                    hint="Its operator can allow it: KITESTRING_ALLOWED_NETWORKS, or KITESTRING_ALLOW_PRIVATE_HOSTS.",
                )

    def resolve(self, host: str, port: int) -> str:
        """One address of a host, after checking all of them. IPv4 if there is one: a pinned driver tries no second
        address, and not every network and driver has IPv6."""
        try:
            places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError) as error:  # an impossible name is a ValueError
            raise ConfigError(f"the host {host} is not known", hint="Check the address.") from error
        addresses = [str(place[0]) for *_, place in places]
        for address in addresses:
            self.check(host, address)
        return next((address for address in addresses if ":" not in address), addresses[0])

    @contextlib.contextmanager
    def trusted(self) -> Iterator[None]:
        """Suspend the policy in this thread for what the operator chose (the address of Vault); the machine's
        credentials are visible meanwhile."""
        self._own.trusted = True
        before = self._exchanged(self._credentials)
        try:
            yield
        finally:
            self._own.trusted = False
            self._exchanged(before)

    def pin(self, connector: Config) -> None:
        """Pin a connector, and each connector inside it, to checked addresses. `ConfigError` if it cannot be pinned or
        its address is not allowed."""
        for part in connector.parts():
            part.pin(self.resolve)

    def install(self) -> None:
        """Apply the policy to this process for good. Proxies of the environment would bypass it and are removed. So are
        the credentials of this machine: the editor of a source chooses where they would be sent."""
        for name in PROXIES:
            os.environ.pop(name, None)
            os.environ.pop(name.upper(), None)
        self._credentials = self._exchanged(NOWHERE)
        real_connect, real_connect_ex = socket.socket.connect, socket.socket.connect_ex
        real_sendto: Callable[..., int] = socket.socket.sendto

        def numeric(sock: socket.socket, place: Any) -> Any:
            """The socket address with its host resolved and checked."""
            if sock.family not in (socket.AF_INET, socket.AF_INET6):
                raise ConfigError(
                    "a connector tried to open a local socket, and this server lets connectors reach public hosts only",
                    hint="Use an address of the public internet.",
                )
            host, port, *rest = place
            if not is_numeric(host):
                places = socket.getaddrinfo(host, port, sock.family, sock.type)
                host, port, *rest = places[0][4]
            self.check(str(place[0]), str(host))
            return (host, port, *rest)

        def connect(sock: socket.socket, place: Any) -> None:
            real_connect(sock, numeric(sock, place))

        def connect_ex(sock: socket.socket, place: Any) -> int:
            return real_connect_ex(sock, numeric(sock, place))

        def sendto(sock: socket.socket, data: Any, *arguments: Any) -> int:
            return real_sendto(sock, data, *arguments[:-1], numeric(sock, arguments[-1]))

        socket.socket.connect = connect  # type: ignore[method-assign, assignment]
        socket.socket.connect_ex = connect_ex  # type: ignore[method-assign, assignment]
        socket.socket.sendto = sendto  # type: ignore[method-assign, assignment]
        sys.addaudithook(self._hook)

    def _exchanged(self, new: Mapping[str, str]) -> dict[str, str]:
        """Replace the credential variables of the environment by these; returns the former ones."""
        before = {name: value for name, value in os.environ.items() if name.startswith(CREDENTIALS)}
        for name in before:
            del os.environ[name]
        os.environ.update(new)
        return before

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            place = args[1]
            if place is None:
                return  # a datagram on a socket that was checked when it was connected
            if not isinstance(place, tuple) or not is_numeric(place[0]):
                raise ConfigError("a connector tried to reach an unchecked address", hint="Please report it.")
            self.check(str(place[0]), str(place[0]))
        elif event in PROCESSES:
            raise ConfigError(
                "a connector tried to start a program, which this server could not keep from private addresses",
                hint="Use a connector of Kitestring's own, or set KITESTRING_ALLOW_PRIVATE_HOSTS.",
            )


def meanings(address: Address) -> list[Address]:
    """An address, and the IPv4 addresses embedded in it (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    addresses: list[Address] = [address]
    if address.sixtofour is not None:
        addresses.append(address.sixtofour)
    if address.teredo is not None:
        addresses += address.teredo
    if address in ipaddress.ip_network("64:ff9b::/96") or address in ipaddress.ip_network("::/96"):
        addresses.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return addresses


def is_numeric(host: Any) -> bool:
    """Whether a host is a canonical IP address; other spellings (octal, decimal) are resolved as names."""
    try:
        ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return True


def restrict_to_network() -> None:
    """For third-party code that needs the network only (apprise), for good in this process: only files of the program
    are read, no file is written, no program is started, no local socket or system log is used."""
    import site
    import ssl
    import sysconfig

    import certifi

    authorities = ssl.get_default_verify_paths()
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), certifi.where(), "/usr/share/zoneinfo"}
    folders |= {path for path in (authorities.cafile, authorities.capath, authorities.openssl_cafile) if path}
    code = (".py", ".pyc", ".so", ".pyd")
    places = tuple({os.path.realpath(folder) for folder in folders})

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str | bytes):
            path, mode, flags = os.path.realpath(os.fsdecode(args[0])), args[1], args[2]
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or (mode and set(mode) & set("wax+"))
            readable = path.endswith(code) or any(path == folder or path.startswith(f"{folder}/") for folder in places)
            allowed = path == os.devnull or (readable and not writes)
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            allowed = args[1] is None or isinstance(args[1], tuple)
        else:
            allowed = event not in PROCESSES and not event.startswith("syslog.")
        if not allowed:  # an OSError: libraries go on without an optional file (a netrc, a list of types)
            raise PermissionError(errno.EACCES, "a notification may use the network only, not this machine", event)

    sys.addaudithook(hook)
