"""The OpenAPI document is the golden one, and no request that follows it makes the server fail."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from kitestring.server.app import create_app
from kitestring.server.context import Context

GOLDEN = Path(__file__).parents[2] / "golden" / "openapi.yaml"


AIRBYTES = ("/api/public/v1/", "/api/v1/")
"""Where others' clients call: what may not change unseen."""


def reached(body: dict[str, Any]) -> dict[str, Any]:
    """The schemas that the paths name, and those that these name."""
    schemas, found, left = body["components"]["schemas"], dict[str, Any](), [str(body["paths"])]
    while left:
        for name in re.findall(r"#/components/schemas/([\w.-]+)", left.pop()):
            if name not in found:
                found[name] = schemas[name]
                left.append(str(schemas[name]))
    return found


def document(context: Context) -> dict[str, Any]:
    found: dict[str, Any] = create_app(context).openapi()
    return found


def test_the_document_is_the_golden_one(context: Context) -> None:
    body = document(context)
    body["info"]["version"] = "VERSION"
    body["paths"] = {path: one for path, one in body["paths"].items() if path.startswith(AIRBYTES)}
    body["components"]["schemas"] = reached(body)
    text = yaml.safe_dump(body, sort_keys=True, allow_unicode=True, width=120)
    if os.environ.get("KITESTRING_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), (
        "the API has changed: run KITESTRING_GOLDEN=1 pytest tests/unit/server/test_openapi.py, and look at the diff"
    )


def test_every_operation_has_an_id_of_its_own_and_says_what_it_does(context: Context) -> None:
    seen: set[str] = set()
    for path, methods in document(context)["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"] not in seen, f"{method} {path}"
            seen.add(operation["operationId"])
            assert {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"} == {
                part.strip("{}") for part in path.split("/") if part.startswith("{")
            }, f"{method} {path}"
