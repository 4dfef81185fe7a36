"""A source and a destination for chaos: a slow count, and a file that notices when two write it at once.

They are found by their entry points: `installed` makes the metadata of a package of them in a folder for PYTHONPATH.
Markers in the connection's folder say which phase a sync has reached.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import PrivateAttr

from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.errors import ConfigError
from kitestring.facts import Facts
from kitestring.source import Item, Source
from kitestring.types import Catalog, Checkpoint, Partition, Receipt, States, Stream, SyncMode

NUMBERS = Stream(
    "numbers",
    schema={"type": "object", "properties": {"n": {"type": "integer"}}},
    cursor=("n",),
    source_defined_cursor=True,
    sync_modes=(SyncMode.full_refresh, SyncMode.incremental),
)


def installed(folder: Path) -> Path:
    """A folder to put on PYTHONPATH."""
    shutil.copy(__file__, folder / "guarded.py")
    info = folder / "guarded-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guarded\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[kitestring.sources]\nslow_count = guarded:SlowCount\n[kitestring.destinations]\nguarded = guarded:Guarded\n"
    )
    return folder


class Phases:
    """Says which phase is reached, and stays in one of them for as long as it is wanted."""

    def __init__(self, folder: Path, stay_in: str, seconds: float) -> None:
        self.folder, self.stay_in, self.seconds = folder, stay_in, seconds

    def reached(self, phase: str) -> None:
        if phase == self.stay_in:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"reached {phase}").touch()
            time.sleep(self.seconds)


class SlowCount(Source):
    """`count` numbers more with each sync, a few at a time."""

    facts: ClassVar[Facts] = Facts(network="none", programs=False)

    folder: Path
    count: int = 100
    at_a_time: int = 10
    pause_s: float = 0.02
    stay_in: str = ""
    stay_s: float = 0.0

    def _phases(self) -> Phases:
        return Phases(self.folder, self.stay_in, self.stay_s)

    def discover(self) -> Catalog:
        self._phases().reached("discover")
        return Catalog((NUMBERS,))

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        done = int(states.get("numbers", {}).get("n", 0))
        end = done + self.count
        while done < end:
            until = min(done + self.at_a_time, end)
            yield Batch("numbers", rows=[{"n": n} for n in range(done + 1, until + 1)])
            yield Checkpoint({"n": until})
            self._phases().reached("read")
            time.sleep(self.pause_s)
            done = until


class Guarded(Destination):
    """Appends numbers to a file, durably, and holds a lock on it: a second writer at the same time leaves a trace."""

    folder: Path
    stay_in: str = ""
    stay_s: float = 0.0
    _lock: Any = PrivateAttr(default=None)

    def begin(self, stream: Stream) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            (self.folder / f"two at once {time.time()}").touch()
            raise ConfigError("another process writes here") from None

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        Phases(self.folder, self.stay_in, self.stay_s).reached("prepare")
        return batch

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        Phases(self.folder, self.stay_in, self.stay_s).reached("write")
        with (self.folder / "numbers.txt").open("ab") as file:
            file.writelines(b"%d\n" % row["n"] for row in batch.rows())
            file.flush()
            os.fsync(file.fileno())
        return None

    def commit(self, stream: Stream) -> None:
        Phases(self.folder, self.stay_in, self.stay_s).reached("commit")

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def written(folder: Path) -> set[int]:
    """The numbers in the file; a line that was cut off by a kill counts for nothing."""
    path = folder / "numbers.txt"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return {int(line) for line in lines if line.strip().isdigit()}
