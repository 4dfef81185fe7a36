"""Holds real answers against the OpenAPI document: a body that its model does not describe fails the test."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator


def documented(client: TestClient) -> TestClient:
    """The client, which checks every JSON answer of a documented route from now on."""
    assert isinstance(client.app, FastAPI)
    app = client.app
    client.event_hooks["response"].append(lambda response: check(app, response))
    return client


def check(app: FastAPI, response: Any) -> None:
    """Raises `AssertionError` where the answer is not as the document says."""
    if not response.headers.get("content-type", "").startswith("application/json"):
        return
    response.read()
    method, path = response.request.method.lower(), response.request.url.path
    for pattern, operations in routes(app):
        if not pattern.fullmatch(path) or method not in operations:
            continue
        answer = operations[method]["responses"].get(str(response.status_code))
        assert answer is not None, f"{method.upper()} {path}: {response.status_code} is not in the document"
        model = answer["content"]["application/json"]["schema"]
        problems = [
            f"{'.'.join(map(str, problem.absolute_path))}: {problem.message}"
            for problem in validator(app, json.dumps(model)).iter_errors(json.loads(response.content))
        ]
        assert not problems, f"{method.upper()} {path}: {problems[:5]}"
        return


@functools.lru_cache(maxsize=2)
def routes(app: FastAPI) -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Paths as patterns, the literal ones first."""

    def paths() -> Iterator[tuple[str, dict[str, Any]]]:
        yield from sorted(app.openapi()["paths"].items(), key=lambda item: item[0].count("{"))

    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations) for path, operations in paths()]


@functools.lru_cache(maxsize=200)
def validator(app: FastAPI, model: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(model), "components": app.openapi()["components"]})
