"""LanceDB: the chunks of all streams in one table of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import ConfigDict, model_validator

from kitestring.config import option
from kitestring.destinations.lancedb.indexing import Indexing
from kitestring.facts import Facts, Proposal
from kitestring.vector.destination import VectorDestination
from kitestring.vector.proposal import proposed_config
from kitestring.vector.store import Store

INDEXING = """\
indexing:
  # A folder; it is created if it does not exist.
  path: ./kitestring.lance
  collection: {collection}
"""


class LanceDB(VectorDestination):
    """A table of LanceDB, inside this process, for the chunks of all streams."""

    model_config = ConfigDict(title="LanceDB")
    facts: ClassVar[Facts] = Facts(
        title="LanceDB",
        network="none",
        programs=False,
        searchable=True,
        packages=("lancedb", "pyarrow", "numpy"),
        preload=("pyarrow", "numpy"),
        category="vector store",
        summary="chunks with vectors into a table of LanceDB, in a folder",
        proposal=Proposal(config=proposed_config(INDEXING)),
    )

    indexing: Indexing = option(
        title="LanceDB folder and table", description="Where the chunks are stored.", group="indexing"
    )

    @model_validator(mode="after")
    def _words_need_text(self) -> Self:
        if self.indexing.hybrid and self.omit_raw_text:
            raise ValueError("hybrid searches the words of the stored text, and omit_raw_text stores none")
        return self

    def connect(self) -> Store:
        from kitestring.destinations.lancedb.store import LanceStore

        return LanceStore(self.indexing)

    def place(self) -> str:
        return f"{self.indexing.folder}\0{self.indexing.collection}"

    def default_staging_folder(self) -> Path:
        folder = self.indexing.folder
        return folder.with_name(f"{folder.name}.shadow")


__all__ = ["LanceDB"]
