"""Every embedder, one file each, and the union of them that a configuration chooses from."""

from __future__ import annotations

from typing import Union

from kitestring.vector.embedders.fake import Fake
from kitestring.vector.embedders.from_field import FromField
from kitestring.vector.embedders.local import Local

Embedding = Union[Fake, Local, FromField]  # noqa: UP007 - a form shows the choices of a Union
"""The field type of `embedding`: `embedding: Embedding = one_of("mode")`."""
