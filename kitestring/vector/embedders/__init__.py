"""Every embedder, one file each, and the union of them that a configuration chooses from."""

from __future__ import annotations

from typing import Union

from kitestring.vector.embedders.azure_openai import AzureOpenAI
from kitestring.vector.embedders.cohere import Cohere
from kitestring.vector.embedders.fake import Fake
from kitestring.vector.embedders.from_field import FromField
from kitestring.vector.embedders.local import Local
from kitestring.vector.embedders.openai import OpenAI
from kitestring.vector.embedders.openai_compatible import OpenAICompatible

Embedding = Union[OpenAI, Cohere, Fake, AzureOpenAI, OpenAICompatible, FromField, Local]  # noqa: UP007
"""The type of the field `embedding`: `embedding: Embedding = one_of("mode")`."""
