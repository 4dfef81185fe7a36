"""How the cases of a destination's contract get at it: the hooks of its author, records, syncs, what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.engine import Rejects, Result, Selection, Status, sync
from kitestring.json_codec import loads
from kitestring.source import Item
from kitestring.sql.changed_value import NULLED, REASON
from kitestring.testing.contract.gap import Gaps
from kitestring.testing.contract.value import Text, same
from kitestring.testing.memory import MemorySource
from kitestring.types import DELETED_AT, Partition, Record, States, Stream, SyncMode, Write

Batches = Sequence[Sequence[Record]]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "text": {"type": ["null", "string"]},
        "number": {"type": ["null", "number"]},
        "flag": {"type": ["null", "boolean"]},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "nested": {"type": ["null", "object"]},
        "tags": {"type": ["null", "array"], "items": {"type": "string"}},
    },
}

WITH_DELETIONS: dict[str, Any] = {
    **SCHEMA,
    "properties": {**SCHEMA["properties"], DELETED_AT: {"type": ["null", "string"], "format": "date-time"}},
}


class BatchSource(MemorySource):
    """Gives its records in these batches. Each says that it is as large as the destination likes, so none is joined."""

    batches: Any
    nbytes: int

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        for rows in self.batches:
            yield Batch(partition.stream.key, rows=list(rows), nbytes=self.nbytes)


class DestinationSuite(Gaps):
    """The stream of these cases is `things`, with the primary key `id`."""

    stream_name: ClassVar[str] = "things"

    # -- what the author of a destination writes -----------------------------------------------------------------------

    def make(self, folder: Path) -> Destination:
        """The destination under test; called with the same folder it means the same place."""
        raise NotImplementedError

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The records of this stream as a reader of the destination sees them, in any order: every field by its name,
        or by its name at the destination where it had to change."""
        raise NotImplementedError

    def expected(self, record: Record) -> Record:
        """The record as a reader should get it: as it was, or each value in the nearest form that the destination has
        by its documentation (`Text(value)` for one that becomes a text)."""
        return record

    # -- the material --------------------------------------------------------------------------------------------------

    def records(self, count: int, text: str = "text {n}") -> list[Record]:
        return [
            {
                "id": n,
                "text": text.format(n=n),
                "number": n / 4,
                "flag": n % 2 == 0,
                "at": f"2026-01-{n % 28 + 1:02d}T12:00:00Z",
                "nested": {"a": {"b": n}},
                "tags": ["x", str(n)],
            }
            for n in range(count)
        ]

    def source(self, records: list[Any], schema: Mapping[str, Any] = SCHEMA, **options: Any) -> MemorySource:
        name = self.stream_name
        return MemorySource(records={name: records}, primary_keys={name: "id"}, schemas={name: schema}, **options)

    def stream(self, mode: str | Write) -> Stream:
        return Stream(
            self.stream_name,
            schema=SCHEMA,
            primary_key=(("id",),),
            sync_modes=(SyncMode.full_refresh,),
            write=WRITES[mode] if isinstance(mode, str) else mode,
        )

    # -- syncs ---------------------------------------------------------------------------------------------------------

    def run(
        self, folder: Path, records: list[Any], mode: str, schema: Mapping[str, Any] = SCHEMA, **options: Any
    ) -> Any:
        """Sync these records with a fresh destination object."""
        selections = [Selection(self.stream_name, write_mode=mode)]
        return sync(self.source(records, schema), self.make(folder), selections, **options)

    def succeed(
        self, folder: Path, records: list[Any], mode: str, schema: Mapping[str, Any] = SCHEMA
    ) -> dict[int, str]:
        """The same, where no more than records can be rejected; gives the reasons by `id`."""
        rejects = Rejects(folder / "rejects")
        result = self.run(folder, records, mode, schema, rejects=rejects, connection="things", max_nulled_share=1.0)
        assert result.status is Status.succeeded, result.as_dict()
        assert result.streams[self.stream_name].accounted == len(records), result.as_dict()
        return {entry["record"]["id"]: entry["reason"] for entry in rejects.read("things")}

    def run_batches(self, folder: Path, batches: Batches, write: Write, schema: Mapping[str, Any] = SCHEMA) -> Result:
        """Sync these batches, each written for itself."""
        # As a mapping: the word `overwrite`, and a Write like it, would be `overwrite_dedup` where there is a key.
        choices = {"replace": write.replace, "keep": write.keep, "deletes": write.deletes}
        destination, name = self.make(folder), self.stream_name
        source = BatchSource(
            records={name: ()},
            primary_keys={name: "id"},
            schemas={name: schema},
            batches=batches,
            nbytes=destination.batch_bytes - 4096,
        )
        result = sync(source, destination, [Selection(name, write_mode=choices)])
        assert result.status is Status.succeeded, result.as_dict()
        assert result.streams[name].accounted == sum(map(len, batches)), result.as_dict()
        return result

    # -- what is there -------------------------------------------------------------------------------------------------

    def seen(self, folder: Path, mode: str | Write = "append") -> list[Record]:
        return self.seen_of(folder, self.stream(mode))

    def seen_of(self, folder: Path, stream: Stream) -> list[Record]:
        destination = self.make(folder)
        try:
            return self.stored(destination, stream)
        finally:
            destination.close()

    def by_id(self, folder: Path, mode: str) -> dict[int, Record]:
        """The records by `id`; none occurs twice."""
        rows = self.seen(folder, mode)
        records = {int(row["id"]): row for row in rows}
        assert len(records) == len(rows), f"{len(rows)} records for the keys {sorted(records)}"
        return records

    def nulled(self, row: Record) -> dict[str, str]:
        """The values of a row that did not fit and are null, by field, as its `_airbyte_meta` has them."""
        meta = row.get("_airbyte_meta") or {"changes": []}
        changes = (loads(meta) if isinstance(meta, str) else meta)["changes"]
        assert all((change["change"], change["reason"]) == (NULLED, REASON) for change in changes)
        return {change["field"]: change["value"] for change in changes}

    def texts(self, folder: Path, mode: str = "append") -> dict[int, str]:
        return {int(row["id"]): row["text"] for row in self.seen(folder, mode)}

    def assert_arrived(self, record: Record, row: Record) -> None:
        """Every value of the record is there as the class expects it; null ones may be missing."""
        expected = self.expected(record)
        changed = {name: (row.get(name), value) for name, value in expected.items() if not same(row.get(name), value)}
        assert not changed, f"not as expected (stored, wanted): {changed}"

    def assert_kept(self, row: Record, record: Record) -> None:
        """The values are there as they were or as their texts: a column may have grown to one that holds texts."""
        changed = {
            k: (row.get(k), v) for k, v in record.items() if not same(row.get(k), v) and not same(row.get(k), Text(v))
        }
        assert not changed, f"neither the value nor its text (stored, wanted): {changed}"

    # -- what it can ---------------------------------------------------------------------------------------------------

    def needs(self, mode: str | Write, folder: Path) -> None:
        write = WRITES[mode] if isinstance(mode, str) else mode
        if write not in self.make(folder).writes:
            pytest.skip(f"this destination does not write so ({mode}), and says so")

    def any_mode(self, folder: Path) -> str:
        writes = self.make(folder).writes
        return next(mode for mode in ("append_dedup", "append", "overwrite") if WRITES[mode] in writes)

    def any_added(self, folder: Path) -> str:
        """A mode in which later syncs leave what is there."""
        return "append_dedup" if WRITES["append_dedup"] in self.make(folder).writes else "append"
