"""Remember the records that an API listed in the last sync, to find new and changed ones whatever their time is."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from kitestring import json_codec
from kitestring.paths import at
from kitestring.types import Path, Record

log = logging.getLogger("kitestring.declarative")

LISTED = "kitestring_listed"
"""The key beside a cursor value under which a state keeps digests of the listed records."""
DIGEST_BYTES = 6
"""Bytes of a digest."""
MOST_LISTED = 100_000


class TimeCursor(Protocol):
    """The part of a stream's cursor that `ListedRecords` needs."""

    @property
    def field(self) -> str: ...

    def cursor_filter(self, lowest: Any) -> Callable[[Record], bool]:
        """A function that is true for records at or after `lowest`."""


class ListedRecords:
    """Records the listed records of one slice, by key and cursor value. Not thread-safe.

    `state` is that of the cursor; without digests in it only the time of a record decides. `settled`: a record at or
    after this value may change again with the same time, so its digest is not kept. Without digests, a list that was
    not `read_before` is new as a whole.
    """

    def __init__(
        self,
        name: str,
        keys: Sequence[Path],
        cursor: TimeCursor,
        state: Mapping[str, Any],
        settled: Any,
        read_before: bool = True,
    ) -> None:
        self._name, self._keys, self._field = name, keys, cursor.field
        self._unsettled = cursor.cursor_filter(settled)
        text = state.get(LISTED)
        self._before = None if text is None else digests_in(str(text))
        self._read_before = read_before
        self._listed: set[bytes] = set()

    def filter(
        self, is_recent: Callable[[Record], bool], after_start: Callable[[Record], bool]
    ) -> Callable[[Record], bool]:
        """A filter for records that the last list did not have with this time and that are `after_start`; without a
        last list, for records that are `is_recent`."""

        def passes(record: Record) -> bool:
            digest = self._digest(record)
            if not self._unsettled(record):
                self._listed.add(digest)
            if self._before is None:
                return is_recent(record) if self._read_before else after_start(record)
            return digest not in self._before and after_start(record)

        return passes

    def note(self, rejected: Sequence[Record]) -> dict[str, str | None]:
        """The digests for the state; None if there are too many. A rejected record counts as not listed."""
        digests = self._listed - {self._digest(record) for record in rejected}
        if len(digests) > MOST_LISTED:
            log.warning(
                "stream %s: the API lists %d records, more than the %d that are remembered: a new record with an old "
                "time is not noticed",
                self._name,
                len(digests),
                MOST_LISTED,
                extra={"stream": self._name},
            )
            return {LISTED: None}
        return {LISTED: b64encode(b"".join(sorted(digests))).decode()}

    def _digest(self, record: Record) -> bytes:
        values = [*(at(record, path) for path in self._keys), record.get(self._field)]
        return blake2b(json_codec.dumps(values), digest_size=DIGEST_BYTES).digest()


def digests_in(text: str) -> set[bytes] | None:
    """The digests in a state; None if they were edited."""
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return None
    if len(data) % DIGEST_BYTES:
        return None
    return {data[place : place + DIGEST_BYTES] for place in range(0, len(data), DIGEST_BYTES)}
