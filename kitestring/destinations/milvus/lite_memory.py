"""Limits for Milvus Lite's use of this process's memory: it holds all data in memory, and more while it writes.

Measured with Lite 3.2.2: a flush turns every number of a vector into a Python object, eight times its bytes, so flushes
are small; a request does the same, so requests are small; a compaction copies the merged data several times, so little
is merged at once; freed memory is returned to the system. `benchmarks/README.md` has the figures.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

REQUEST_NBYTES = 2 * 1024 * 1024
FLUSH_NBYTES = 16 * 1024 * 1024

MOST_FILES = 28
"""The most files of a collection. Lite merges more than 32 in any case, and many files make every look-up slower."""

ADVISED_NBYTES = 300_000_000
"""With more bytes of data, a server is the better choice."""


def fit_segments(rows: int, total_rows: int) -> None:
    """Set Lite's limit of rows per file for files of `rows` rows: low enough that four of them are not merged (it
    merges up to twice this number), until there are too many files. Lite has no option for it."""
    try:
        from milvus_lite.engine import compaction
    except ImportError:  # another version has it elsewhere
        return
    if rows and hasattr(compaction, "MAX_SEGMENT_ROWS"):
        compaction.MAX_SEGMENT_ROWS = min(max(rows * 19 // 10, total_rows // MOST_FILES), 100_000)  # its own limit


def fit_existing(path: Path, collection: str) -> None:
    """The same for the existing files of a collection, before Lite opens it and plans merges.

    A file that cannot be read is left to Lite: a killed process leaves an incomplete one, which Lite removes when it
    opens the collection.
    """
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import read_metadata

    rows = []
    for file in path.glob(f"**/{collection}/partitions/*/data/*.parquet"):
        with suppress(ArrowInvalid, OSError):
            rows.append(read_metadata(file).num_rows)
    if rows:
        rows.sort()
        fit_segments(max(1, sum(rows[:4]) // 4), sum(rows))


def capacity_warning(path: Path, nbytes: int) -> str | None:
    """A warning if a Lite directory would have too much data for one process with this many more bytes."""
    total_nbytes = nbytes + sum(file.stat().st_size for file in path.glob("**/data/*.parquet"))
    if total_nbytes < ADVISED_NBYTES:
        return None
    return (
        f"Milvus Lite keeps all data in the memory of this process, about {total_nbytes / 1e6:,.0f} MB here, and takes"
        f" up to three times as much while it counts or searches: from {ADVISED_NBYTES / 1e6:,.0f} MB on,"
        " a server is the better choice"
    )


def release_memory() -> None:
    """Return freed memory to the system, which Python's and Arrow's allocators keep."""
    import pyarrow

    pyarrow.default_memory_pool().release_unused()
    trim = malloc_trim()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def malloc_trim() -> Any:
    """The function of glibc, None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
