"""`Page`: the records of one response."""

from __future__ import annotations

from dataclasses import dataclass

from kitestring.types import Record, Reject


@dataclass(slots=True)
class Page:
    """Records of one page (or of a run of a streamed page), its rejects, and its size in bytes.

    `doubt`: why an empty page may be wrong. `ignored`: the manifest ignores this response.
    """

    records: list[Record]
    rejects: list[Reject]
    nbytes: int
    doubt: str = ""
    ignored: bool = False
