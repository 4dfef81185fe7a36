"""What keeps connectors away from this machine and the private network: `allow_private_hosts: false`.

It stands in the child process in which a connector runs. Every connection that Python's sockets make is checked at the
address it goes to, whoever chose it (a configuration, a redirect, a link in an answer), however it was written, and
after its name was resolved: the socket gets the very address that was checked, so that a name cannot lead elsewhere
a moment later. An audit hook, which nothing can take out again, is behind that and refuses what came another way.

Native drivers do not use Python's sockets. Their connectors pin them (`Config.pin`): each host is resolved and checked
once, and every connection goes to that address. What cannot be held back is refused (`confinement.py`): connectors that
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
"""Variables by which a library of a cloud finds the credentials of this machine."""
NOWHERE = {
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "CLOUDSDK_CONFIG": os.devnull,
}
"""So that it does not find them in the home folder either."""
PROCESSES = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"})


def networks_of(text: str) -> list[Network]:
    """The networks of the setting `allowed_networks`, which has checked the text."""
    return [ipaddress.ip_network(network.strip()) for network in text.split(",") if network.strip()]


class EgressPolicy:
    """Which addresses connectors may reach. `allowed` are private networks that they may reach nevertheless."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self.allowed = tuple(allowed)
        self._own = threading.local()
        self._credentials: dict[str, str] = {}

    def check(self, host: str, address: str) -> None:
        """`ConfigError` for an address that is not of the public internet."""
        if getattr(self._own, "trusted", False):
            return
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            raise ConfigError(
                f"{host} is no address that can be checked", hint="This server lets connectors reach public ones only."
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
        """One address of a host, checked: all of them have to be public. IPv4 where there is one: a driver that is
        pinned tries no second one, and not every network and driver has IPv6."""
        try:
            places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError) as error:  # a name that none can be is a ValueError
            raise ConfigError(f"the host {host} is not known", hint="Check the address.") from error
        addresses = [str(place[0]) for *_, place in places]
        for address in addresses:
            self.check(host, address)
        return next((address for address in addresses if ":" not in address), addresses[0])

    @contextlib.contextmanager
    def trusted(self) -> Iterator[None]:
        """What the operator chose (the address of Vault) is not checked, in this thread. It gets the machine's
        credentials."""
        self._own.trusted = True
        before = self._exchanged(self._credentials)
        try:
            yield
        finally:
            self._own.trusted = False
            self._exchanged(before)

    def pin(self, connector: Config) -> None:
        """Tie a connector, and each connector inside it, to addresses that were checked. `ConfigError` where it cannot
        be tied, or may not go where it is sent."""
        for part in connector.parts():
            part.pin(self.resolve)

    def install(self) -> None:
        """Keep this process to the policy, for good. A proxy of the environment would go around it, and is left. The
        credentials of this machine are its operator's: who edits a source chooses where they would be used."""
        for name in PROXIES:
            os.environ.pop(name, None)
            os.environ.pop(name.upper(), None)
        self._credentials = self._exchanged(NOWHERE)
        real_connect, real_connect_ex = socket.socket.connect, socket.socket.connect_ex
        real_sendto: Callable[..., int] = socket.socket.sendto

        def numeric(sock: socket.socket, place: Any) -> Any:
            """The address with its host resolved and checked."""
            if sock.family not in (socket.AF_INET, socket.AF_INET6):
                raise ConfigError(
                    "a connector asked for a socket of this machine, and this server lets it reach public hosts only",
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
        """Put these in the place of the variables of credentials; what they were."""
        before = {name: value for name, value in os.environ.items() if name.startswith(CREDENTIALS)}
        for name in before:
            del os.environ[name]
        os.environ.update(new)
        return before

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            place = args[1]
            if place is None:
                return  # a datagram on a socket that was connected, and checked, before
            if not isinstance(place, tuple) or not is_numeric(place[0]):
                raise ConfigError("a connector tried to reach an address that was not checked", hint="Report it.")
            self.check(str(place[0]), str(place[0]))
        elif event in PROCESSES:
            raise ConfigError(
                "a connector tried to start a program, and this server lets none run that it cannot hold back",
                hint="Use a connector of Kitestring's own, or set KITESTRING_ALLOW_PRIVATE_HOSTS.",
            )


def meanings(address: Address) -> list[Address]:
    """An address, and the IPv4 addresses that it stands for (mapped, 6to4, Teredo, NAT64)."""
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
    """Whether a host is an address as the system writes it; other spellings (octal, decimal) are names to resolve."""
    try:
        ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return True


def restrict_to_network() -> None:
    """For good in this process: no file but those of the program is read, none is written, no program is started, no
    socket or log of this machine is reached. For code of others that needs the network alone (apprise)."""
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
        if not allowed:  # an OSError, with which libraries go on where they can do without (a netrc, a list of types)
            raise PermissionError(
                errno.EACCES, "a notice leaves over the network only, and this is of the machine", event
            )

    sys.addaudithook(hook)
