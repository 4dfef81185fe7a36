"""The hosts and ports that a connector connects to, from a list or a connection URL: one parser for all connectors.

A driver with its own sockets may read a URL differently from how it was checked. So a pinned connector passes its
driver the parts from `ConnectionUrl.parse`, with the checked address of each host, and never the URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote

from kitestring.errors import ConfigError

Resolve: TypeAlias = Callable[[str, int], str]
"""`resolve(host, port)` gives the address of a host that was checked; `ConfigError` for one that is not allowed."""

HOST = re.compile(
    r"\[(?P<v6>[^\]]*)\](?::(?P<v6_port>\d*))?|(?P<name>[^:\[\]/\s]*)(?::(?P<port>\d*))?"
    r"|(?P<bare>(?:[0-9a-fA-F]*:){2,}[0-9a-fA-F.%\w]*)"
)
URL = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*)://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?(?P<hosts>[^/?]*)"
    r"(?:/(?P<path>[^?]*))?(?:\?(?P<parameters>.*))?",
    re.DOTALL,
)


class Endpoint(NamedTuple):
    """A host and its port."""

    host: str
    port: int


def endpoints(hosts: str, port: int | str) -> list[Endpoint]:
    """The endpoints of a list as `a,b:5433,[::1]:5434`; `port` is for those without one: a number, or one for each as
    `5432,5433`. A host that is left out is `localhost`. `ConfigError` for an invalid address."""
    names = hosts.split(",")
    ports = str(port).split(",")
    if len(ports) not in (1, len(names)):
        raise ConfigError(
            f"{len(names)} hosts have {len(ports)} ports", hint="Give one port for all hosts, or one for each."
        )
    places = []
    for number, name in enumerate(names):
        match = HOST.fullmatch(name.strip())
        if match is None:
            raise ConfigError(
                f"{name} is not the name of a host", hint="Write a name or an address, as db.example.com."
            )
        own = match["v6_port"] or match["port"] or ports[number % len(ports)].strip()
        if not own.isdecimal() or not 0 < int(own) < 65536:
            raise ConfigError(f"the port of {name or 'localhost'} is {own}", hint="A port is a number up to 65535.")
        places.append(Endpoint(match["v6"] or match["name"] or match["bare"] or "localhost", int(own)))
    return places


def pinned(places: Sequence[Endpoint], resolve: Resolve) -> list[str]:
    """The checked address of each endpoint. All of them have to be allowed."""
    return [resolve(place.host, place.port) for place in places]


@dataclass(frozen=True, slots=True)
class ConnectionUrl:
    """The parts of `scheme://user:password@host:port,host:port/path?name=value`, as libpq and SQLAlchemy write it.

    Parameters are taken from the text as libpq takes them: the last of a name counts, `+` is a plus.
    """

    scheme: str
    user: str | None
    password: str | None
    hosts: str
    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: str) -> ConnectionUrl:
        """`ConfigError` for a text that is no such URL."""
        match = URL.fullmatch(url)
        if match is None:
            raise ConfigError(
                "the connection URL is invalid", hint="Write it as scheme://user:password@host:port/database."
            )
        parameters: dict[str, str] = {}
        hosts: dict[str, list[str]] = {"host": [], "port": []}
        for part in (match["parameters"] or "").split("&"):
            name, _, value = part.partition("=")
            if part:
                parameters[unquote(name)] = unquote(value)
                hosts.get(unquote(name), []).append(unquote(value))
        # SQLAlchemy repeats `host` and `port` for each server.
        parameters.update({name: ",".join(values) for name, values in hosts.items() if len(values) > 1})
        user, password = match["user"], match["password"]
        return cls(
            match["scheme"].lower(),
            None if user is None else unquote(user),
            None if password is None else unquote(password),
            unquote(match["hosts"]),
            unquote(match["path"] or ""),
            parameters,
        )

    def endpoints(self, port: int) -> list[Endpoint]:
        """The endpoints that a driver connects to: the parameters `host` and `port` override its hosts."""
        return endpoints(self.parameters.get("host", self.hosts), self.parameters.get("port") or port)
