"""How the cases of a vector store's contract get at it: the hook of its author, writes, what a reader finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.testing.contract.gap import Gaps
from kitestring.types import Receipt, Record, Stream
from kitestring.vector.destination import VectorDestination


class VectorSuite(Gaps):
    """A reader is `VectorDestination.search`; the embedder is the fake one."""

    def make(self, folder: Path, **options: Any) -> VectorDestination:
        """The destination under test with these options besides its own; called with the same folder it means the same
        collection, which is not there at first."""
        raise NotImplementedError

    # -- the material --------------------------------------------------------------------------------------------------

    @contextmanager
    def opened(self, folder: Path, **options: Any) -> Iterator[VectorDestination]:
        usual: dict[str, Any] = {
            "processing": {"chunk_size": 8, "text_fields": ["text"]},
            "embedding": {"mode": "fake"},
            "shadow_folder": str(folder / "staging"),
        }
        destination = self.make(folder, **{**usual, **options})
        try:
            yield destination
        finally:
            destination.close()

    def things(self, mode: str = "append_dedup", name: str = "things") -> Stream:
        return Stream(name, primary_key=(("id",),), write=WRITES[mode])

    def put(self, destination: VectorDestination, rows: list[Record], stream: Stream | None = None) -> Receipt:
        stream = stream or self.things()
        destination.begin(stream)
        receipt = destination.write(stream, destination.prepare(stream, Batch(stream.key, rows=rows)))
        destination.commit(stream)
        return receipt

    def hits(self, destination: VectorDestination, where: Any = None, **options: Any) -> list[Record]:
        """All chunks that a reader finds, in the order of their records."""
        hits = destination.search("anything", where=where, limit=1_000, **options)
        return sorted(hits, key=lambda hit: (str(hit["record_id"]), hit["chunk_number"]))

    def texts(self, destination: VectorDestination, stream: str = "things", **options: Any) -> dict[str, list[str]]:
        texts: dict[str, list[str]] = {}
        for hit in self.hits(destination, stream=stream, **options):
            texts.setdefault(hit["record_id"].removeprefix(f"{stream}_"), []).append(hit["text"])
        return texts
