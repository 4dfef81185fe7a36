"""pgvector: the chunks of all streams in one table of a PostgreSQL database."""

from __future__ import annotations

from textwrap import indent
from typing import ClassVar, Self

from pydantic import model_validator

from kitestring.address import Resolve
from kitestring.config import option
from kitestring.destinations.pgvector.indexing import Indexing
from kitestring.facts import Facts, Proposal
from kitestring.vector.destination import VectorDestination
from kitestring.vector.proposal import proposed_config
from kitestring.vector.store import Store
from kitestring.vendors.postgres import PROPOSAL

INDEXING = f"""\
indexing:
{indent(PROPOSAL.replace("{PG", "{TO_PG"), "  ")}  # The table; it is created if it does not exist.
  collection: {{collection}}
"""


class Pgvector(VectorDestination):
    """A table of PostgreSQL with the extension `vector` for the chunks of all streams.

    Accepts the configuration of Airbyte's PGVector destination.
    """

    facts: ClassVar[Facts] = Facts(
        title="pgvector",
        network="native",
        programs=False,
        searchable=True,
        packages=("psycopg", "numpy"),
        preload=("psycopg", "numpy"),
        category="vector store",
        proposal=Proposal(config=proposed_config(INDEXING)),
        summary="chunks with vectors into a table of PostgreSQL with pgvector",
    )

    indexing: Indexing = option(
        title="PostgreSQL server and table", description="Where the chunks are stored.", group="indexing"
    )

    @model_validator(mode="after")
    def _words_need_text(self) -> Self:
        if self.indexing.hybrid and self.omit_raw_text:
            raise ValueError("hybrid searches the words of the stored text, and omit_raw_text stores none")
        return self

    def pin(self, resolve: Resolve) -> None:
        self.indexing.pin(resolve)

    def connect(self) -> Store:
        from kitestring.destinations.pgvector.store import PgvectorStore

        return PgvectorStore(self.indexing)

    def place(self) -> str:
        return f"{self.indexing.place}\0{self.indexing.default_schema}\0{self.indexing.collection}"


__all__ = ["Pgvector"]
