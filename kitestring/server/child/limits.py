"""Resource limits of a job's process, and the errors for reaching them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from kitestring.errors import ConnectorError, KitestringError


def apply_limits(limits: Mapping[str, Any]) -> None:
    """Limit this process to `memory_mb` and `cpu_s`, where the system can. No core dump: it would hold secrets.

    Memory at the start of the process (packages that the fork server has imported) does not count: a limit below it
    would not let even a thread start.
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
        # Limits the data segment; the address space (RLIMIT_AS) is many times larger with threads and Arrow.
        memory += allocated()
        bound(resource.RLIMIT_DATA, memory, memory)
    if seconds:
        bound(resource.RLIMIT_CPU, seconds, seconds + 5)  # SIGXCPU, then SIGKILL if that is ignored


def allocated() -> int:
    """Bytes of this process that count for RLIMIT_DATA; 0 if the system does not report them."""
    try:
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) << 10 for line in file if line.startswith("VmData:")), 0)
    except OSError:
        return 0


def classify(error: KitestringError, limits: Mapping[str, Any]) -> KitestringError:
    """The error, or the out-of-memory error if a `MemoryError` caused it: the engine takes any exception of a
    connector for a defect of the connector."""
    cause: BaseException | None = error
    visited: set[int] = set()
    while cause is not None and id(cause) not in visited:  # an exception may name itself as its cause
        if isinstance(cause, MemoryError):
            return out_of_memory(limits)
        visited.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return error


def out_of_memory(limits: Mapping[str, Any]) -> ConnectorError:
    """The error of a process that reached its memory limit."""
    memory = limits.get("memory_mb")
    return ConnectorError(
        f"the sync needed more than its limit of {memory} MB of memory" if memory else "the machine has no memory left",
        hint="Raise KITESTRING_MEMORY_MB, or sync fewer streams at once.",
    )
