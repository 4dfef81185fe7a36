"""OpenAI's models on Azure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import ConfigDict

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

FULL = 1536


class AzureOpenAI(Remote):
    """OpenAI's models on Azure: a deployment is the name of a model.

    https://learn.microsoft.com/azure/ai-foundry/openai/reference
    """

    model_config = ConfigDict(title="Azure OpenAI")

    form_order: ClassVar[int] = 40

    mode: Literal["azure_openai"] = "azure_openai"
    openai_key: str = secret(title="Azure OpenAI API key", min_length=1, order=0)
    api_base: str = option(
        title="Resource base URL", examples=["https://your-resource-name.openai.azure.com"], min_length=1, order=1
    )
    deployment: str = option(title="Deployment", examples=["your-resource-name"], min_length=1, order=2)
    dimensions: int | None = option(
        None,
        ge=1,
        le=3072,
        title="Dimensions",
        description="The length of the vectors, for deployments of a text-embedding-3 model. Empty: 1536, as"
        " text-embedding-ada-002 and text-embedding-3-small make them.",
        order=3,
    )
    api_version: str = option("2024-10-21", title="API version", order=4)
    batch_size: int = option(
        MAX_INPUTS,
        ge=1,
        le=MAX_INPUTS,
        title="Texts in a request",
        description="Old deployments take 16.",
        order=5,
    )

    @property
    def dimension(self) -> int:
        return self.dimensions or FULL

    @property
    def model_name(self) -> str:
        return f"azure_openai:{self.deployment}:{self.dimension}"

    @property
    def max_tokens(self) -> int:
        return MAX_TOKENS

    @property
    def max_inputs(self) -> int:
        return self.batch_size

    @property
    def max_request_tokens(self) -> int | None:
        return MAX_REQUEST_TOKENS

    def secrets(self) -> list[str]:
        return [self.openai_key]

    def request(self, texts: Sequence[str], query: bool) -> tuple[str, dict[str, str], dict[str, Any]]:
        return (
            f"{self.api_base.rstrip('/')}/openai/deployments/{quote(self.deployment, safe='')}/embeddings"
            f"?api-version={quote(self.api_version, safe='')}",
            {"api-key": self.openai_key},
            embeddings_body(texts, dimensions=self.dimensions),
        )

    def vectors(self, body: bytes) -> list[NDArray[np.float32]]:
        return embeddings_of(body)
