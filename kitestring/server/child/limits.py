"""What a job's process may take of its machine, and the word about it when a limit is reached."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from kitestring.errors import ConnectorError, KitestringError


def apply_limits(limits: Mapping[str, Any]) -> None:
    """Bound this process by `memory_mb` and `cpu_s`, as far as the system can. No core dump: secrets are in it.

    What the process has at its start, packages that a nest has imported for all its children, does not count: a limit
    below it would let not even a thread begin.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover - not on Windows
        return

    def bound(what: int, soft: int, hard: int) -> None:
        _, most = resource.getrlimit(what)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (soft, hard if most == resource.RLIM_INFINITY else min(hard, most)))

    bound(resource.RLIMIT_CORE, 0, 0)
    memory, seconds = int(limits.get("memory_mb") or 0) << 20, int(limits.get("cpu_s") or 0)
    if memory:
        # What is allocated; the address space (RLIMIT_AS) is many times that with threads and Arrow.
        memory += allocated()
        bound(resource.RLIMIT_DATA, memory, memory)
    if seconds:
        bound(resource.RLIMIT_CPU, seconds, seconds + 5)  # SIGXCPU, and SIGKILL for who takes no notice


def allocated() -> int:
    """Bytes of this process that count for RLIMIT_DATA; 0 where the system does not say."""
    try:
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) << 10 for line in file if line.startswith("VmData:")), 0)
    except OSError:
        return 0


def classify(error: KitestringError, limits: Mapping[str, Any]) -> KitestringError:
    """The error, or the word about the memory where that is what lies under it: the engine takes what a connector
    raises for the connector's defect."""
    cause: BaseException | None = error
    visited: set[int] = set()
    while cause is not None and id(cause) not in visited:  # an exception may name itself as its cause
        if isinstance(cause, MemoryError):
            return out_of_memory(limits)
        visited.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return error


def out_of_memory(limits: Mapping[str, Any]) -> ConnectorError:
    """The error of a process that got no more memory."""
    memory = limits.get("memory_mb")
    return ConnectorError(
        f"the sync needed more memory than the {memory} MB it may take" if memory else "the machine has no memory left",
        hint="Raise KITESTRING_MEMORY_MB, or sync fewer streams at once.",
    )
