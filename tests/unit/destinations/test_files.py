import datetime as dt
import json
import os
import re
import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kitestring import registry
from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.config import masked
from kitestring.destinations.files import Files
from kitestring.engine import sync as run
from kitestring.errors import ConfigError
from kitestring.files.store import LocalStore
from kitestring.files.stream_folder import stream_folder
from kitestring.testing.memory import MemorySource
from kitestring.types import Stream

STREAM = Stream(
    "things",
    schema={"properties": {"id": {"type": "integer"}, "text": {"type": ["string", "null"]}}},
    primary_key=(("id",),),
)
FORMATS = ["parquet", "jsonl", "csv"]


@pytest.fixture(params=["local", "memory"])
def path(request, tmp_path):
    """A place of each kind of store."""
    if request.param == "local":
        yield str(tmp_path / "data")
        return
    import fsspec

    yield f"memory://test-{tmp_path.name}"
    fs = fsspec.filesystem("memory")
    if fs.exists(f"/test-{tmp_path.name}"):
        fs.rm(f"/test-{tmp_path.name}", recursive=True)


def sync(files, mode, *batches, stream=STREAM, end="commit", deletes=()):
    stream = replace(stream, write=WRITES[mode])
    files.begin(stream)
    for batch in batches:
        rows = {"table": batch} if isinstance(batch, pa.Table) else {"rows": batch}
        files.write(stream, files.prepare(stream, Batch(stream.key, **rows)))
    if deletes:
        files.delete(stream, deletes)
    if end:
        getattr(files, end)(stream)


def rows_of(files, stream=STREAM):
    """What the visible files hold: (id, text), as text where the format has no types."""
    results = []
    store = files.store()
    for name in store.names(stream_folder(stream)):
        file_format = files.format_of(name)
        for table in file_format.raw(store.open(stream_folder(stream), name)):
            pairs = zip(file_format.values(table, "id"), file_format.values(table, "text"), strict=True)
            results += [(int(key), text) for key, text in pairs]
    return sorted(results)


def named(*pairs):
    return [{"id": n, "text": text} for n, text in pairs]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("compression", ["default", "none", "gzip", "zstd"])
def test_append_overwrite_and_merge_do_what_they_say_in_every_format(path, format, compression):
    files = Files(path=path, format=format, compression=compression)
    sync(files, "append", named((1, "a"), (2, "b")), named((3, "c")))
    sync(files, "append", named((1, "again")))
    assert rows_of(files) == [(1, "a"), (1, "again"), (2, "b"), (3, "c")]
    sync(files, "overwrite", named((1, "x"), (2, "y")), named((3, "z"), (4, "")))
    assert rows_of(files) == [(1, "x"), (2, "y"), (3, "z"), (4, "")]
    sync(files, "append_dedup", named((2, "first"), (5, None)), named((2, "second")), deletes=[(3,), (99,)])
    assert rows_of(files) == [(1, "x"), (2, "second"), (4, ""), (5, None)]
    assert files.count(STREAM) == 4
    assert files.store().names(".kitestring/things/incoming") == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_deleted_key_that_comes_again_is_there(path, format):
    files = Files(path=path, format=format)
    stream = replace(STREAM, write=WRITES["append_dedup"])
    sync(files, "append_dedup", named((1, "old")))
    files.begin(stream)
    files.delete(stream, [(1,)])
    files.write(stream, Batch(stream.key, rows=named((1, "new"))))
    files.commit(stream)
    assert rows_of(files) == [(1, "new")]


def test_a_merge_leaves_the_files_without_a_changed_key_as_they_are(tmp_path):
    files = Files(path=str(tmp_path))
    sync(files, "append", named((1, "a")), named((2, "b")))
    before = {p.name: p.stat().st_ino for p in (tmp_path / "things").iterdir()}
    sync(files, "append_dedup", named((2, "changed")))
    after = {p.name: p.stat().st_ino for p in (tmp_path / "things").iterdir()}
    assert len(before.items() & after.items()) == 1
    assert rows_of(files) == [(1, "a"), (2, "changed")]


