"""Qdrant: a server, Qdrant Cloud, or the client's own store in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from kitestring.config import option
from kitestring.destinations.qdrant.indexing import Indexing
from kitestring.facts import Facts, Proposal
from kitestring.vector.destination import VectorDestination
from kitestring.vector.proposal import proposed_config
from kitestring.vector.store import Store

INDEXING = """\
indexing:
  # A server (Qdrant Cloud: `auth_method: {{mode: api_key_auth, api_key: …}}`), or a folder such as ./help.qdrant
  url: http://localhost:6333
  collection: {collection}
"""


class Qdrant(VectorDestination):
    """A Qdrant collection with the chunks of all streams.

    Accepts the configuration of Airbyte's Qdrant destination.
    """

    model_config = ConfigDict(title="Qdrant")
    facts: ClassVar[Facts] = Facts(
        title="Qdrant",
        network="python",
        programs=False,
        searchable=True,
        packages=("qdrant_client", "numpy"),
        preload=("qdrant_client", "numpy"),
        category="vector store",
        summary="chunks with vectors into a Qdrant server, Qdrant Cloud or a folder",
        proposal=Proposal(config=proposed_config(INDEXING)),
    )

    indexing: Indexing = option(
        title="Qdrant server and collection", description="Where the chunks are stored.", group="indexing"
    )

    def connect(self) -> Store:
        from kitestring.destinations.qdrant.connection import LOCK_WAIT_S, SYNC_LOCK_WAIT_S
        from kitestring.destinations.qdrant.store import QdrantStore

        return QdrantStore(self.indexing, SYNC_LOCK_WAIT_S if self._unwritten else LOCK_WAIT_S)

    def place(self) -> str:
        where = str(self.indexing.folder) if self.indexing.local else self.indexing.url.rstrip("/")
        return f"{where}\0{self.indexing.collection}"

    def exclusive_place(self) -> str | None:
        return str(self.indexing.folder) if self.indexing.local else None

    def default_staging_folder(self) -> Path:
        if self.indexing.local:
            folder = self.indexing.folder
            return folder.with_name(f"{folder.name}.shadow")
        return super().default_staging_folder()


__all__ = ["Qdrant"]
