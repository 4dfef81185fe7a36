"""OpenAI's embedding models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, model_validator

from kitestring.config import option, secret
from kitestring.vector.embedders.openai_wire import (
    MAX_INPUTS,
    MAX_REQUEST_TOKENS,
    MAX_TOKENS,
    embeddings_body,
    embeddings_of,
)
from kitestring.vector.embedders.remote import Remote

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Model = Literal["text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large"]

DIMENSIONS = {"text-embedding-ada-002": 1536, "text-embedding-3-small": 1536, "text-embedding-3-large": 3072}

# USD per million tokens: https://platform.openai.com/docs/pricing, section "Embeddings", as of November 2025.
PRICES = {"text-embedding-ada-002": 0.10, "text-embedding-3-small": 0.02, "text-embedding-3-large": 0.13}


class OpenAI(Remote):
    """OpenAI's embedding models."""

    model_config = ConfigDict(title="OpenAI")

    form_order: ClassVar[int] = 10

    mode: Literal["openai"] = "openai"
    openai_key: str = secret(title="OpenAI API key", min_length=1, order=0)
    model: Model = option(
        "text-embedding-ada-002",
        title="Model",
        description="text-embedding-3-small is better and costs a fifth of text-embedding-ada-002, which stays the"
        " default so that collections made earlier keep their vectors.",
        order=1,
    )
    dimensions: int | None = option(
        None,
        ge=1,
        le=3072,
        title="Dimensions",
        description="Shorter vectors, for the text-embedding-3 models only. Empty: the full length.",
        order=2,
    )
    base_url: str = option(
        "https://api.openai.com/v1",
        title="Base URL",
        description="For proxies and gateways.",
        order=3,
    )

    @model_validator(mode="after")
    def _dimensions_fit(self) -> Self:
        full = DIMENSIONS[self.model]
        if self.dimensions is not None and self.dimensions != full:
            if self.model == "text-embedding-ada-002":
                raise ValueError(f"text-embedding-ada-002 makes {full} dimensions and cannot make {self.dimensions}")
            if self.dimensions > full:
                raise ValueError(f"{self.model} makes at most {full} dimensions, not {self.dimensions}")
        return self

    @property
    def dimension(self) -> int:
        return self.dimensions or DIMENSIONS[self.model]

    @property
    def model_name(self) -> str:
        return f"{self.model}:{self.dimension}"

    @property
    def max_tokens(self) -> int:
        return MAX_TOKENS

    @property
    def max_inputs(self) -> int:
        return MAX_INPUTS

    @property
    def max_request_tokens(self) -> int | None:
        return MAX_REQUEST_TOKENS

    @property
    def usd_per_million_tokens(self) -> float | None:
        return PRICES[self.model]

    def secrets(self) -> list[str]:
        return [self.openai_key]

    def request(self, texts: Sequence[str], query: bool) -> tuple[str, dict[str, str], dict[str, Any]]:
        shorter = self.dimension if self.dimension != DIMENSIONS[self.model] else None
        return (
            f"{self.base_url.rstrip('/')}/embeddings",
            {"Authorization": f"Bearer {self.openai_key}"},
            embeddings_body(texts, self.model, shorter),
        )

    def vectors(self, body: bytes) -> list[NDArray[np.float32]]:
        return embeddings_of(body)
