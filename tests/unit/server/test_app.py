"""The assembled application answers."""

from __future__ import annotations

from fastapi.testclient import TestClient

from kitestring.server.app import create_app
from kitestring.server.context import Context


def test_health_is_answered_at_both_places_in_the_words_that_clients_know(context: Context) -> None:
    client = TestClient(create_app(context))
    for place in ("/v1/health", "/api/public/v1/health"):
        assert client.get(place).text == "Successful operation"
