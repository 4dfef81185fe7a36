"""Collections: their streams by a sample of documents, and their documents in ranges of `_id`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kitestring.batch import Batch
from kitestring.errors import TransientError
from kitestring.sources.mongodb.bson_value import id_of, kind_of, record_of, schema_of, twins_of
from kitestring.sources.mongodb.connection import translated
from kitestring.types import Record, Reject, Stream, SyncMode

if TYPE_CHECKING:
    from pymongo.collection import Collection as MongoCollection

BATCH_DOCUMENTS = 1_000
RANGE_DOCUMENTS = 200_000
"""How many documents a range has, about."""
MOST_RANGES = 64
SAMPLED = 20
"""How many documents are sampled for the bounds of a range."""
MOST_BREAKS = 5
"""How often a read may break off without a document in between."""

TEXT_IN_JSON = ["objectId", "date", "binData", "object", "timestamp"]
"""Types of `_id` that are texts in JSON."""


@dataclass(frozen=True)
class Collection:
    """One collection or view. `has_log`: its changes are in the log. `enforces_schema`: its fields are those of the
    record; otherwise the record has the document as `data`."""

    documents: MongoCollection[dict[str, Any]] = field(repr=False)
    address: str
    has_log: bool
    has_index: bool
    enforces_schema: bool

    # -- discovery -----------------------------------------------------------------------------------------------------

    def kinds(self, size: int) -> dict[str, set[str]]:
        """The kinds of values of each field in a sample of so many documents."""
        kinds: dict[str, set[str]] = {"_id": set()}
        with translated(self.address):
            for document in self.documents.aggregate([{"$sample": {"size": size}}]):
                for name, value in document.items():
                    kinds.setdefault(name, set()).add(kind_of(value))
        return kinds

    def stream(self, size: int) -> Stream:
        """The stream, without cursor and changes."""
        kinds = self.kinds(size)
        key = {kind if kind in ("boolean", "integer", "number") else "string" for kind in kinds.pop("_id")}
        properties = {"_id": schema_of(key or {"string"})} if key or self.has_index else {}
        if self.enforces_schema:
            properties |= {name: schema_of(kinds[name]) for name in sorted(kinds)}
        else:
            properties["data"] = {"type": ["object", "null"]}
        return Stream(
            self.documents.name,
            namespace=self.documents.database.name,
            schema={"type": "object", "properties": properties, "additionalProperties": True},
            primary_key=(("_id",),) if self.has_index else (),
            sync_modes=(SyncMode.full_refresh,),
        )

    # -- records -------------------------------------------------------------------------------------------------------

    def record(self, document: dict[str, Any]) -> Record:
        if self.enforces_schema:
            return record_of(document)
        record = record_of(document)
        return {"_id": record.get("_id"), "data": record}

    def mixes_ids(self) -> bool:
        """Whether it has texts and other values as `_id` that are texts in JSON."""
        with translated(self.address):
            return self.has_index and all(
                list(self.documents.find({"_id": condition}, {"_id": 1}).limit(1))
                for condition in ({"$type": "string"}, {"$type": TEXT_IN_JSON})
            )

    def twins(self, ids: Sequence[Any]) -> dict[Any, str]:
        """Those of these `_id`s that another document has in JSON, with the reason to reject these documents."""
        twins = [twin for value in ids for twin in twins_of(value)]
        with translated(self.address):
            present = list(self.documents.find({"_id": {"$in": twins}}, {"_id": 1})) if twins else []
        what = "two documents have the same _id in JSON, one as a text and the other as another type"
        return {id_of(document["_id"]): f"{what}: {id_of(document['_id'])}" for document in present}

    # -- reading -------------------------------------------------------------------------------------------------------

    def bounds(self) -> list[str]:
        """The `_id`s, in Extended JSON, that cut a large collection into ranges."""
        from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

        if not self.has_index:
            return []
        with translated(self.address):
            count = min(self.documents.estimated_document_count() // RANGE_DOCUMENTS, MOST_RANGES - 1)
            if count < 1:
                return []
            sample = [{"$sample": {"size": SAMPLED * (count + 1)}}, {"$project": {"_id": 1}}, {"$sort": {"_id": 1}}]
            ids = [document["_id"] for document in self.documents.aggregate(sample, allowDiskUse=True)]
        chosen = ids[SAMPLED::SAMPLED]
        texts = [dumps({"_id": value}, json_options=CANONICAL_JSON_OPTIONS) for value in chosen]
        return list(dict.fromkeys(texts))

    def documents_between(
        self, start: str | None, stop: str | None, after: list[int] | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """The documents from the bound `start` on and before `stop`, in the order of their `_id` of whatever types. A
        read that breaks off goes on behind its last document. `after`: a cluster time whose writes are seen, also
        where a secondary is read."""
        from bson.json_util import loads

        last, breaks = None if start is None else loads(start)["_id"], 0
        is_read = False
        while True:
            try:
                for batch in self._batches(last, None if stop is None else loads(stop)["_id"], after):
                    new = [d for d in batch if not (is_read and same(d["_id"], last))]
                    if new:
                        breaks, is_read, last = 0, True, new[-1]["_id"]
                        yield new
                return
            except TransientError:
                breaks += 1
                if not self.has_index or breaks > MOST_BREAKS:
                    raise

    def _batches(self, start: Any, stop: Any, after: list[int] | None) -> Iterator[list[dict[str, Any]]]:
        from bson import Timestamp

        with translated(self.address), self.documents.database.client.start_session() as session:
            if after is not None:
                session.advance_operation_time(Timestamp(*after))
            cursor = self.documents.find(batch_size=BATCH_DOCUMENTS, session=session)
            if self.has_index:  # bounds of the index, which pass from one type to the next, unlike $gt
                cursor = cursor.hint([("_id", 1)]).sort("_id", 1)
                if start is not None:
                    cursor = cursor.min([("_id", start)])
                if stop is not None:
                    cursor = cursor.max([("_id", stop)])
            yield from batches(cursor)

    def batches_by(self, name: str, since: Any) -> Iterator[list[dict[str, Any]]]:
        """The documents whose field is at least `since`, in its order; with None, all."""
        with translated(self.address):
            condition = {} if since is None else {name: {"$gte": since}}
            cursor = self.documents.find(condition, batch_size=BATCH_DOCUMENTS).sort([(name, 1), ("_id", 1)])
            yield from batches(cursor.allow_disk_use(True))


def batches(cursor: Any) -> Iterator[list[dict[str, Any]]]:
    with cursor:
        batch: list[dict[str, Any]] = []
        for document in cursor:
            batch.append(document)
            if len(batch) >= BATCH_DOCUMENTS:
                yield batch
                batch = []
        yield batch


def same(first: Any, second: Any) -> bool:
    return type(first) is type(second) and bool(first == second)


class Records:
    """Makes records of documents; rejects those whose `_id` another document has in another type of BSON."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._mixed = collection.mixes_ids()
        self._kinds: set[bool] = set()

    def twins(self, ids: Sequence[Any]) -> dict[Any, str]:
        if not self._mixed:
            self._kinds |= {isinstance(value, str) for value in ids if not isinstance(value, bool | int | float)}
            self._mixed = len(self._kinds) == 2
        return self.collection.twins(ids) if self._mixed else {}

    def batch(self, stream: str, documents: Sequence[dict[str, Any]]) -> Iterator[Batch | Reject]:
        twins = self.twins([document["_id"] for document in documents]) if self.collection.has_index else {}
        records = [self.collection.record(document) for document in documents]
        yield from (Reject(r, twins[r["_id"]], stream=stream) for r in records if twins and r["_id"] in twins)
        kept = [record for record in records if not twins or record["_id"] not in twins]
        if kept:
            yield Batch(stream, rows=kept)
