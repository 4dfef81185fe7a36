"""Reads a stream of PostgreSQL as the engine does, partition by partition."""

import pickle
from dataclasses import replace

from kitestring.sources.postgres import Postgres
from kitestring.types import Checkpoint, Reject, Suspicion, SyncMode, Write

APPEND = Write()


def source_of(server, **settings):
    return Postgres.load({**server.config, **settings})


def read(source, key, state=None, cursor=None, fields=(), write=APPEND, suspicions=None):
    """Rows, states and rejects of a stream."""
    stream = source.discover().get(key)
    if cursor:
        stream = replace(stream, sync_mode=SyncMode.incremental, cursor=(cursor,))
    stream = replace(stream, fields=tuple((name,) for name in fields), write=write)
    states = {stream.key: state} if state else {}
    rows, checkpoints, rejects = [], [], []
    suspicions = [] if suspicions is None else suspicions
    for partition in pickle.loads(pickle.dumps(list(source.partitions([stream], states)))):
        for item in source.read(partition, states):
            if isinstance(item, Checkpoint):
                checkpoints.append((len(rows), item.state))
            elif isinstance(item, Reject):
                rejects.append(item)
            elif isinstance(item, Suspicion):
                suspicions.append(item.reason)
            else:
                assert item.is_table
                rows += item.rows()
    return rows, checkpoints, rejects
