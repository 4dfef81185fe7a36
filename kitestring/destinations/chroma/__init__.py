"""Chroma: a server, or a folder inside this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, model_validator

from kitestring.config import option
from kitestring.destinations.chroma.indexing import Indexing, PersistentMode
from kitestring.facts import Facts, Proposal
from kitestring.vector.destination import VectorDestination
from kitestring.vector.proposal import proposed_config
from kitestring.vector.store import Store

INDEXING = """\
indexing:
  # A folder; or a server: {{mode: http_client, host: localhost, port: 8000}}
  auth_method:
    mode: persistent_client
    path: ./kitestring.chroma
  collection_name: {collection}
"""


class Chroma(VectorDestination):
    """A Chroma collection with the chunks of all streams.

    Accepts the configuration of Airbyte's Chroma destination.
    """

    model_config = ConfigDict(title="Chroma")
    facts: ClassVar[Facts] = Facts(
        title="Chroma",
        network="python",
        programs=False,
        searchable=True,
        packages=("chromadb", "numpy"),
        preload=("numpy",),
        category="vector store",
        summary="chunks with vectors into a Chroma server or a folder",
        proposal=Proposal(config=proposed_config(INDEXING)),
    )

    indexing: Indexing = option(
        title="Chroma server or folder, and collection",
        description="Where the chunks are stored.",
        group="indexing",
    )

    @model_validator(mode="before")
    @classmethod
    def _chromas_default_model(cls, values: Any) -> Any:
        """Airbyte's `no_embedding` leaves the vectors to Chroma, whose model is that of `local`: all-MiniLM-L6-v2."""
        embedding = values.get("embedding") if isinstance(values, Mapping) else None
        if isinstance(embedding, Mapping) and embedding.get("mode") == "no_embedding":
            return {**values, "embedding": {"mode": "local"}}
        return values

    @property
    def _folder(self) -> Path | None:
        mode = self.indexing.auth_method
        return mode.folder if isinstance(mode, PersistentMode) else None

    def connect(self) -> Store:
        from kitestring.destinations.chroma.connection import LOCK_WAIT_S, SYNC_LOCK_WAIT_S
        from kitestring.destinations.chroma.store import ChromaStore

        return ChromaStore(self.indexing, SYNC_LOCK_WAIT_S if self._unwritten else LOCK_WAIT_S)

    def place(self) -> str:
        return f"{self.indexing.place}\0{self.indexing.collection_name}"

    def exclusive_place(self) -> str | None:
        return None if self._folder is None else str(self._folder)

    def default_staging_folder(self) -> Path:
        if self._folder is not None:
            return self._folder.with_name(f"{self._folder.name}.shadow")
        return super().default_staging_folder()


__all__ = ["Chroma"]