def test_what_was_written_survives_a_crash_before_the_merge(path):
    sync(Files(path=path), "append_dedup", named((1, "a"), (2, "b")))
    crashed = Files(path=path)
    sync(crashed, "append_dedup", named((2, "changed"), (3, "c")), end=None)
    assert rows_of(Files(path=path)) == [(1, "a"), (2, "b")]
    assert Files(path=path).count(STREAM) is None
    sync(Files(path=path), "append_dedup", named((4, "d")))
    assert rows_of(Files(path=path)) == [(1, "a"), (2, "changed"), (3, "c"), (4, "d")]


def test_a_cancelled_merge_shows_what_was_written(path):
    sync(Files(path=path), "append_dedup", named((1, "a")), end="abort")
    assert rows_of(Files(path=path)) == [(1, "a")]


def test_an_aborted_or_crashed_overwrite_keeps_the_old_files(path):
    sync(Files(path=path), "overwrite", named((1, "old")))
    sync(Files(path=path), "overwrite", named((2, "lost")), end="abort")
    assert rows_of(Files(path=path)) == [(1, "old")]
    sync(Files(path=path), "overwrite", named((2, "lost")), end=None)
    assert rows_of(Files(path=path)) == [(1, "old")]
    sync(Files(path=path), "overwrite", named((3, "new")))
    assert rows_of(Files(path=path)) == [(3, "new")]


@pytest.mark.parametrize("step", range(1, 12))
@pytest.mark.parametrize("mode", ["overwrite", "append_dedup"])
def test_a_remote_swap_that_is_cut_off_anywhere_is_ended_by_the_next_sync(tmp_path, step, mode):
    """Cuts the swap at its nth change of the store: no record ever misses, and the end is as if nothing had been."""
    import fsspec

    path = f"memory://cut-{mode}-{step}"
    sync(Files(path=path), "overwrite", named((1, "a"), (2, "b")))
    files = Files(path=path)
    sync(files, mode, named((1, "new"), (2, "new")), end=None)
    fs = files.store().fs

    class Cut(BaseException):
        pass

    changes = iter(range(1, 100))

    def counted(call):
        def change(*arguments, **options):
            if next(changes) == step:
                raise Cut
            return call(*arguments, **options)

        return change

    methods = ("pipe_file", "cp_file", "rm_file", "rm")
    originals = {name: getattr(fs, name) for name in methods}
    for name in methods:
        setattr(fs, name, counted(originals[name]))
    try:
        files.commit(replace(STREAM, write=WRITES[mode]))
    except Cut:
        pass
    finally:
        for name in methods:
            setattr(fs, name, originals[name])
    assert {key for key, _ in rows_of(Files(path=path))} == {1, 2}
    second = [(1, "new"), (2, "new")]
    sync(Files(path=path), mode, named(*second))
    assert rows_of(Files(path=path)) == second
    fsspec.filesystem("memory").rm(f"/cut-{mode}-{step}", recursive=True)


def test_a_reader_sees_the_old_files_or_the_new_ones_while_an_overwrite_swaps(tmp_path):
    files = Files(path=str(tmp_path))
    sync(files, "overwrite", named(*((n, "0") for n in range(3))))
    seen, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            before = os.stat(tmp_path / "things")
            count = len(os.listdir(tmp_path / "things"))
            after = os.stat(tmp_path / "things")
            # A listing that a swap overtook may be of the old folder while that is being removed.
            if (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns):
                seen.append(count)

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(30):
        sync(files, "overwrite", named((1, str(number))))
    stop.set()
    thread.join()
    assert set(seen) == {1}


def test_a_swap_without_the_system_call_still_replaces_and_recovers(tmp_path, monkeypatch):
    monkeypatch.setattr("kitestring.files.store.exchange_folders", lambda item, other: False)
    files = Files(path=str(tmp_path))
    sync(files, "overwrite", named((1, "a")))
    sync(files, "overwrite", named((2, "b")))
    assert rows_of(files) == [(2, "b")]
    # Cut off between its two renames: the old folder stands aside, the new one is not in its place.
    (tmp_path / "things").rename(tmp_path / ".kitestring/things/shadow.aside")
    sync(files, "append", named((3, "c")))
    assert rows_of(files) == [(2, "b"), (3, "c")]


