"""The low-code language, for the forms and the editor of the connector builder."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import AnyUser

router = APIRouter(prefix="/builder", tags=["builder"])


class LanguageField(ResponseModel):
    """A field of a component. `type`: the name of a kind of value or of a component, or `{enum: [values]}`,
    `{list: type}`, `{map: type}`, `{any: [types]}`. `common` fields come first. `own`: Kitestring's own, which
    Airbyte's engine does not know."""

    type: Any
    summary: str
    required: bool = Field(default_factory=bool)
    common: bool = Field(default_factory=bool)
    own: bool = Field(default_factory=bool)
    deprecated: bool = Field(default_factory=bool)
    title: str = Field(default_factory=str)
    default: Any = Field(default_factory=str)
    suggestions: list[str] = Field(default_factory=list)


class LanguageComponent(ResponseModel):
    """A component of the language. `typeless` ones have no `type` in a manifest; `python` ones name a Python class."""

    summary: str
    fields: dict[str, LanguageField]
    title: str = Field(default_factory=str)
    typeless: bool = Field(default_factory=bool)
    python: bool = Field(default_factory=bool)
    own: bool = Field(default_factory=bool)
    deprecated: bool = Field(default_factory=bool)


class Language(ResponseModel):
    """The components by name, and the types of components that have none, by `Component.field`."""

    components: dict[str, LanguageComponent]
    defaultTypes: dict[str, str]
    customTypes: dict[str, str]


@router.get("/language", operation_id="getLanguage", responses=responses_for(Language))
def get_language(caller: AnyUser) -> Any:
    """Get the components of the low-code language, with their fields."""
    from kitestring.declarative.builder.language import language

    return language()
