"""Reads a stream of a source as the engine does, in one thread, and golden files: for tests of sources."""

import os
from dataclasses import replace
from pathlib import Path

from kitestring.batch import Batch
from kitestring.declarative.source import DeclarativeSource
from kitestring.source import Source
from kitestring.types import Checkpoint, Reject, Stream, SyncMode, Write


def stream_of(source: Source, name: str) -> Stream:
    """The stream of this name; of a manifest only this one is built, which has a hundred of them at times."""
    if isinstance(source, DeclarativeSource):
        return source.component(name).stream()
    stream = source.discover().get(name)
    assert stream is not None, name
    return stream


def read(source: Source, name: str, state: dict | None = None) -> tuple[list[dict], dict]:
    """The records of a stream, incrementally where it can, and its state afterwards."""
    stream = stream_of(source, name)
    if SyncMode.incremental in stream.sync_modes:
        stream = replace(stream, sync_mode=SyncMode.incremental, write=Write(keep="latest"))
    state = dict(state or {})
    states = {stream.key: state} if state else {}
    rows: list[dict] = []
    for partition in source.partitions([stream], states):
        for item in source.read(partition, states):
            match item:
                case Checkpoint():
                    state = source.merge(stream.key, state, item.state)
                case Batch():
                    rows.extend(item.rows())
                case Reject():
                    raise AssertionError(item.reason)
                case _:
                    rows.append(item)
    return rows, source.finish(stream, state)


def golden(path: Path, lines: list[str]) -> str:
    """What the golden file holds; `KITESTRING_GOLDEN=1` writes it, for a change to be reviewed as a diff."""
    if os.environ.get("KITESTRING_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return path.read_text()
