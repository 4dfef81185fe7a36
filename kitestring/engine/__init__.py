"""The engine: `sync.py` holds the loop; read it first."""

from kitestring.engine.continuous import Continuous, WindowEnd
from kitestring.engine.estimate import Estimate, StreamEstimate, estimate
from kitestring.engine.progress import Progress, StreamProgress
from kitestring.engine.rejects import Rejects
from kitestring.engine.replay import replay
from kitestring.engine.result import Result, Status, StreamResult
from kitestring.engine.selection import Selection
from kitestring.engine.state import JsonStates, MemoryStates, SqliteStates, StateStore
from kitestring.engine.sync import sync

__all__ = [
    "Continuous",
    "Estimate",
    "JsonStates",
    "MemoryStates",
    "Progress",
    "Rejects",
    "Result",
    "Selection",
    "SqliteStates",
    "StateStore",
    "Status",
    "StreamEstimate",
    "StreamProgress",
    "StreamResult",
    "WindowEnd",
    "estimate",
    "replay",
    "sync",
]
