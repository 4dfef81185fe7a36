"""The three choices of a write, from the source to the store."""

from typing import Any

import pytest

from kitestring.airbyte.modes import MODES, WRITES, mode_of, word_of, write_of
from kitestring.engine import Selection, Status, sync
from kitestring.errors import ConfigError
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import DELETED_AT, EVERY_WRITE, Write

DELETED = "2026-01-01T00:00:00Z"
ROWS: list[dict[str, Any]] = [
    {"id": 1, "v": "old"},
    {"id": 1, "v": "new"},
    {"id": 2, "v": "x"},
    {"id": 2, "v": "x", DELETED_AT: DELETED},
    {"id": 3, "v": "y"},
    {"id": 4, DELETED_AT: DELETED},
    {"id": 5, "v": "z", DELETED_AT: DELETED},
    {"id": 5, "v": "back"},
]


def run(rows: list[dict[str, Any]], write: Any, destination: MemoryDestination | None = None) -> Any:
    destination = destination or MemoryDestination()
    result = sync(
        MemorySource(records={"t": rows}, primary_keys={"t": "id"}), destination, [Selection("t", write_mode=write)]
    )
    return result, destination.stored.get("t", [])


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    ("keep", "deletes", "expected"),
    [
        ("all", "keep", ROWS),
        ("latest", "remove", [{"id": 1, "v": "new"}, {"id": 3, "v": "y"}, {"id": 5, "v": "back"}]),
        ("latest", "keep", [{"id": 1, "v": "new"}, {"id": 2, "v": "x"}, {"id": 3, "v": "y"}, {"id": 5, "v": "back"}]),
        (
            "latest",
            "mark",
            [
                {"id": 1, "v": "new"},
                {"id": 2, "v": "x", DELETED_AT: DELETED},
                {"id": 3, "v": "y"},
                {"id": 5, "v": "back"},
            ],
        ),
    ],
)
def test_every_write_leaves_what_it_says_whatever_the_batches(
    monkeypatch: pytest.MonkeyPatch, size: int, replace: bool, keep: Any, deletes: Any, expected: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(MemoryDestination, "batch_rows", size)
    result, stored = run(ROWS, Write(replace, keep, deletes))
    assert result.status is Status.succeeded, result.as_dict()
    assert result.streams["t"].accounted == len(ROWS)
    by_id = {row["id"]: row for row in stored} if keep == "latest" else stored
    assert by_id == ({row["id"]: row for row in expected} if keep == "latest" else expected)
    assert len(stored) == len(expected)


def test_an_overwrite_of_a_stream_with_a_key_keeps_its_last_versions() -> None:
    result, stored = run(ROWS, "overwrite")
    assert result.ok
    assert stored == [{"id": 1, "v": "new"}, {"id": 3, "v": "y"}, {"id": 5, "v": "back"}]


def test_an_overwrite_of_all_versions_leaves_deletions_out() -> None:
    result, stored = run(ROWS, {"replace": True, "keep": "all", "deletes": "remove"})
    assert result.ok
    assert [row["v"] for row in stored] == ["old", "new", "x", "y", "back"]
    assert result.streams["t"].deleted == 3


def test_what_is_deleted_twice_is_unchanged() -> None:
    destination = MemoryDestination()
    assert run(ROWS, "append_dedup", destination)[0].ok
    removed = [{"id": n, DELETED_AT: DELETED} for n in (1, 3, 99)]
    counts = []
    for _ in range(2):
        figures = run(removed, "append_dedup", destination)[0].streams["t"]
        counts.append((figures.deleted, figures.unchanged))
    assert counts == [(2, 1), (0, 3)]


def test_a_marked_record_is_not_counted_and_comes_back_with_its_next_version() -> None:
    destination = MemoryDestination()
    assert run(ROWS[:3], "soft_delete", destination)[0].ok
    result, stored = run([{"id": 1, DELETED_AT: DELETED}], "soft_delete", destination)
    assert result.ok, result.as_dict()
    assert stored[0] == {"id": 1, "v": "new", DELETED_AT: DELETED}
    result, stored = run([{"id": 1, "v": "again"}], "soft_delete", destination)
    assert result.ok, result.as_dict()
    assert stored[0] == {"id": 1, "v": "again"}


def test_deletions_of_keys_that_python_takes_for_one_are_marked_each() -> None:
    keys: list[Any] = [1, True, 0, False, "1"]
    rows = [{"id": key, "v": 1} for key in keys] + [{"id": key, DELETED_AT: DELETED} for key in keys]
    result, stored = run(rows, WRITES["soft_delete"])
    assert result.status is Status.succeeded, result.as_dict()
    assert [row.get(DELETED_AT) for row in stored] == [DELETED] * len(keys)


def test_a_value_that_becomes_one_of_another_kind_is_written() -> None:
    destination = MemoryDestination()
    for value in (1, True, "1"):
        _, stored = run([{"id": 1, "v": value}], WRITES["append_dedup"], destination)
        assert stored == [{"id": 1, "v": value}]
        assert type(stored[0]["v"]) is type(value)


def test_keys_of_different_types_are_different_records() -> None:
    rows = [{"id": 1, "v": "int"}, {"id": "1", "v": "text"}, {"id": 2**70}, {"id": 2**70 + 1}, {"id": True}]
    for write in ("append_dedup", "overwrite"):
        result, stored = run(rows, write)
        assert result.ok
        assert len(stored) == 5


def test_combinations_without_a_meaning_are_refused_by_name() -> None:
    for choices in (
        {"replace": False, "deletes": "remove"},
        {"replace": False, "deletes": "mark"},
        {"replace": True, "deletes": "mark"},
    ):
        with pytest.raises(ValueError, match=r"deletes: (remove|mark) needs keep: latest"):
            Write(**choices)
        with pytest.raises(ConfigError, match="keep: latest"):
            write_of(choices)
    assert len(EVERY_WRITE) == 9
    for word in ("upsert", {"keep": "some"}, {"replace": "yes"}, {"wrong": 1}):
        with pytest.raises(ConfigError):
            write_of(word)


def test_the_table_of_modes_is_one() -> None:
    for name, mode in MODES.items():
        assert mode_of(mode.reads, mode.writes) is mode
        assert name == mode.name
    assert mode_of("full_refresh", "append_dedup") is MODES["full_refresh_update"]
    assert mode_of("incremental", "overwrite") is None
    assert [word_of(write) for write in WRITES.values()] == [
        "append", "overwrite", "overwrite_dedup", "append_dedup", "append_dedup", "soft_delete",
    ]  # fmt: skip
