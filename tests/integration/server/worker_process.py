"""A worker as a process of its own, for tests that kill it: `python worker_process.py URL HOME SLOTS [SKEW_S]`.

With a skew its own clock is wrong by that much. It prints `ready`, and drains when it gets SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "server"))

from connections import plan_of

from kitestring.server import clock
from kitestring.server.connections.scheduler import Scheduler
from kitestring.server.context import Context
from kitestring.server.jobs import forkserver, queue
from kitestring.server.jobs.worker import Worker
from kitestring.server.settings import Settings


def main(url: str, home: str, slots: int, skew_s: float = 0.0) -> None:
    real = time.time_ns
    if skew_s:
        time.time_ns = lambda: real() + int(skew_s * 1e9)  # what this machine believes
        assert abs(clock.now_ms() - real() // 1_000_000 - skew_s * 1000) < 1000
    lease_s = float(os.environ.get("LEASE_S", "3"))
    settings = Settings(home=Path(home), database_url=url, workers=slots, lease_s=lease_s, attempts=5)
    queue.BACKOFF_S = (0.2, 0.5)
    if "FORK_SERVER" in os.environ:
        forkserver.PROGRAM = os.environ["FORK_SERVER"].split("\n")
    context = Context.of(settings)
    worker, scheduler = Worker(context, plan_of), Scheduler(context, look_s=0.3)
    worker.start()
    scheduler.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print("ready", flush=True)
    while not ended.wait(0.5):
        pass
    scheduler.stop()
    worker.stop()
    context.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:]))