@pytest.mark.slow
def test_syncs_of_other_streams_into_the_same_folder_leave_each_other_alone(tmp_path):
    def many(name):
        files, stream = Files(path=str(tmp_path)), replace(STREAM, name=name)
        for current_number in range(40):
            sync(files, "append", named((current_number, name)), stream=stream)

    threads = [threading.Thread(target=many, args=(f"stream {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert len(rows_of(Files(path=str(tmp_path)), replace(STREAM, name=f"stream {number}"))) == 40


def test_what_a_write_that_was_cut_off_has_left_goes_after_an_hour(tmp_path):
    left = tmp_path / ".kitestring/tmp"
    left.mkdir(parents=True)
    for name, age_s in (("old", 7200), ("at work", 60)):
        (left / name).write_bytes(b"half")
        os.utime(left / name, (time.time() - age_s,) * 2)
    sync(Files(path=str(tmp_path)), "append", named((1, "a")))
    assert [single_path.name for single_path in left.iterdir()] == ["at work"]


def test_files_that_are_not_ours_stay_through_an_overwrite(tmp_path):
    files = Files(path=str(tmp_path))
    sync(files, "overwrite", named((1, "a")))
    (tmp_path / "things" / "README.txt").write_text("mine")
    sync(files, "overwrite", named((2, "b")))
    assert (tmp_path / "things" / "README.txt").read_text() == "mine"


def test_the_many_small_files_of_a_slow_sync_are_joined(path):
    for mode in ("append", "append_dedup", "overwrite"):
        files = Files(path=path)
        stream = replace(STREAM, name=mode)
        sync(files, mode, *(named((n, "x")) for n in range(20)), stream=stream)
        assert len(files.store().names(mode)) == 1
        assert len(rows_of(files, stream)) == 20


def test_a_new_field_and_a_changed_type_make_a_file_of_their_own(tmp_path):
    files = Files(path=str(tmp_path))
    stream = replace(STREAM, schema={"properties": {}})
    batches = [
        [{"id": 1, "v": 1}],
        [{"id": 2, "v": "two"}],
        [{"id": 3, "w": [1]}],
        [{"id": 4, "v": 4}],
        [{"id": 5, "v": 5}],
    ]
    sync(files, "append", *batches, stream=stream)
    rows = [row for p in (tmp_path / "things").iterdir() for row in pq.read_table(p).to_pylist()]
    assert sorted(rows, key=lambda row: row["id"])[1:3] == [{"id": 2, "v": "two"}, {"id": 3, "w": "[1]"}]
    assert len(rows) == 5


def test_arrow_goes_through_without_becoming_python_objects(tmp_path):
    files = Files(path=str(tmp_path))
    table = pa.table(
        {"id": [1, 2], "price": [Decimal("1.10"), None], "at": pa.array([0, 1], pa.timestamp("us", "UTC"))}
    )
    batch = Batch("things", table=table)
    files.begin(STREAM)
    files.write(STREAM, files.prepare(STREAM, batch))
    assert batch.is_table
    (file,) = (tmp_path / "things").iterdir()
    assert pq.read_table(file).equals(table)
    assert pq.read_metadata(file).row_group(0).column(0).compression == "ZSTD"


def test_row_groups_have_the_size_that_was_asked_for(tmp_path):
    files = Files(path=str(tmp_path), row_group_rows=10)
    sync(files, "append", named(*((n, "x") for n in range(25))))
    (file,) = (tmp_path / "things").iterdir()
    assert pq.read_metadata(file).num_row_groups == 3


def test_csv_tells_null_from_empty_and_writes_nested_values_as_json(tmp_path):
    files = Files(path=str(tmp_path), format="csv")
    table = pa.table(
        {
            "id": [1, 2],
            "text": ["", None],
            "tags": [["a", 'b"'], None],
            "raw": [b"\x00\xff", None],
            "price": pa.array([Decimal("1.10"), None], pa.decimal128(5, 2)),
            "at": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
            "nothing": pa.nulls(2),
        }
    )
    sync(files, "append", table)
    (file,) = (tmp_path / "things").iterdir()
    assert file.read_text().splitlines() == [
        '"id","text","tags","raw","price","at","nothing"',
        '1,"","[""a"",""b\\""""]","AP8=",1.10,2024-01-01 00:00:00.000000Z,',
        "2,,,,,,",
    ]


def test_json_lines_hold_the_records_as_they_came(tmp_path):
    files = Files(path=str(tmp_path), format="jsonl")
    record = {
        "id": 2**70,
        "text": "line\nbreak\x00 \ud83d",
        "d": {"a": [1, {"b": None}]},
        "n": Decimal("1.10"),
        "b": b"\xff",
    }
    sync(files, "append", [record])
    (file,) = (tmp_path / "things").iterdir()
    (line,) = file.read_text().splitlines()
    content = json.loads(line)
    assert (content["id"], content["text"], content["d"], content["b"]) == (
        2**70,
        "line\nbreak\x00 \ufffd",
        record["d"],
        "/w==",
    )


@pytest.mark.parametrize("format", FORMATS)
def test_keys_may_be_nested_several_and_of_any_text(tmp_path, format):
    files = Files(path=str(tmp_path), format=format)
    stream = replace(STREAM, primary_key=(("who", "name"), ("part",)), schema={"properties": {}})
    odd = ["a|", "|a", "\\", "\\0", "", "ü"]
    records = [
        {"who": {"name": a}, "part": b, "id": n, "text": "x"}
        for n, (a, b) in enumerate(zip(odd, odd[::-1], strict=True))
    ]
    sync(files, "append_dedup", records, stream=stream)
    sync(
        files, "append_dedup", [{**record, "text": "y"} for record in records[::2]], stream=stream, deletes=[("|a", "")]
    )
    assert rows_of(files) == [(0, "y"), (2, "y"), (3, "x"), (4, "y"), (5, "x")]


def test_a_record_that_does_not_fit_is_handed_back_and_the_others_are_written(tmp_path):
    files = Files(path=str(tmp_path))
    batch = Batch("things", rows=[{"id": "one"}, {"id": 2}])
    files.begin(STREAM)
    receipt = files.write(STREAM, files.prepare(STREAM, batch))
    assert receipt.written == 1
    assert receipt.rejected[0].record == {"id": "one"}
    assert files.count(STREAM) == 1


@pytest.mark.parametrize("name", ["../../escape", ".hidden", "a/b\\c", "nul\x00", "x" * 400, "日本", "con:1?*", ".."])
def test_a_hostile_stream_name_stays_inside_the_folder(tmp_path, name):
    files = Files(path=str(tmp_path / "root"))
    stream = replace(STREAM, name=name)
    sync(files, "overwrite", named((1, "a")), stream=stream)
    sync(files, "overwrite", named((2, "b")), stream=stream)
    assert rows_of(files, stream) == [(2, "b")]
    assert [p.name for p in tmp_path.iterdir()] == ["root"]
    assert sorted(p.parent.name for p in (tmp_path / "root").rglob("*.parquet")) == [stream_folder(stream)]


def test_an_empty_overwrite_leaves_a_file_with_the_columns(tmp_path):
    files = Files(path=str(tmp_path))
    sync(files, "overwrite", named((1, "a")))
    sync(files, "overwrite")
    (file,) = (tmp_path / "things").iterdir()
    assert pq.read_schema(file).names == ["id", "text"]
    assert files.count(STREAM) == 0


def test_a_full_disk_is_an_error_that_says_so_and_leaves_no_half_file(tmp_path, monkeypatch):
    files = Files(path=str(tmp_path))
    sync(files, "append", named((1, "a")))
    real = os.fsync

    def full(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").resolve().is_file():
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"the disk of .* is full") as caught:
        sync(files, "append", named((2, "b")))
    assert "Free space" in caught.value.hint
    monkeypatch.undo()
    assert rows_of(files) == [(1, "a")]
    assert not list((tmp_path / ".kitestring" / "tmp").iterdir())


def test_check_refuses_what_cannot_be_written_and_creates_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        Files(path=str(tmp_path / "file" / "below")).check()
    with pytest.raises(ConfigError, match="not written with snappy"):
        Files(path=str(tmp_path), format="jsonl", compression="snappy").check()
    with pytest.raises(ConfigError, match="not a file system"):
        Files(path="nonsense://x").check()
    Files(path=str(tmp_path / "new" / "folder")).check()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_a_file_where_the_folder_should_be_is_a_message_not_a_traceback(tmp_path):
    (tmp_path / "things").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be written"):
        sync(Files(path=str(tmp_path)), "append", named((1, "a")))


def test_storage_options_are_secret_as_text_or_as_an_object():
    options = {"key": "AKIA1", "secret": "hush"}
    assert Files.load({"path": "s3://b", "storage_options": json.dumps(options)}).storage_options == options
    files = Files.load({"path": "s3://b", "storage_options": options})
    assert "hush" not in repr(files)
    assert "hush" not in str(masked({"path": "s3://b", "storage_options": options}, Files.spec()))


def test_the_registry_finds_it(tmp_path):
    assert isinstance(registry.destination("files", {"path": str(tmp_path)}), Files)
    assert isinstance(Files(path=str(tmp_path)).store(), LocalStore)


@pytest.mark.parametrize(
    ("path", "fact"),
    [
        ("a-file", "a-file is a file, not a folder"),
        ("a-file/below/it", "a-file is a file, not a folder"),
        ("x" * 300, "a name in `path` has 300 bytes, which is more than this file system takes"),
        ("s3:/bucket/folder", "begins like an address but lacks its two slashes"),
        ("", "`path` is empty"),
        ("a\0b", "contains a NUL character"),
        ("~nobody-of-this-name/x", "names the home of an unknown user"),
        ("nofs://x", "nofs:// is not a file system that fsspec knows"),
    ],
)
def test_a_wrong_path_is_told_alike_by_the_check_and_by_a_sync(tmp_path, monkeypatch, path, fact):
    monkeypatch.chdir(tmp_path)
    Path("a-file").write_text("x")
    with pytest.raises(ConfigError, match=re.escape(fact)) as caught:
        Files(path=path).check()
    assert caught.value.hint
    result = run(MemorySource(records={"t": [{"id": 1}]}), Files(path=path), ["t"])
    assert isinstance(result.error, ConfigError)
    assert fact in result.error.message
    assert result.error.hint
    assert [entry.name for entry in tmp_path.iterdir()] == ["a-file"]


def test_a_file_that_vanishes_while_it_is_read_is_no_defect(tmp_path):
    files = Files(path=str(tmp_path))
    sync(files, "append", named((1, "a")))
    (name,) = files.store().names("things")
    (tmp_path / "things" / name).unlink()
    with pytest.raises(ConfigError, match=f"{name} cannot be read: No such file"):
        files.store().open("things", name)


def test_a_colon_in_the_name_of_a_folder_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sync(Files(path="./s3:/bucket"), "append", named((1, "a")))
    assert (tmp_path / "s3:" / "bucket" / "things").is_dir()


def test_csv_writes_times_and_dates_that_arrow_has_no_text_for(tmp_path):
    columns = {
        "opens": pa.array([86_400_000_000], pa.int64()).cast(pa.time64("us")),
        "born": pa.array([-(2**30)], pa.int32()).cast(pa.date32()),
        "took": pa.array([1_500], pa.int64()).cast(pa.duration("ms")),
    }
    destination = Files(path=str(tmp_path), format="csv")
    stream = Stream("s")
    destination.begin(stream)
    destination.write(stream, destination.prepare(stream, Batch("s", table=pa.table(columns))))
    destination.commit(stream)
    destination.close()
    (file,) = (tmp_path / "s").glob("*.csv")
    assert "24:00:00,-2937836-09-26,PT1.5S" in file.read_text().replace('"', "")
