"""The client of a server says for whom it reads, on each way of reading."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from kitestring.client import Client
from kitestring.testing.stand_in import Call, StandIn, route

READER = {"user": "ann@example.com", "groups": ["support"]}


class Reads(StandIn):
    name: ClassVar[str] = "kitestring"

    @route("POST", "/api/kitestring/v1/destinations/{id}/{verb}")
    def read(self, call: Call, id: str, verb: str) -> Any:
        return {"data": [{"id": 1}], "text": verb}


@pytest.mark.parametrize("read", [Client.search, Client.ask, Client.similar])
def test_every_reading_names_its_reader(read: Callable[..., Any]) -> None:
    with Reads() as server, Client(server.url) as client:
        assert read(client, "d", {"limit": 2}, on_behalf_of=READER)
        assert read(client, "d", {"limit": 2})
        first, second = server.requests
    assert json.loads(first.headers["kitestring-on-behalf-of"]) == READER
    assert first.json() == {"limit": 2}
    assert "kitestring-on-behalf-of" not in second.headers
