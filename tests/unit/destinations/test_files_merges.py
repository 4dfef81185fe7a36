"""What a merge of files counts, and what an interrupted one leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from files_syncs import FORMATS, keyed, sync, values

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.files import Files
from kitestring.engine import Status
from kitestring.types import DELETED_AT, Stream

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("mode", ["append_dedup", "soft_delete"])
def test_what_a_merge_did_is_counted_exactly(tmp_path: Path, format_: str, mode: str) -> None:
    removed = {DELETED_AT: "2026-01-01T00:00:00Z"}
    schema = {"id": {"type": "integer"}, DELETED_AT: {"type": ["string", "null"], "format": "date-time"}}

    def counts(*rows: dict[str, Any]) -> tuple[int, int, int, int]:
        result = sync(tmp_path, format_, list(rows), mode, schema=schema)
        assert result.status is Status.succeeded, result.as_dict()
        figures = result.streams["s"]
        visible = Files(path=str(tmp_path), format=format_).count(
            replace(Stream("s", primary_key=(("id",),)), write=WRITES[mode])
        )
        return figures.written, figures.unchanged, figures.deleted, visible or 0

    assert counts(*keyed(1, 2, 3)) == (3, 0, 0, 3)
    assert counts({"id": 1, **removed}, {"id": 9, **removed}) == (0, 1, 1, 2)
    assert counts({"id": 1, **removed}) == (0, 1, 0, 2)  # told twice
    assert counts(*keyed(1, 2)) == (2, 0, 0, 3)  # a later version takes the mark away
    assert counts({"id": 1, "text": "late"}, {"id": 1, **removed}, *keyed(4))[3] == 3
    rows = {int(key): mark for key, mark in zip(*by_id(tmp_path), strict=True)}
    if mode == "soft_delete":
        assert {key for key, mark in rows.items() if mark is not None} == {1}
        assert str(rows[1]).startswith("2026-01-01")
    assert set(rows) == ({1, 2, 3, 4} if mode == "soft_delete" else {2, 3, 4})


def by_id(path: Path) -> tuple[list[Any], list[Any]]:
    files = Files(path=str(path))
    ids: list[Any] = []
    marks: list[Any] = []
    for file in files.store().names("s"):
        for table in files.format_of(file).raw(files.store().open("s", file)):
            ids += files.format_of(file).values(table, "id")
            marks += files.format_of(file).values(table, DELETED_AT)
    return ids, marks


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("mode", ["append_dedup", "soft_delete", "overwrite_dedup"])
def test_events_in_any_order_leave_and_count_what_one_after_the_other_does(
    tmp_path: Path, format_: str, mode: str
) -> None:
    import random

    dice = random.Random(f"{format_} {mode}")
    write = WRITES[mode]
    stream = Stream("s", schema={"properties": {"id": {"type": "integer"}}}, primary_key=(("id",),), write=write)
    expected: dict[int, tuple[str, bool]] = {}
    for current_number in range(4):
        files = Files(path=str(tmp_path), format=format_)
        files.begin(stream)
        if write.replace:
            expected = {}
        start = sum(not marked for _, marked in expected.values())
        written = count = removed = 0
        for number in range(12):
            some = dice.sample(range(8), dice.randint(1, 4))
            if dice.random() < 0.5:
                text = f"{current_number}.{number}"
                receipt = files.write(stream, Batch("s", rows=[{"id": key, "text": text} for key in some]))
                written += receipt.written
                expected |= dict.fromkeys(some, (text, False))
            elif write.deletes == "mark":
                count += len(some)
                files.mark(stream, {(key,): f"2026-01-0{current_number + 1}T00:00:00Z" for key in some})
                for key in some:
                    if key in expected and not expected[key][1]:
                        expected[key] = expected[key][0], True
                        removed += 1
            else:
                count += len(some)
                files.delete(stream, [(key,) for key in some])
                removed += sum(expected.pop(key, None) is not None for key in some)
        receipt = files.commit(stream)
        assert (receipt.deleted, receipt.unchanged) == (removed, count - removed)
        visible = sum(not marked for _, marked in expected.values())
        assert files.count(stream) == visible == start * (not write.replace) + written - receipt.replaced - removed
        ids, marks = by_id(tmp_path)
        assert {int(key): mark is not None for key, mark in zip(ids, marks, strict=True)} == {
            key: marked for key, (_, marked) in expected.items()
        }
        assert values(tmp_path) == sorted(text for text, _ in expected.values())


class Cut(BaseException):
    pass


@pytest.mark.parametrize("mode", ["append_dedup", "soft_delete", "overwrite_dedup"])
@pytest.mark.parametrize("exchange", [True, False])
def test_a_merge_that_is_cut_off_at_any_change_of_the_disk_is_completed_by_the_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, exchange: bool
) -> None:
    """Cuts a commit at its nth rename, link or removal; the next sync of the same events leaves what is due."""
    import os
    import shutil

    if not exchange:
        monkeypatch.setattr("kitestring.files.store.exchange_folders", lambda new, old: False)
    stream = Stream("s", primary_key=(("id",),), write=WRITES[mode])

    def events(files: Files) -> None:
        files.begin(stream)
        files.write(stream, Batch("s", rows=keyed(*range(4), text="new {n}")))
        if mode == "soft_delete":
            files.mark(stream, {(1,): "2026-01-01T00:00:00Z", (5,): "2026-01-01T00:00:00Z"})
        else:
            files.delete(stream, [(1,), (5,)])
        files.write(stream, Batch("s", rows=keyed(7)))

    cuts = 0
    for step in range(1, 60):
        path = tmp_path / str(step)
        old = replace(stream, write=WRITES["append_dedup"])
        files = Files(path=str(path), format="jsonl")
        files.begin(old)
        files.write(old, Batch("s", rows=keyed(*range(6), text="old {n}")))
        files.commit(old)
        events(files)
        changes = iter(range(1, 1000))

        def cutting(call: Any, changes: Any = changes, step: int = step) -> Any:
            def change(*arguments: Any, **options: Any) -> Any:
                if next(changes) == step:
                    raise Cut
                return call(*arguments, **options)

            return change

        with monkeypatch.context() as patch:
            for place, name in ((os, "link"), (Path, "rename"), (Path, "replace"), (shutil, "rmtree")):
                patch.setattr(place, name, cutting(getattr(place, name)))
            try:
                files.commit(stream)
            except Cut:
                cuts += 1
            else:
                break
        second = Files(path=str(path), format="jsonl")
        events(second)
        second.commit(stream)
        expected = {0: "new 0", 2: "new 2", 3: "new 3", 7: "0"}
        if not mode.startswith("overwrite"):
            expected[4] = "old 4"
        marked = {1: "new 1", 5: "old 5"} if mode == "soft_delete" else {}
        ids, marks = by_id(path)
        assert sorted(ids) == sorted([*expected, *marked]), step
        assert {key for key, mark in zip(ids, marks, strict=True) if mark} == set(marked), step
        assert values(path) == sorted([*expected.values(), *marked.values()]), step
    assert cuts >= 3
