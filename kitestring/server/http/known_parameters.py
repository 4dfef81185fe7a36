"""Refuses a parameter of a query that its route does not have: a filter with a typo would list everything."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from kitestring.server.http.problem import Problem
from kitestring.suggest import nearest_name


def refuse_unknown_parameters(request: Request) -> None:
    """A dependency of routes. 400 for the first unknown parameter, with the nearest known one."""
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = parameters_of(route)
    for name in request.query_params:
        if name not in known:
            near = nearest_name(name, known)
            raise Problem(
                400,
                f"{name[:100]} is not a known parameter" + (f"; did you mean {near}?" if near else ""),
                hint=f"Known are {', '.join(known)}." if known else "This address takes none.",
            )


def parameters_of(route: APIRoute) -> tuple[str, ...]:
    return tuple(dict.fromkeys(parameters_below(route.dependant)))


def parameters_below(dependant: Dependant) -> Iterator[str]:
    """The parameters of a function, and of those that it depends on."""
    for field in dependant.query_params:
        yield field.alias
    for inner in dependant.dependencies:
        yield from parameters_below(inner)
