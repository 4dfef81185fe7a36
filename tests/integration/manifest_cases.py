"""What the tests of our manifests share: the keys of all streams, undeclared fields, the journal of a full read."""

import re

from reading import golden, read

from kitestring.types import SyncMode


def counted(source):
    """How many distinct keys each stream has; asserts that every field that comes is declared."""
    results, undeclared = {}, {}
    for stream in source.discover():
        rows, _ = read(source, stream.name)
        assert stream.primary_key, stream.name
        results[stream.name] = len({tuple(str(row[part]) for (part,) in stream.primary_key) for row in rows})
        undeclared[stream.name] = {key for row in rows for key in row} - set(stream.schema["properties"])
    assert {name: extra for name, extra in undeclared.items() if extra} == {}
    return results


def line(call):
    return call.line() + (f" {call.body.decode()}" if call.body else "")


def assert_golden_requests(server, source, path, moving=None):
    """Each stream read once, and again where it is incremental, asks for what the golden file says.

    `moving` matches what differs each time, such as the present moment.
    """
    lines = []
    for stream in source.discover():
        seen = len(server.requests)
        _, state = read(source, stream.name)
        lines += [f"# {stream.name}", *map(line, server.requests[seen:])]
        if SyncMode.incremental in stream.sync_modes:
            seen = len(server.requests)
            read(source, stream.name, state)
            lines += ["# … again", *map(line, server.requests[seen:])]
    if moving:
        lines = [re.sub(moving, "…", single_line) for single_line in lines]
    assert "\n".join(lines) + "\n" == golden(path, lines)
