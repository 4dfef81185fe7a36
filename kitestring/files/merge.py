"""The merge: staged files replace older records in one swap, and everything is counted.

Staged files have records, keys to delete or keys to mark, and are numbered in the order of their arrival. For each key
the last record counts, and the marks after it. Only the staged keys are in memory, and one row group and one file at a
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kitestring.files.data_file import EXACT, MANY, DataFiles, FilePart, file_name
from kitestring.identity import distinct, is_text
from kitestring.types import DELETED_AT, Receipt, Stream

if TYPE_CHECKING:
    import pyarrow as pa

DELETES, MARKS, TRUNCATED = ".deleted", ".marked", ".truncated"
"""Parts of the names of staged files; those of records have none. A `TRUNCATED` file means that all records except the
staged ones are deleted."""
UPSERT, DELETE, MARK = 0, 1, 2


class Merge:
    """One merge of a stream. `fresh`: it makes a whole new copy, and existing files are all replaced."""

    def __init__(self, files: DataFiles, stream: Stream, incoming: str, folder: str, fresh: bool = False) -> None:
        self.files = files
        self.stream = stream
        self.incoming = incoming
        self.folder = folder
        self.marks_count = stream.write.deletes == "mark"
        self.fresh = fresh

    def merge_into(self, staging: str, data: Sequence[str]) -> tuple[set[str], Receipt]:
        """Fill the staging folder. Returns the names among `data`, the stream's files, that its files replace."""
        import pyarrow as pa
        import pyarrow.compute as pc

        files, store = self.files, self.files.store
        names = [name for name in store.names(self.incoming) if TRUNCATED not in name]
        if not names:
            return set(data) if self.fresh else set(), Receipt(replaced=0)
        if (self.fresh or not data) and self._distinct(names):
            return self._all(names, staging, data)
        columns = {name: self._waiting_keys(name) for name in names}
        encoded = pa.chunked_array(list(columns.values()), pa.large_string()).combine_chunks().dictionary_encode()
        self.keys, codes = encoded.dictionary, encoded.indices
        kinds = pa.concat_arrays([pa.repeat(pa.scalar(kind(name), pa.int8()), len(columns[name])) for name in names])
        numbers = pa.array(range(len(codes)), pa.int64())
        self.last = last_of(codes, numbers, kinds, len(self.keys))
        marked, marks = self._marks(names, codes, numbers, kinds)
        latest = pc.fill_null(pc.equal(numbers, self.last.take(codes)), False)
        parts = []
        small = {name for name in names if files.is_small(self.incoming, name)}
        start = 0
        for name in names:
            rows = latest.slice(start, len(columns[name]))
            row_marks = marked.take(codes.slice(start, len(rows))) if marks else None
            start += len(rows)
            if kind(name) != UPSERT:
                continue
            untouched = rows.true_count == len(rows) and (row_marks is None or row_marks.null_count == len(row_marks))
            if untouched and EXACT.match(name) and (len(small) < MANY or name not in small):
                store.share(self.incoming, name, staging, file_name(files.format_of(name)))
            else:
                parts.append(FilePart(self.incoming, name, rows, row_marks))
        counts = [pa.array([], pa.int32())]
        replaced = set() if not self.fresh else set(data)
        for name in () if self.fresh else data:
            part, matched = self._rewrite_of(name, marked if marks else None)
            counts.append(matched)
            if part is not None:
                replaced.add(name)
                parts.append(part)
        files.fill(staging, parts, marks, self.stream.schema.get("properties"))
        return replaced, receipt_of(codes, numbers, kinds, counts_of(pa.concat_arrays(counts), len(self.keys)))

    def _distinct(self, names: Sequence[str]) -> bool:
        """Whether these files have only records, with distinct keys, if that is cheap to check.

        Only for a key of one column of typed files: numbers, or what is declared as text. In lines of JSON and CSV
        one number has several spellings.
        """
        import pyarrow as pa

        if any(kind(name) != UPSERT or not EXACT.match(name) for name in names) or len(self.stream.primary_key) != 1:
            return False
        (path,) = self.stream.primary_key
        if len(path) > 1:
            return False
        text = is_text(self.stream.schema, path)
        columns: list[pa.ChunkedArray] = []
        for name in names:
            for table in self.files.raw(self.incoming, name, path):
                if path[0] not in table.column_names:
                    return False
                columns.append(table.column(path[0]))
                if not text and not pa.types.is_integer(columns[-1].type):
                    return False
        return distinct(columns)

    def _all(self, names: Sequence[str], staging: str, data: Sequence[str]) -> tuple[set[str], Receipt]:
        """Replace the old files by all of these, the small ones joined."""
        small = {name for name in names if self.files.is_small(self.incoming, name)}
        joined = small if len(small) >= MANY else set()
        for name in names:
            if name not in joined:
                self.files.store.share(self.incoming, name, staging, file_name(self.files.format_of(name)))
        self.files.fill(staging, (FilePart(self.incoming, name) for name in names if name in joined))
        return set(data), Receipt(replaced=0)

    def _waiting_keys(self, name: str) -> Any:
        """The keys of a staged file. Deletions of an earlier version mean a number and the text that spells it."""
        import pyarrow as pa

        readings = self._keys(self.incoming, name)
        return pa.concat_arrays(readings) if kind(name) == DELETE else readings[0]

    def _keys(self, folder: str, name: str) -> list[Any]:
        """The keys of a file as they are, and as they may also be meant."""
        import pyarrow as pa

        format_, exact = self.files.format_of(name), bool(EXACT.match(name))
        readings: list[list[Any]] = []
        with self.files.reading(folder, name):
            for table in self.files.raw(folder, name, [path[0] for path in self.stream.primary_key]):
                readings.append(format_.keys(table, self.stream, exact))
        most = max(map(len, readings), default=1)
        # A table with fewer readings than others repeats its last one.
        return [
            pa.concat_arrays(
                [arrays[min(n, len(arrays) - 1)] for arrays in readings] or [pa.array([], pa.large_string())]
            )
            for n in range(most)
        ]

    def _marks(self, names: Sequence[str], codes: Any, numbers: Any, kinds: Any) -> tuple[Any, list[Any]]:
        """The number of each key's mark; and the marks: times of deletion."""
        import pyarrow as pa
        import pyarrow.compute as pc

        marks: list[Any] = []
        for name in names:
            if kind(name) == MARK:
                for table in self.files.raw(self.incoming, name):
                    marks += self.files.format_of(name).values(table, DELETED_AT)
        if not marks:
            return None, []
        are_marks = pc.equal(kinds, MARK)
        mark_codes = codes.filter(are_marks)
        behind = pc.greater(numbers.filter(are_marks), pc.fill_null(self.last.take(mark_codes), -1))
        late = pa.table({"code": mark_codes, "mark": pa.array(range(len(marks)), pa.int64())}).filter(behind)
        first = late.group_by("code").aggregate([("mark", "min")])
        return by_code(first, "mark_min", len(self.keys)), marks

    def _rewrite_of(self, name: str, marked: Any) -> tuple[FilePart | None, Any]:
        """The rest of a file, or None if nothing in it changes; and the staged keys of its visible rows."""
        import pyarrow as pa
        import pyarrow.compute as pc

        readings = [pc.index_in(keys, value_set=self.keys) for keys in self._keys(self.folder, name)]
        codes = pc.coalesce(*readings) if len(readings) > 1 else readings[0]
        if codes.null_count == len(codes):
            return None, pa.array([], pa.int32())
        matched = codes.drop_null()
        row_marks = None
        if self.marks_count:
            format_, visible = self.files.format_of(name), []
            for table in self.files.raw(self.folder, name):
                visible += [value is None for value in format_.values(table, DELETED_AT)]
            unmarked = pa.array(visible, pa.bool_())
            matched = codes.filter(unmarked).drop_null()
            if marked is not None:
                row_marks = pc.if_else(unmarked, marked.take(codes), pa.scalar(None, pa.int64()))
        rows = pc.is_null(self.last.take(codes))
        if rows.true_count == len(rows) and (row_marks is None or row_marks.null_count == len(row_marks)):
            return None, matched
        return FilePart(self.folder, name, rows, row_marks), matched


