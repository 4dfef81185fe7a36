"""Hosts and ports out of lists and connection URLs."""

from __future__ import annotations

import pytest

from kitestring.address import ConnectionUrl, Endpoint, endpoints, pinned
from kitestring.errors import ConfigError


def test_a_list_of_hosts_gives_each_its_port() -> None:
    assert endpoints("a, b:5433,[::1]:5434", 5432) == [("a", 5432), ("b", 5433), ("::1", 5434)]
    assert endpoints("a,b", "1,2") == [("a", 1), ("b", 2)]
    assert endpoints("fe80::1", 5432) == [("fe80::1", 5432)]
    assert endpoints("", 5432) == [("localhost", 5432)]


@pytest.mark.parametrize(
    ("hosts", "port"),
    [("a,b", "1,2,3"), ("a:b", 1), ("a:0", 1), ("a:65536", 1), ("a", "x"), ("[::1", 1), ("/run/x", 1), ("a\tb:c:d", 1)],
)
def test_what_is_no_list_of_hosts_is_refused(hosts: str, port: int | str) -> None:
    with pytest.raises(ConfigError):
        endpoints(hosts, port)


def test_a_url_gives_its_parts_as_drivers_read_them() -> None:
    url = ConnectionUrl.parse(
        "postgresql+psycopg://me:a%40b%2Fc+d@db.example:5433,[::1]/shop%20x?sslmode=require&a=1&a=2"
    )
    assert (url.scheme, url.user, url.password, url.path) == ("postgresql+psycopg", "me", "a@b/c+d", "shop x")
    assert url.endpoints(5432) == [("db.example", 5433), ("::1", 5432)]
    assert url.parameters == {"sslmode": "require", "a": "2"}
    repeated = ConnectionUrl.parse("postgresql://me@/shop?host=a:1&host=b:2")
    assert repeated.endpoints(5432) == [("a", 1), ("b", 2)]
    # A driver goes where the parameters say, whatever the address shows.
    assert ConnectionUrl.parse("postgresql://shown/x?host=meant&port=7").endpoints(5432) == [("meant", 7)]
    with pytest.raises(ConfigError, match="the connection URL is invalid"):
        ConnectionUrl.parse("host=/run/postgresql")


def test_every_host_of_a_list_is_checked() -> None:
    def resolve(host: str, port: int) -> str:
        if host == "inner":
            raise ConfigError("inner is not allowed")
        return f"{host}:{port} was checked"

    assert pinned([Endpoint("a", 1), Endpoint("b", 2)], resolve) == ["a:1 was checked", "b:2 was checked"]
    with pytest.raises(ConfigError):
        pinned([Endpoint("a", 1), Endpoint("inner", 2)], resolve)
