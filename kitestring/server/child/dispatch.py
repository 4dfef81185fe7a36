"""Serves one request in a job's process and answers over the channel, without access to the store.

The request names the `action` (see `actions.py`, `sync.py`, `refresh.py`), the limits, the log level, and the
arguments of the action. Standard output belongs to the channel: what a connector prints goes to standard error, which
is the log.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from kitestring.errors import Cancelled, ConnectorError
from kitestring.log_format import JsonFormatter
from kitestring.server.child.call import ActionCall
from kitestring.server.child.limits import apply_limits
from kitestring.server.child.outcome_message import send_outcome
from kitestring.server.child.preload import import_modules, may_preload, preload_packages
from kitestring.server.child.protocol import ParentChannel, Pipe

PARENT_GONE = 70
"""The exit code of a child whose parent has ended."""


def main() -> int:
    """Serve the request on standard input; returns the exit code."""
    channel = Pipe(os.dup(0), os.dup(1))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    faulthandler.register(signal.SIGUSR1, all_threads=True, chain=False)
    cancel = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: cancel.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles a Ctrl-C at the terminal
    # Without the parent nobody renews the lease, and another attempt may begin at any moment: stop at once.
    up = ParentChannel(channel, on_cancel=cancel.set, on_end=lambda: os._exit(PARENT_GONE))
    request = up.request()
    limits = request.get("limits") or {}
    apply_limits(limits)
    call = ActionCall(request, up, cancel)
    before = set(sys.modules)
    with log_to_stderr(call, str(request.get("log_level") or "info")):
        send_outcome(call, lambda: run_action(call), limits, up.send)
    with contextlib.suppress(OSError):
        new = [module for module in list(sys.modules) if module not in before]
        packages = preload_packages() if new else set()
        up.send("used", modules=[module for module in new if may_preload(module, packages)])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that still wait for an answer would delay the exit; everything that counts is durable and reported.
    os._exit(0)


def run_action(call: ActionCall) -> Any:
    from kitestring.server.child import (
        actions,
        builder_actions,
        consent_actions,
        data,
        follow,
        manifest_actions,
        refresh,
        search_calls,
        sync,
    )

    action = str(call.request.get("action"))
    modules = (sync, follow, refresh, actions, data, builder_actions, manifest_actions, consent_actions, search_calls)
    handler: Any = {name: handler for module in modules for name, handler in module.ACTIONS.items()}.get(action)
    if handler is None:
        raise ConnectorError(f"unknown action of a child process: {action}")
    if call.cancel.is_set():
        raise Cancelled("cancelled before it began")
    return handler(call)


@contextlib.contextmanager
def log_to_stderr(call: ActionCall, level: str) -> Iterator[None]:
    """Send the log of everything to standard error while the request is served."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root, ours = logging.getLogger(), logging.getLogger("kitestring")
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    ours.setLevel(level.upper())
    yield


if __name__ == "__main__":
    import_modules()
    sys.exit(main())
