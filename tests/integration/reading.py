"""Reads a stream of a source as the engine does, in one thread: for tests of sources."""

from dataclasses import replace

from kitestring.batch import Batch
from kitestring.source import Source
from kitestring.types import Checkpoint, Reject, SyncMode


def read(source: Source, name: str, state: dict | None = None) -> tuple[list[dict], dict]:
    """The records of a stream, incrementally where it can, and its state afterwards."""
    stream = source.discover().get(name)
    assert stream is not None, name
    if SyncMode.incremental in stream.sync_modes:
        stream = replace(stream, sync_mode=SyncMode.incremental)
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
