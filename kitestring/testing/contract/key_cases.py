"""The cases of a destination's contract about which records are one: keys of all kinds, and streams of like names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from kitestring.airbyte.modes import WRITES
from kitestring.destination import Counts, Deletes
from kitestring.engine import Rejects, Result, Selection, Status, sync
from kitestring.errors import ConfigError
from kitestring.testing.contract.suite import SCHEMA, DestinationSuite
from kitestring.testing.memory import MemorySource
from kitestring.types import DELETED_AT, Record

LIKE = [
    *("a", "A", "a ", " a", "á", "a\u0301", "ß", "ss", "1", "01", "1.0", "null", "true"),
    *("a\nb", "a\tb", "%", "_", "a'b", 'a"b'),
]
"""Texts that are one for some database: by case, spaces, accents, numbers, escapes."""

MIXED = [1, "1", True, "true", 1.5, "1.5", 2**60 + 1, 2**60 + 2, "x"]
"""Keys of one field that no schema declares."""


class KeyCases(DestinationSuite):
    """Keys and names."""

    def sync_keys(
        self, folder: Path, records: list[Record], keys: list[str], schema: Any = SCHEMA, **options: Any
    ) -> Result:
        """Sync records of which these fields are the primary key."""
        source = MemorySource(records={self.stream_name: records}, schemas={self.stream_name: schema})
        selections = [Selection(self.stream_name, write_mode="append_dedup", primary_key=keys)]
        result = sync(source, self.make(folder), selections, **options)
        assert result.status is Status.succeeded, result.as_dict()
        assert result.streams[self.stream_name].accounted == len(records), result.as_dict()
        return result

    def texts_of(self, folder: Path, keys: list[str], schema: Any) -> list[str]:
        stream = replace(self.stream("append_dedup"), primary_key=tuple((key,) for key in keys), schema=schema)
        return sorted(row["text"] for row in self.seen_of(folder, stream))

    def assert_keys_stay_apart(self, folder: Path, keys: list[Any], schema: Any) -> None:
        """Each key has its record: written, written again, with a new version, deleted."""
        for version in ("first", "first", "second"):
            records = [{"key": key, "text": f"{version} {n}"} for n, key in enumerate(keys)]
            self.sync_keys(folder, records, ["key"], schema)
            assert self.texts_of(folder, ["key"], schema) == sorted(record["text"] for record in records)
        if isinstance(self.make(folder), Deletes):
            deleted = [{"key": key, "text": "", DELETED_AT: "2026-01-01T00:00:00Z"} for key in keys[::2]]
            figures = self.sync_keys(folder, deleted, ["key"], schema).streams[self.stream_name]
            assert figures.deleted == len(deleted)
            remaining = sorted(f"second {n}" for n in range(len(keys)) if n % 2)
            assert self.texts_of(folder, ["key"], schema) == remaining

    def test_keys_that_are_nearly_the_same_text_are_different_records(self, tmp_path: Path) -> None:
        self.needs("append_dedup", tmp_path)
        schema = {"properties": {"key": {"type": "string"}, "text": {"type": "string"}}}
        self.assert_keys_stay_apart(tmp_path, LIKE, schema)

    def test_keys_of_several_types_are_different_records(self, tmp_path: Path) -> None:
        self.needs("append_dedup", tmp_path)
        self.assert_keys_stay_apart(tmp_path, MIXED, {"properties": {"text": {"type": "string"}}})

    def test_a_key_of_several_fields_is_all_of_them(self, tmp_path: Path) -> None:
        self.needs("append_dedup", tmp_path)
        pairs = [("a", 1), ("a", 2), ("b", 1), ("a1", 1), ("a", 11), ("", 1), ("a,1", 1), ("a", -1)]
        schema = {"properties": {"left": {"type": "string"}, "right": {"type": "integer"}, "text": {"type": "string"}}}
        for version in ("first", "second"):
            records: list[Record] = [{"left": a, "right": b, "text": f"{version} {a}/{b}"} for a, b in pairs]
            self.sync_keys(tmp_path, records, ["left", "right"], schema)
            stored = self.texts_of(tmp_path, ["left", "right"], schema)
            assert stored == sorted(record["text"] for record in records)

    def test_a_record_without_its_key_is_rejected_and_the_others_arrive(self, tmp_path: Path) -> None:
        self.needs("append_dedup", tmp_path)
        rejects = Rejects(tmp_path / "rejects")
        records: list[Record] = [
            {"id": 1, "text": "a"},
            {"id": None, "text": "b"},
            {"text": "c"},
            {"id": 2, "text": "d"},
        ]
        figures = self.sync_keys(tmp_path, records, ["id"], rejects=rejects).streams[self.stream_name]
        assert figures.rejected == 2
        assert ["id" in entry["reason"] for entry in rejects.read("default")] == [True, True]
        assert self.texts(tmp_path, "append_dedup") == {1: "a", 2: "d"}

    def test_what_was_appended_before_has_one_version_once_it_comes_again(self, tmp_path: Path) -> None:
        self.needs("append", tmp_path)
        self.needs("append_dedup", tmp_path)
        for _ in range(2):
            assert not self.succeed(tmp_path, self.records(4), "append")
        assert not self.succeed(tmp_path, [{"id": 1, "text": "new"}, {"id": 9, "text": "other"}], "append_dedup")
        stored = sorted((int(row["id"]), row["text"]) for row in self.seen(tmp_path, "append_dedup"))
        old = [(n, f"text {n}") for n in (0, 2, 3) for _ in range(2)]
        assert stored == sorted([*old, (1, "new"), (9, "other")])
        if isinstance(self.make(tmp_path), Deletes):
            deleted = [{"id": 2, "text": "", DELETED_AT: "2026-01-01T00:00:00Z"}]
            assert not self.succeed(tmp_path, deleted, "append_dedup")
            assert 2 not in self.texts(tmp_path, "append_dedup")
        destination = self.make(tmp_path)
        if isinstance(destination, Counts):
            assert destination.count(self.stream("append_dedup")) in (len(self.seen(tmp_path, "append_dedup")), None)
        destination.close()

    def test_a_table_goes_through_the_modes_one_after_the_other(self, tmp_path: Path) -> None:
        modes = ["overwrite", "append_dedup", "overwrite_dedup", "append", "overwrite", "append_dedup"]
        writes = self.make(tmp_path).writes
        model: list[int] = []
        for number, mode in enumerate(mode for mode in modes if WRITES[mode] in writes):
            keys = range(number, number + 4)
            assert not self.succeed(tmp_path, [{"id": n, "text": f"{mode} {number}"} for n in keys], mode)
            if mode.startswith("overwrite"):
                model = []
            elif mode == "append_dedup":
                model = [n for n in model if n not in keys]
            model += keys
            assert sorted(int(row["id"]) for row in self.seen(tmp_path, mode)) == sorted(model), mode

    def test_streams_whose_names_differ_by_case_stay_apart_or_are_refused(self, tmp_path: Path) -> None:
        mode = self.any_mode(tmp_path)
        names = ["Things", "things", "THINGS"]
        source = MemorySource(
            records={name: [{"id": n, "text": f"{name} {n}"} for n in range(3)] for name in names},
            primary_keys=dict.fromkeys(names, "id"),
            schemas=dict.fromkeys(names, SCHEMA),
        )
        result = sync(source, self.make(tmp_path), [Selection(name, write_mode=mode) for name in names])
        for name in names:
            figures = result.streams[name]
            if figures.status is Status.failed or result.error:
                error = figures.error or result.error
                assert isinstance(error, ConfigError), result.as_dict()
                assert "things" in error.message.lower()
                continue
            rows = self.seen_of(tmp_path, replace(self.stream(mode), name=name))
            assert sorted(row["text"] for row in rows) == [f"{name} {n}" for n in range(3)]
