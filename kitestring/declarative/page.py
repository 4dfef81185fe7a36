"""`Page`: the records of one answer of an API."""

from __future__ import annotations

from dataclasses import dataclass

from kitestring.types import Record, Reject


@dataclass(slots=True)
class Page:
    """Records of one page (or of a run of a streamed page), what could not be taken, and the bytes it came in.

    `doubt`: why it may be wrong that nothing was found in the page. `ignored`: the manifest ignores this answer.
    """

    records: list[Record]
    rejects: list[Reject]
    nbytes: int
    doubt: str = ""
    ignored: bool = False
