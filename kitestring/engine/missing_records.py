"""Finds the records of a stream that its source no longer lists, and deletes them where the listing can be believed.

A full refresh is a listing in itself. For an incremental stream the keys are read once more, after its records are
written. Nothing is deleted after an error, a suspicion, or a record without a readable key; and where a listing lacks
more records than allowed, not before a second listing lacks the same ones, or somebody accepts it. An empty listing is
never believed before somebody accepts it.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from kitestring import arrow_values
from kitestring.activity import Activity
from kitestring.batch import Batch
from kitestring.destination import Destination, ListsKeys
from kitestring.engine.dedup import no_key
from kitestring.engine.reader import Ended, Read, Reader
from kitestring.engine.result import StreamResult
from kitestring.engine.selection import Route
from kitestring.errors import Cancelled, KitestringError
from kitestring.identity import identifier
from kitestring.key_listing import Key, KeyListing
from kitestring.paths import at
from kitestring.source import Source
from kitestring.types import DELETED_AT, Receipt, Record, Reject, SchemaChange, State, SyncMode, Truncate

log = logging.getLogger("kitestring.engine")

SAMPLE = 256
"""How many of the missing keys a state keeps: those with the smallest digests."""
SAME_SHARE = 0.95
"""The share of that sample which must be missing in the second listing too."""
NOT_DELETED = "no record was deleted that the source does not list"


class MissingRecords:
    """The comparison of one stream in one sync.

    `note` is what the last comparison left (`new_note` is what this one leaves): `at` (epoch seconds), and after a
    refused one `missing`, `held`, `missing_keys`, and `accepted` once somebody accepted it.
    """

    def __init__(self, route: Route, destination: ListsKeys, note: Mapping[str, Any], accepted: bool) -> None:
        assert route.detection is not None
        self.route = route
        self.detection = route.detection
        self.destination = destination
        self.note = note
        self.accepted = accepted or note.get("accepted") is True
        self.new_note: State | None = None
        self._listing: KeyListing | None = None
        self._doubt = ""
        self._rejected: list[Key] = []
        self._is_empty = True
        self._lock = threading.Lock()
        self._identity = identifier(route.written.primary_key, route.written.schema)

    def change(self, route: Route) -> None:
        """The stream has another schema from now on."""
        self.route = route
        self._identity = identifier(route.written.primary_key, route.written.schema)

    @property
    def is_due(self) -> bool:
        """Whether the keys of an incremental stream are to be listed now."""
        age_s = time.time() - float(self.note.get("at") or 0.0)
        return "missing_keys" in self.note or self.accepted or not 0 <= age_s < self.detection.every_hours * 3600

    # -- the listing ---------------------------------------------------------------------------------------------------

    def add(self, batch: Batch) -> None:
        """The source has these records, as they are written."""
        if not self._doubt and len(batch):
            self._is_empty = False
            self._listed().add(self._keys(batch))

    def reject(self, rejects: Iterable[Reject]) -> None:
        """The source has these records too, although they cannot be written."""
        with self._lock:
            for reject in rejects:
                key = self._key_of_reject(reject)
                if key is None:
                    self._doubt = self._doubt or f"a record without a readable key was rejected ({reject.reason})"
                else:
                    self._rejected.append(key)

    def list_keys(self, source: Source, cancel: threading.Event) -> None:
        """Read the keys of all records of the source. An error is a doubt, not raised. `Cancelled`."""
        read, route, activity = self.route.read, self.route, Activity()
        fields = read.fields if route.mapping is not None else read.primary_key
        listed = replace(read, sync_mode=SyncMode.full_refresh, fields=tuple(fields))
        try:
            source.refresh_snapshot()
            reader = Reader(source, [listed], {}, truncates, {listed.key: activity})
        except KitestringError as error:
            self._doubt = f"its keys could not be listed: {error}"
            return
        reader.start()
        try:
            while not reader.done and not self._doubt:
                if cancel.is_set():
                    raise Cancelled("the sync was asked to stop")
                item = reader.get(0.2)
                if isinstance(item, Ended) and item.error is not None:
                    self._doubt = f"its keys could not be listed: {item.error}"
                elif isinstance(item, Read):
                    self._take(item)
        finally:
            reader.stop()
        self.omit(activity)

    def omit(self, activity: Activity) -> None:
        """Doubt a read that has left something out."""
        self._doubt = self._doubt or activity.omission

    def _take(self, item: Read) -> None:
        self.reject(item.rejects)
        if item.suspicion or item.event is not None:
            self._doubt = item.suspicion or "it was emptied while its keys were listed"
        if item.batch is None:
            return
        mapped = self.route.mapped(item.batch, can_delete=False)
        self.reject(mapped.rejected)
        self.add(mapped.batch)

    # -- the decision --------------------------------------------------------------------------------------------------

    def delete(
        self,
        figures: StreamResult,
        deleting: Callable[[], None],
        retry: Callable[[Callable[[], Receipt]], Receipt],
    ) -> Receipt | None:
        """Delete what the source does not list, or add to the suspicions why not. The receipt of the deletions, if any.

        All records of the stream are durable. `deleting` is called before anything is deleted.
        """
        if figures.suspicions:
            figures.suspect(f"{NOT_DELETED}, since the listing may be incomplete")
            return None
        if self._doubt:
            figures.suspect(f"{NOT_DELETED}: {self._doubt}")
            return None
        listing = self._listed()
        listing.add(self._rejected)
        held, missing = listing.compare()
        self.new_note = {"at": time.time()}
        if not missing:
            return Receipt()
        if not self._is_believable(listing, held, missing):
            self.new_note |= {"missing": missing, "held": held, "missing_keys": smallest(listing)}
            if self._is_empty and not self._rejected:
                figures.suspect(
                    f"the source lists no record at all, and the destination has {held}: they stay until you accept it "
                    "(kitestring sync --accept, or on the connection)"
                )
                return None
            figures.suspect(
                f"the source does not list {missing} of the {held} records of the destination, more than "
                f"{self.detection.most_percent:g} %: they stay until the next listing lacks them too, or until you "
                "accept it (kitestring sync --accept, or on the connection)"
            )
            return None
        deleting()
        deleted_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        receipt = retry(lambda: listing.delete(deleted_at))
        log.info(
            "deleted records that the source no longer lists",
            extra={"stream": self.route.read.key, "deleted": receipt.deleted, "held": held},
        )
        return receipt

    def _is_believable(self, listing: KeyListing, held: int, missing: int) -> bool:
        allowed = held * self.detection.most_percent / 100
        if self.accepted:
            return True
        if self._is_empty and not self._rejected:  # an outage lists nothing as often as it is asked
            return False
        if missing <= allowed:
            return True
        sample = set(self.note.get("missing_keys") or ())
        if not sample or missing - int(self.note.get("missing") or 0) > allowed:
            return False
        repeated = sum(digest(text) in sample for page in listing.texts() for text in page)
        return repeated >= SAME_SHARE * len(sample)

    def close(self) -> None:
        listing, self._listing = self._listing, None
        if listing is not None:
            listing.close()

    # -- keys ----------------------------------------------------------------------------------------------------------

    def _listed(self) -> KeyListing:
        if self._listing is None:
            self._listing = self.destination.key_listing(self.route.written)
        return self._listing

    def _keys(self, batch: Batch) -> list[Key]:
        paths = self.route.written.primary_key
        if batch.is_table:
            table = batch.table()
            names = {path[0] for path in paths} & {*table.column_names}
            rows: Sequence[Record] = arrow_values.rows(table.select(sorted(names)))
        else:
            rows = [row for row in batch.rows() if row.get(DELETED_AT) is None]
        keys = []
        for row in rows:
            if no_key(self._identity(row), paths):
                self._doubt = self._doubt or "a record without a primary key was listed"
            else:
                keys.append(tuple(at(row, path) for path in paths))
        return keys

    def _key_of_reject(self, reject: Reject) -> Key | None:
        """The primary key of a rejected record, as it is written; None where it cannot be read."""
        record = reject.record
        try:
            if not reject.mapped and self.route.mapping is not None:
                rows = self.route.mapped(Batch(self.route.read.key, rows=[record]), can_delete=False).batch.rows()
                record = rows[0] if rows else {}
            if no_key(self._identity(record), self.route.written.primary_key):
                return None
            return tuple(at(record, path) for path in self.route.written.primary_key)
        except (KitestringError, RecursionError, TypeError, AttributeError):
            return None


def missing_records(
    routes: Mapping[str, Route], destination: Destination, notes: Mapping[str, Any], accepted: bool
) -> dict[str, MissingRecords]:
    """The comparisons of a sync by stream key."""
    return {
        key: MissingRecords(route, destination, notes.get(key) or {}, accepted)
        for key, route in routes.items()
        if route.detection is not None and isinstance(destination, ListsKeys)
    }


def truncates(key: str, change: Truncate | SchemaChange) -> Truncate | None:
    """The only change that matters for a listing of keys."""
    return change if isinstance(change, Truncate) else None


def digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def smallest(listing: KeyListing) -> list[str]:
    """The smallest digests of the missing keys, to recognize them in the next listing."""
    return heapq.nsmallest(SAMPLE, (digest(text) for page in listing.texts() for text in page))
