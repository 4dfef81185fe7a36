"""What runs in a child process: one request, answered over the channel. It has no access to the store.

The request says the `action` (see `actions.py`, `syncing.py`), the limits, the log's level, and the rest by action.
Standard output is the channel's alone: what a connector prints goes to standard error, which is the log.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Set
from typing import Any

from kitestring.config import MASK
from kitestring.errors import Cancelled, ConnectorError, KitestringError
from kitestring.json_codec import dumps_text
from kitestring.server.child.egress import EgressPolicy, networks_of
from kitestring.server.child.limits import judged, limit, out_of_memory
from kitestring.server.child.protocol import Pipe, Upward, error_body

WARM = ("numpy", "pandas", "pyarrow", "orjson", "tiktoken")
"""Packages of the core that take long to import and may be imported before a fork: these start no thread that a fork
could not bear (Arrow's memory pool and numpy's algebra look after theirs), and make no connection. So are modules of
ours, and what the connectors in use declare (`Facts.preload`)."""
OURS = ("sources", "destinations", "vector", "sql", "files", "vendors", "airbyte", "arrow")
UNHEARD = 70
"""The exit code of a child whose parent is gone."""


class Told:
    """What an action has to work with: the request, the way to the parent, and the word to stop."""

    def __init__(self, request: Mapping[str, Any], up: Upward, cancel: threading.Event) -> None:
        self.request = request
        self.up = up
        self.cancel = cancel
        self.secrets: set[str] = set()
        self.egress = egress_of(request)

    def hide(self, secrets: set[str]) -> None:
        """Have these masked in the log from now on: the parent writes it."""
        new = {one for one in secrets if len(one) > 3} - self.secrets
        if new:
            self.secrets |= new
            self.up.ask("secrets", secrets=sorted(new))  # acknowledged: no line that holds them is written before

    def masked(self, node: Any) -> Any:
        """A body of an error without the secrets."""
        if isinstance(node, Mapping):
            return {key: self.masked(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [self.masked(one) for one in node]
        if isinstance(node, str):
            for secret in sorted(self.secrets, key=len, reverse=True):
                node = node.replace(secret, MASK)
        return node


def main() -> int:
    """Serve the request on standard input; the exit code."""
    channel = Pipe(os.dup(0), os.dup(1))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    faulthandler.register(signal.SIGUSR1, all_threads=True, chain=False)
    cancel = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: cancel.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the parent's to answer
    # Without the parent nobody renews the lease, so that another may begin at any moment: stop at once.
    up = Upward(channel, on_cancel=cancel.set, on_end=lambda: os._exit(UNHEARD))
    request = up.request()
    limits = request.get("limits") or {}
    limit(limits)
    told = Told(request, up, cancel)
    before = set(sys.modules)
    with logged(told, str(request.get("log_level") or "info")):
        try:
            up.send("result", value=run(told))
        except KitestringError as error:
            up.send("error", error=told.masked(error_body(judged(error, limits))))
        except MemoryError:
            up.send("error", error=error_body(out_of_memory(limits)))
        except Exception as error:
            logging.getLogger("kitestring.jobs").exception("a job crashed")
            found = ConnectorError(
                f"{request.get('action')} failed: {type(error).__name__}: {error}",
                hint="This is a defect: please report it, with the log of the attempt.",
            )
            up.send("error", error=told.masked(error_body(found)))
    with contextlib.suppress(OSError):
        new = [module for module in list(sys.modules) if module not in before]
        packages = preloads() if new else set()
        up.send("used", modules=[module for module in new if is_warm(module, packages)])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that still wait for an answer would hold the process up; all that counts is durable and told.
    os._exit(0)


def egress_of(request: Mapping[str, Any]) -> EgressPolicy | None:
    """The policy that keeps this process from private addresses from now on; None where connectors may reach them."""
    if request.get("allow_private_hosts", True):
        return None
    policy = EgressPolicy(networks_of(str(request.get("allowed_networks") or "")))
    policy.enforce()
    return policy


def run(told: Told) -> Any:
    from kitestring.server.child import actions, refresh, sync

    action = str(told.request.get("action"))
    found = {**sync.ACTIONS, **refresh.ACTIONS, **actions.ACTIONS}.get(action)
    if found is None:
        raise ConnectorError(f"a child process was asked for {action}, which it does not know")
    if told.cancel.is_set():
        raise Cancelled("asked to stop before it began")
    return found(told)


def preloads() -> set[str]:
    """The packages that may be imported before a fork: the core's own, and those of the connectors in use."""
    from kitestring import registry

    packages = set(WARM)
    for connector in registry.connectors():
        if connector.imported:
            with contextlib.suppress(KitestringError):
                packages.update(connector.load().facts.preload)
    return packages


def is_warm(module: str, packages: Set[str]) -> bool:
    """Whether the fork server may import this module: the packages themselves, the modules of Arrow, and ours."""
    package, _, rest = module.partition(".")
    if package == "kitestring":
        return rest.split(".")[0] in OURS
    arrow = package == "pyarrow" in packages and not rest.startswith("_") and "." not in rest
    return module in packages or arrow


PLAIN = set(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


class Lines(logging.Formatter):
    """An entry of the log as a line of JSON; the parent masks it and keeps it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: value for key, value in vars(record).items() if key not in PLAIN}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        entry = {
            "at_ms": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in fields.items() if key not in ("at_ms", "level", "logger", "message")},
        }
        return dumps_text(entry)


@contextlib.contextmanager
def logged(told: Told, level: str) -> Iterator[None]:
    """Send the log of everything to standard error while the request is served."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    root, ours = logging.getLogger(), logging.getLogger("kitestring")
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    ours.setLevel(level.upper())
    yield


def prepare() -> None:
    """Import what nearly every request needs, once for all children (see `nest.py`); nothing that starts a thread."""
    import kitestring.declarative
    import kitestring.engine
    import kitestring.http
    import kitestring.library
    import kitestring.registry
    import kitestring.server.child.actions
    import kitestring.server.child.refresh
    import kitestring.server.child.sync  # noqa: F401


if __name__ == "__main__":
    prepare()
    sys.exit(main())
