"""The `indexing` block: the place and layout of the table, and connections to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, field_validator, model_validator

from kitestring.config import option
from kitestring.errors import TransientError
from kitestring.vendors.postgres import PostgresConfig


class Indexing(PostgresConfig):
    """Where and how the chunks are stored."""

    model_config = ConfigDict(title="Postgres connection")
    writing: ClassVar[bool] = True

    default_schema: str = option("public", title="Schema", description="Where the table is.", order=3)
    collection: str = option(
        "kitestring", title="Collection", description="The table. It is created if it does not exist.", order=8
    )
    metric: Literal["COSINE", "L2", "IP"] = option(
        "COSINE", title="Metric", description="How distances are measured.", order=9
    )
    index: Literal["HNSW", "NONE"] = option(
        "HNSW",
        title="Index",
        description="HNSW: built when the first streams are written. NONE: every search reads all rows.",
        order=10,
    )
    hybrid: bool = option(
        False,
        title="Hybrid search",
        description="Index the words of the text too, in a table that is created.",
        order=11,
    )

    @model_validator(mode="before")
    @classmethod
    def _airbytes_credentials(cls, values: Any) -> Any:
        """Accept the password in `credentials`, as in Airbyte's connector."""
        if isinstance(values, Mapping) and isinstance(values.get("credentials"), Mapping):
            options = {name: value for name, value in values.items() if name != "credentials"}
            return {**values["credentials"], **options}
        return values

    @field_validator("default_schema", "collection")
    @classmethod
    def _a_name_that_is_kept(cls, name: str) -> str:
        if not 0 < len(name.encode()) <= 63 or "\0" in name:
            raise ValueError(
                f"a name has 1 to 63 bytes in PostgreSQL, which cuts the rest off; this one has {len(name.encode())}"
            )
        return name

    @contextmanager
    def translated_psycopg(self) -> Iterator[None]:
        import psycopg

        with super().translated_psycopg():
            try:
                yield
            except psycopg.errors.UniqueViolation as error:
                raise TransientError(
                    f"{self.place}: another sync writes the same records to {self.collection}",
                    hint="Try again; let one sync write a stream.",
                ) from error
