"""Milvus: a server, Zilliz Cloud, or Milvus Lite inside this process."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import ConfigDict, model_validator

from kitestring.address import Resolve
from kitestring.config import option
from kitestring.destinations.milvus.indexing import Indexing
from kitestring.facts import Facts, Proposal
from kitestring.vector.destination import VectorDestination
from kitestring.vector.proposal import proposed_config
from kitestring.vector.store import Store

INDEXING = """\
indexing:
  # A file of Milvus Lite; or http://localhost:19530, or a Zilliz Cloud endpoint with its token below.
  host: ./kitestring.db
  collection: {collection}
  auth:
    mode: no_auth
"""


class Milvus(VectorDestination):
    """A Milvus collection with the chunks of all streams.

    Accepts the configuration of Airbyte's Milvus destination unchanged. An existing collection is used as it is; a new
    one has deterministic ids, typed columns for look-ups, and the chosen metric and index.
    """

    model_config = ConfigDict(title="Milvus")
    facts: ClassVar[Facts] = Facts(
        title="Milvus",
        network="native",
        programs=False,
        searchable=True,
        packages=("pymilvus", "numpy"),
        preload=("pymilvus", "numpy", "pandas", "pyarrow"),
        category="vector store",
        summary="chunks with vectors into Milvus Lite, a Milvus server or Zilliz Cloud",
        proposal=Proposal(config=proposed_config(INDEXING)),
    )

    indexing: Indexing = option(
        title="Milvus server and collection", description="Where the chunks are stored.", group="indexing"
    )

    @model_validator(mode="after")
    def _words_need_text(self) -> Self:
        if self.indexing.hybrid and self.omit_raw_text:
            raise ValueError("hybrid searches the words of the stored text, and omit_raw_text stores none")
        return self

    def pin(self, resolve: Resolve) -> None:
        self.indexing.pin(resolve)

    def connect(self) -> Store:
        from kitestring.destinations.milvus.connection import LOCK_WAIT_S, SYNC_LOCK_WAIT_S
        from kitestring.destinations.milvus.store import MilvusStore

        lock_wait_s = SYNC_LOCK_WAIT_S if self._unwritten else LOCK_WAIT_S
        return MilvusStore(self.indexing, text=not self.omit_raw_text, lock_wait_s=lock_wait_s)

    def place(self) -> str:
        indexing = self.indexing
        if indexing.lite:
            from kitestring.destinations.milvus.connection import lite_path

            return f"{lite_path(indexing)}\0{indexing.db}\0{indexing.collection}"
        return f"{indexing.host.rstrip('/')}\0{indexing.db}\0{indexing.collection}"

    def exclusive_place(self) -> str | None:
        if not self.indexing.lite:
            return None
        from kitestring.destinations.milvus.connection import lite_path

        return str(lite_path(self.indexing))

    def default_staging_folder(self) -> Path:
        if self.indexing.lite:
            from kitestring.destinations.milvus.connection import lite_path

            path = lite_path(self.indexing)
            return path.with_name(f"{path.name}.shadow")
        return super().default_staging_folder()


__all__ = ["Milvus"]
