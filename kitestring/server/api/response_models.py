"""Response models: they describe the answers of routes in the OpenAPI document and do not change what is sent."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

Responses = dict[int | str, dict[str, Any]]


class ResponseModel(BaseModel):
    """An answer with these fields and no others. Tests hold real answers against the document."""

    model_config = ConfigDict(extra="forbid")


def responses_for(model: type[BaseModel], status: int = 200) -> Responses:
    """The `responses` of a route. The answer is sent as the handler returns it, not rebuilt from the model."""
    return {status: {"model": model}}
