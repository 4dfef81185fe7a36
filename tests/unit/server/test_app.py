"""The assembled application answers."""

from __future__ import annotations

from fastapi.testclient import TestClient

from kitestring.server.app import create_app
from kitestring.server.context import Context


def test_health_is_answered_at_both_places_in_the_words_that_clients_know(context: Context) -> None:
    client = TestClient(create_app(context))
    for place in ("/v1/health", "/api/public/v1/health"):
        assert client.get(place).text == "Successful operation"


def test_what_has_no_route_is_refused_in_the_shape_of_every_other_refusal(context: Context) -> None:
    client = TestClient(create_app(context))
    for method, path, status in (("GET", "/v1/nothing", 404), ("DELETE", "/v1/health", 405)):
        answer = client.request(method, path)
        assert answer.status_code == answer.json()["status"] == status
        assert answer.json()["title"] in ("resource-not-found", "error")
