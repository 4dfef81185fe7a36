"""Vectors that are already in the records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict

from kitestring.config import option
from kitestring.errors import ConfigError, RecordError
from kitestring.facts import Facts
from kitestring.paths import FieldPath
from kitestring.vector.embedder import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kitestring.types import Record


class FromField(Embedder):
    """Takes the vector from a field of the record; every chunk of a record gets the same one."""

    facts: ClassVar[Facts] = Facts(network="none", programs=False)

    model_config = ConfigDict(title="From Field")

    form_order: ClassVar[int] = 60

    mode: Literal["from_field"] = "from_field"
    field_name: str = option(
        title="Field name",
        description="The field (or path) that holds the vector, a list of numbers.",
        examples=["embedding"],
    )
    dimensions: int = option(
        gt=0, title="Embedding dimensions", description="The length of the vectors.", examples=[1536, 384]
    )

    @property
    def dimension(self) -> int:
        return self.dimensions

    @property
    def model_name(self) -> str:
        return f"from_field:{self.field_name}:{self.dimensions}"

    @property
    def usd_per_million_tokens(self) -> float | None:
        return 0.0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise ConfigError(
            f"the vectors come from the field {self.field_name} of the records, so a text alone cannot be embedded",
            hint="Search with a vector, or choose an embedder with a model.",
        )

    def embed_records(self, records: Sequence[Record], texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        vectors = np.empty((len(records), self.dimensions), dtype=np.float32)
        for row, record in zip(vectors, records, strict=True):
            row[:] = self.vector(record)
        return vectors

    def vector(self, record: Record) -> NDArray[np.float32]:
        """The record's vector; `RecordError` if it has none of this length."""
        import numpy as np

        values = FieldPath.parse(self.field_name).values(record)
        if not values or values[0] is None:
            raise RecordError(
                f"the record has no field {self.field_name} to take its vector from", field=self.field_name
            )
        try:
            vector = np.asarray(values[0], dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise RecordError(f"the field {self.field_name} holds no list of numbers", field=self.field_name) from error
        if vector.shape != (self.dimensions,):
            raise RecordError(
                f"the vector in {self.field_name} has {vector.size} dimensions, the configuration says"
                f" {self.dimensions}",
                hint="Correct embedding.dimensions.",
                field=self.field_name,
            )
        if not np.isfinite(vector).all():
            raise RecordError(f"the vector in the field {self.field_name} holds a number that is not finite")
        return vector

    def check(self) -> None:
        """Nothing to check: only records show whether the field holds vectors."""
