"""Holds real answers against the OpenAPI document: a body that its model does not describe fails the test."""

from __future__ import annotations

import json
import re
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator


class Document:
    """The OpenAPI document of an application, as patterns of paths and validators of answers."""

    def __init__(self, app: FastAPI) -> None:
        self.body: dict[str, Any] = app.openapi()
        literal_first = sorted(self.body["paths"].items(), key=lambda item: item[0].count("{"))
        self.routes = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), methods) for path, methods in literal_first]
        self.validators: dict[str, Draft202012Validator] = {}

    def validator(self, model: dict[str, Any]) -> Draft202012Validator:
        key = json.dumps(model)
        if key not in self.validators:
            self.validators[key] = Draft202012Validator({**model, "components": self.body["components"]})
        return self.validators[key]

    def check(self, response: Any) -> None:
        """Raises `AssertionError` where the answer is not as the document says."""
        if not response.headers.get("content-type", "").startswith("application/json"):
            return
        response.read()
        method, path = response.request.method.lower(), response.request.url.path
        for pattern, operations in self.routes:
            if not pattern.fullmatch(path) or method not in operations:
                continue
            answer = operations[method]["responses"].get(str(response.status_code))
            assert answer is not None, f"{method.upper()} {path}: {response.status_code} is not in the document"
            model = answer["content"]["application/json"]["schema"]
            problems = [
                f"{'.'.join(map(str, problem.absolute_path))}: {problem.message}"
                for problem in self.validator(model).iter_errors(json.loads(response.content))
            ]
            assert not problems, f"{method.upper()} {path}: {problems[:5]}"
            return


DOCUMENTS: list[Document] = []


def server_document(app: FastAPI) -> Document:
    """The document that all servers have in common. It takes half a second to write, so it is written once."""
    if not DOCUMENTS:
        DOCUMENTS.append(Document(app))
    return DOCUMENTS[0]


def documented(client: TestClient, document: Document | None = None) -> TestClient:
    """The client, which checks every JSON answer of a documented route from now on."""
    assert isinstance(client.app, FastAPI)
    client.event_hooks["response"].append((document or server_document(client.app)).check)
    return client
