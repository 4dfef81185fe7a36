"""Jobs: the leased queue, what runs them, what is kept of them.

The names are found on first use: a child process, which has no database, imports from this package too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kitestring.server.jobs.action_runner import Runner
    from kitestring.server.jobs.queue import Busy, Claim, Lost, Queue
    from kitestring.server.jobs.worker import Worker

__all__ = ["Busy", "Claim", "Lost", "Queue", "Runner", "Worker"]

PLACES = {"Busy": "queue", "Claim": "queue", "Lost": "queue", "Queue": "queue", "Runner": "runner", "Worker": "worker"}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(name)
    import importlib

    return getattr(importlib.import_module(f"kitestring.server.jobs.{PLACES[name]}"), name)
