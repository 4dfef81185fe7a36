"""The OpenAPI document: FastAPI's own, with security schemes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from kitestring.server.auth.access import needs_credentials
from kitestring.server.http.problem import MEDIA_TYPE

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "basic": {"type": "http", "scheme": "basic"},
    "application": {
        "type": "oauth2",
        "flows": {"clientCredentials": {"tokenUrl": "/api/public/v1/applications/token", "scopes": {}}},
    },
    "session": {"type": "apiKey", "in": "cookie", "name": "kitestring_session"},
}


class ProblemBody(BaseModel):
    """A refused request. `detail` is a sentence with the next action, `title` one of Airbyte's titles."""

    status: int
    type: str
    title: str
    detail: str
    message: str
    documentationUrl: str | None
    data: dict[str, Any]


def complete_openapi(app: FastAPI) -> None:
    """Add security schemes to the document, and to each path whether it needs credentials."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            body = generate()
            body.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
            for path, methods in body["paths"].items():
                for operation in methods.values():
                    for status, answer in operation["responses"].items():
                        if status == "4XX":
                            (schema,) = answer["content"].values()
                            answer["content"] = {MEDIA_TYPE: schema}
                    operation["security"] = [{name: []} for name in SECURITY_SCHEMES] if needs_credentials(path) else []
            app.openapi_schema = body
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