def kind(name: str) -> int:
    """The content of a staged file, by its name."""
    return MARK if MARKS in name else DELETE if DELETES in name else UPSERT


def last_of(codes: Any, numbers: Any, kinds: Any, count: int) -> Any:
    """By key, the number of the last record or deletion; null if there are only marks."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.table({"code": codes, "number": numbers}).filter(pc.not_equal(kinds, MARK))
    return by_code(table.group_by("code").aggregate([("number", "max")]), "number_max", count)


def by_code(table: pa.Table, name: str, count: int) -> Any:
    """A column as an array with one item for each code, null if the table has none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = pc.index_in(pa.array(range(count), pa.int32()), value_set=table.column("code").combine_chunks())
    return table.column(name).combine_chunks().take(places)


def counts_of(codes: Any, count: int) -> Any:
    """How often each code occurs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counts = pc.value_counts(codes)
    table = pa.table({"code": counts.field("values"), "count": counts.field("counts")})
    return pc.fill_null(by_code(table, "count", count), 0)


def receipt_of(codes: Any, numbers: Any, kinds: Any, before: Any) -> Receipt:
    """The receipt for records, deletions and marks in their order. `before`: the number of old records of each key."""
    import pyarrow as pa
    import pyarrow.compute as pc

    order = pc.sort_indices(
        pa.table({"code": codes, "number": numbers}), [("code", "ascending"), ("number", "ascending")]
    )
    codes, kinds = codes.take(order), kinds.take(order)
    shifted = max(0, len(codes) - 1)
    previous = pa.concat_arrays([pa.array([-1] if len(codes) else [], codes.type), codes.slice(0, shifted)])
    previous_kind = pa.concat_arrays([pa.array([DELETE] if len(codes) else [], kinds.type), kinds.slice(0, shifted)])
    behind_record = pc.cast(pc.equal(previous_kind, UPSERT), pa.int64())
    present = pc.if_else(pc.equal(codes, previous), behind_record, before.take(codes))
    upserts, existed = pc.equal(kinds, UPSERT), pc.greater(present, 0)
    deleted = (pc.sum(pc.and_(pc.invert(upserts), existed))).as_py() or 0
    return Receipt(
        deleted=deleted,
        unchanged=len(kinds) - (upserts.true_count or 0) - deleted,
        replaced=(pc.sum(present).as_py() or 0) - deleted,
    )
