"""Whether a server still has the log that a state was read from, or was restored to an earlier moment."""

from __future__ import annotations

from typing import Any

from kitestring.vendors.postgres.replication import Replication, ServerIdentity, lsn_text


def lost_history(replication: Replication, server: ServerIdentity, known: Any, position: int) -> str:
    """What happened to the server, so that what it wrote since would be taken for something known; empty where its log
    has this position. `known`: system identifier and timeline when the position was read, None in an old state."""
    if known and known[0] != server.system:
        return f"the server is another one (system identifier {server.system}, was {known[0]})"
    if server.end < position:
        return f"the log of the server ends at {lsn_text(server.end)}: it was restored to an earlier moment"
    if known and known[1] != server.timeline:
        end = replication.timeline_end(known[1], server.timeline)
        if end is None or position > end:
            return f"the server was restored to an earlier moment (timeline {server.timeline}, was {known[1]})"
    return ""
