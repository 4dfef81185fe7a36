"""A sync that kills itself (SIGKILL) at a chosen moment: the child process of `test_kill.py`.

    python mortal_sync.py '{"destination": "duckdb", "config": {…}, "count": 2000, "state": "…", "die": ["save", 3]}'

`die` is the moment and how often it passes first: read (records), prepare, write (before it), written (after it, before
the state), save (before it), saved, commit, or time (seconds).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from kitestring import registry
from kitestring.batch import Batch
from kitestring.engine import Selection, SqliteStates, sync
from kitestring.source import Item
from kitestring.sources.sample import Sample
from kitestring.types import Partition, States


class Mortality:
    def __init__(self, moment: str, count: float) -> None:
        self.moment, self.left = moment, count
        self.lock = threading.Lock()

    def passes(self, moment: str, count: int = 1) -> None:
        if moment != self.moment:
            return
        with self.lock:
            self.left -= count
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main(order: dict[str, Any]) -> int:
    death = Mortality(*order.get("die", ("never", 0)))
    if death.moment == "time":
        threading.Timer(death.left, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()

    class MortalSample(Sample):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            for item in super().read(partition, states):
                death.passes("read", len(item) if isinstance(item, Batch) else 1)
                yield item

    class MortalStates(SqliteStates):
        def save(self, connection: str, stream: str, state: dict[str, Any]) -> None:
            death.passes("save")
            super().save(connection, stream, state)
            death.passes("saved")

    destination = registry.destination(order["destination"], order["config"])
    kind: Any = type(destination)
    prepare, write, commit = kind.prepare, kind.write, kind.commit

    def mortal_prepare(self: Any, *args: Any) -> Any:
        death.passes("prepare")
        return prepare(self, *args)

    def mortal_write(self: Any, *args: Any) -> Any:
        death.passes("write")
        receipt = write(self, *args)
        death.passes("written")
        return receipt

    def mortal_commit(self: Any, *args: Any) -> Any:
        death.passes("commit")
        return commit(self, *args)

    kind.prepare, kind.write, kind.commit = mortal_prepare, mortal_write, mortal_commit
    kind.batch_rows = order.get("batch_rows", kind.batch_rows)
    source = MortalSample(
        count=order["count"], updates=order.get("updates", 0), batch_rows=order.get("batch_rows", 100)
    )
    result = sync(source, destination, [Selection("products")], states=MortalStates(order["state"]))
    print(json.dumps(result.as_dict()))
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
