"""Several writers at once, and swaps that are cut off: nothing is lost, nothing is there twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.files import Files
from kitestring.files import store as store_module
from kitestring.files.store import LocalStore, RemoteStore
from kitestring.types import Stream

STREAM = Stream("s", primary_key=(("id",),))


class Cut(BaseException):
    pass


def rows(files: Files, stream: Stream = STREAM) -> list[int]:
    return sorted(key for table in files.read(stream) for key in table.column("id").to_pylist())


@pytest.mark.parametrize("exchange", [True, False])
def test_a_file_that_another_writer_adds_while_a_folder_is_swapped_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    store = LocalStore(tmp_path)
    store.put("s", "old.csv", b"old")
    store.put(".kitestring/s/shadow", "new.csv", b"new")
    real = store_module.exchange_folders

    def late(new: Path, old: Path) -> bool:
        store.put("s", "late.csv", b"late")  # behind the listing, before the swap
        return exchange and real(new, old)

    monkeypatch.setattr(store_module, "exchange_folders", late)
    store.swap(".kitestring/s/shadow", "s", {"old.csv"})
    assert store.names("s") == ["late.csv", "new.csv"]
    assert not (tmp_path / ".kitestring/s/shadow").exists()


@pytest.mark.parametrize("url", [False, True])
def test_who_asks_for_a_folder_that_is_locked_waits(tmp_path: Path, url: bool) -> None:
    stores = [RemoteStore(f"memory://{tmp_path}", {}) if url else LocalStore(tmp_path) for _ in range(2)]
    events: list[str] = []
    started = threading.Event()

    def second() -> None:
        started.set()
        with stores[1].locked("w"):
            events.append("second")

    thread = threading.Thread(target=second)
    with stores[0].locked("w"), stores[1].locked("other"):
        thread.start()
        started.wait(300)
        thread.join(0.05)
        events.append("first")
    thread.join(300)
    assert events == ["first", "second"]


def test_writers_that_append_and_join_at_once_lose_nothing(tmp_path: Path) -> None:
    def write(first: int) -> None:
        for current_number in range(4):
            files = Files(path=str(tmp_path), format="jsonl")
            files.begin(STREAM)
            for number in range(5):
                files.write(STREAM, Batch("s", rows=[{"id": first + 5 * current_number + number}]))
            files.commit(STREAM)

    threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(Files(path=str(tmp_path))) == [100 * n + k for n in range(4) for k in range(20)]
    assert len(list((tmp_path / "s").iterdir())) == 16


def cutting(fs: Any, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Raises at the nth change of the file system."""
    changes = iter(range(1, 1000))

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            if next(changes) == step:
                raise Cut
            return call(*arguments, **options)

        return change

    for name in ("pipe_file", "cp_file", "rm_file", "rm"):
        monkeypatch.setattr(fs, name, counted(getattr(fs, name)))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["joined", "truncated", "marked", "merged"])
def test_a_remote_replacement_or_emptying_that_is_cut_off_anywhere_is_clean_after_the_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    mode = {"joined": "overwrite", "truncated": "append_dedup", "marked": "soft_delete", "merged": "overwrite_dedup"}
    stream, fs, cuts = replace(STREAM, write=WRITES[mode[case]]), fsspec.filesystem("memory"), 0
    left = {"joined": [0, 1, 2, 3, 4], "truncated": [9], "marked": [0, 1, 2, 3, 4, 7, 9], "merged": [9]}[case]

    def events(files: Files) -> None:
        files.begin(stream)
        for key in range(5):
            files.write(stream, Batch("s", rows=[{"id": key}]))
        if case != "joined":
            files.truncate(stream, "2026-01-01T00:00:00Z")
            files.write(stream, Batch("s", rows=[{"id": 9}]))
        files.commit(stream)

    for step in range(1, 80):
        path = f"memory://cut-{tmp_path.name}-{case}-{step}"
        old = replace(STREAM, write=WRITES["append_dedup"])
        files = Files(path=path)
        files.begin(old)
        files.write(old, Batch("s", rows=[{"id": 7}]))
        files.commit(old)
        with monkeypatch.context() as patch:
            cutting(fs, patch, step)
            try:
                events(files)
            except Cut:
                cuts += 1
            else:
                break
        seen = set(rows(Files(path=path)))
        assert 7 in seen or seen >= set(left), "neither the old records nor the new ones"
        events(Files(path=path))
        assert rows(Files(path=path)) == left, step
        assert Files(path=path).count(stream) == (1 if case == "marked" else len(left))
    assert cuts > 8
