"""Request bodies of our own API. An unknown field is refused, so that a typo is never ignored.

Airbyte's two APIs ignore such fields, as Airbyte does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from kitestring.suggest import nearest_name


class Body(BaseModel):
    """A request body. An unknown field is refused, and the nearest known field proposed."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, values: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        unknown = [str(name)[:100] for name in values if name not in known] if isinstance(values, Mapping) else []
        if unknown:
            near = nearest_name(unknown[0], known)
            proposal = f", did you mean {near}?" if near else f"; known are {', '.join(known)}"
            raise ValueError(f"{unknown[0]} is not a known field{proposal}")
        return values
