"""Requests and answers whose numbers keep all digits, for states."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from json import JSONDecodeError
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from kitestring.json_codec import JsonError, dumps, loads


class ExactRequest(Request):
    """A request whose body is read by `json_codec`."""

    async def json(self) -> Any:
        try:
            return loads(await self.body())
        except JsonError as error:
            raise JSONDecodeError(str(error), "", 0) from error  # which FastAPI answers


class ExactRoute(APIRoute):
    """The `route_class` of a router that reads numbers of requests exactly. `exact` makes its answers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(ExactRequest(request.scope, request.receive))

        return handle


def exact(value: Any) -> Response:
    """A JSON answer with exact numbers: FastAPI's own turns decimals into texts and floats."""
    return Response(dumps(value), media_type="application/json")
