"""The OpenAPI document is the golden one, and describes every answer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from fastapi import APIRouter
from pydantic import BaseModel

from kitestring.server.app import OWN, create_app
from kitestring.server.context import Context
from tests.unit.server.documented import server_document

GOLDEN = Path(__file__).parents[2] / "golden" / "openapi.yaml"
"""What clients call, and what the web interface's types are generated from: nothing in it changes unseen."""


def reached(body: dict[str, Any]) -> dict[str, Any]:
    """The schemas that the paths name, and those that these name."""
    schemas, named, texts = body["components"]["schemas"], dict[str, Any](), [str(body["paths"])]
    while texts:
        for name in re.findall(r"#/components/schemas/([\w.-]+)", texts.pop()):
            if name not in named:
                named[name] = schemas[name]
                texts.append(str(schemas[name]))
    return named


def document(context: Context) -> dict[str, Any]:
    return server_document(create_app(context)).body


def operations(body: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def undescribed(body: dict[str, Any]) -> list[str]:
    """The operations of Kitestring's own API with an answer that has a body and no description of it."""
    missing = []
    for method, path, operation in operations(body):
        if not path.startswith(OWN):
            continue
        answers = {status: answer for status, answer in operation["responses"].items() if status[0] in "23"}
        if not answers:
            missing.append(f"{method} {path}")
        for status, answer in answers.items():
            if status in ("204", "302"):
                continue
            for media_type, content in (answer.get("content") or {"": {}}).items():
                model = content.get("schema", {}) if media_type == "application/json" else content.get("itemSchema", {})
                text = media_type == "text/yaml" and content.get("schema") == {"type": "string"}
                if not model.get("$ref") and not text and not (media_type == "text/event-stream" and model):
                    missing.append(f"{method} {path} {status} {media_type}")
    return missing


def test_the_document_is_the_golden_one(context: Context) -> None:
    body = document(context)
    body["info"]["version"] = "VERSION"
    body["paths"] = {path: methods for path, methods in body["paths"].items() if path.startswith("/api/")}
    body["components"]["schemas"] = reached(body)
    text = yaml.safe_dump(body, sort_keys=True, allow_unicode=True, width=120)
    if os.environ.get("KITESTRING_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), (
        "the API has changed: run KITESTRING_GOLDEN=1 pytest tests/unit/server/test_openapi.py, and look at the diff"
    )


def test_every_operation_has_an_id_of_its_own_and_says_what_it_does(context: Context) -> None:
    seen: set[str] = set()
    for method, path, operation in operations(document(context)):
        assert operation["operationId"] not in seen, f"{method} {path}"
        seen.add(operation["operationId"])
        assert {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"} == {
            part.strip("{}") for part in path.split("/") if part.startswith("{")
        }, f"{method} {path}"


def test_every_answer_of_our_own_api_has_a_model_or_a_media_type_of_its_own(context: Context) -> None:
    assert undescribed(document(context)) == []


def test_an_answer_without_a_model_would_be_seen(context: Context) -> None:
    class Named(BaseModel):
        name: str

    router = APIRouter(prefix=OWN)
    router.add_api_route("/typed", lambda: None, response_model=Named)
    router.add_api_route("/untyped", lambda: None)
    app = create_app(context)
    app.include_router(router)
    assert undescribed(app.openapi()) == [f"GET {OWN}/untyped 200 application/json"]


def test_no_schema_is_named_by_the_file_that_it_is_defined_in(context: Context) -> None:
    """FastAPI names two models of one name by their modules: a moved file would rename them for every client."""
    assert [name for name in document(context)["components"]["schemas"] if not re.fullmatch(r"[A-Za-z]+", name)] == []
