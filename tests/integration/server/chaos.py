"""Workers under fire: killed, paused, drained, with wrong clocks, their database restarted, jobs cancelled, by a seed.

`python chaos.py --seconds 300 --seed 7 --store postgres` runs it at length and prints the figures.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
sys.path[:0] = [str(place) for place in (FOLDER, FOLDER.parent, FOLDER.parents[1] / "unit" / "server")]

from connections import new_connection, workspace  # noqa: E402
from guarded import installed, written  # noqa: E402
from sqlalchemy import func, select, update  # noqa: E402

from kitestring.errors import KitestringError  # noqa: E402
from kitestring.server.context import Context  # noqa: E402
from kitestring.server.jobs import forkserver  # noqa: E402
from kitestring.server.settings import Settings  # noqa: E402
from kitestring.server.store.tables import attempts, connections, jobs, states  # noqa: E402

LEASE_S = 3.0
SKEWS = (0.0, 3600.0, -3600.0, 86_400.0)


class Chaos:
    """Connections that are due every few seconds, workers that run them, and a hand that breaks things."""

    def __init__(self, folder: Path, *, seed: int, database: Any = None, workers: int = 3, count: int = 12) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.database = database
        self.workers = workers
        self.url = ""
        if database is not None:
            from urllib.parse import quote

            password = quote(database.password, safe="")
            self.url = f"postgresql://{database.username}:{password}@{database.host}:{database.port}/{database.name}"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(installed(folder)),
            "LEASE_S": str(LEASE_S),
            "FORK_SERVER": "\n".join(forkserver.PROGRAM),
        }
        self.context = Context.of(Settings(home=folder / "home", database_url=self.url))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.did: Counter[str] = Counter()
        workspace_id = workspace(self.context)
        self.folders = [folder / f"connection {number}" for number in range(count)]
        self.connections = [
            new_connection(
                self.context,
                {"folder": str(place), "count": 100, "at_a_time": 5, "pause_s": 0.1},
                {"folder": str(place)},
                [{"name": "numbers"}],
                source_connector="slow_count",
                destination_connector="guarded",
                workspace_id=workspace_id,
            )
            for place in self.folders
        ]
        with self.context.store.write() as db:
            now = self.context.store.now_ms(db)
            schedule = {"type": "basic", "every": 1, "unit": "minutes"}
            db.execute(update(connections).values(schedule=schedule, next_run_at_ms=now))

    # -- the hand ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        for _ in range(self.workers):
            self.spawn()

    def spawn(self) -> None:
        # A wrong clock is a machine's own: on one machine with SQLite all have the same.
        skew = self.random.choice(SKEWS) if self.url else 0.0
        with (self.folder / "workers.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [
                        sys.executable,
                        str(FOLDER / "worker_process.py"),
                        self.url,
                        str(self.folder / "home"),
                        "2",
                        str(skew),
                    ],
                    env=self.environment,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            )
        out = self.processes[-1].stdout
        assert out is not None
        assert out.readline() == b"ready\n"

    def strike(self, deed: str = "") -> None:
        """Break one thing, this one or any."""
        deeds = ["kill", "kill", "kill all", "kill child", "pause", "drain", "cancel", "due", "due"]
        deed = deed or self.random.choice([*deeds, "database"] if self.database is not None else deeds)
        self.did[deed] += 1
        victim = self.random.choice(self.processes)
        match deed:
            case "kill":
                victim.kill()
                self.wait_for_exit(victim)
            case "kill all":  # the whole server, as when its machine goes down
                victims = list(self.processes)
                for process in victims:
                    process.kill()
                for process in victims:
                    self.wait_for_exit(process)
            case "kill child":
                for pid in children_of(children_of([victim.pid])):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    break
            case "pause":
                victim.send_signal(signal.SIGSTOP)
                time.sleep(LEASE_S * self.random.uniform(0.5, 1.6))
                victim.send_signal(signal.SIGCONT)
            case "drain":
                victim.terminate()
                self.wait_for_exit(victim)
            case "cancel":
                with suppress(KitestringError), self.context.store.write() as db:
                    candidates = list(db.execute(select(jobs.c.id).where(jobs.c.ended_at_ms.is_(None))).scalars())
                    if candidates:
                        self.context.queue.cancel(db, self.random.choice(candidates))
            case "due":
                with suppress(KitestringError), self.context.store.write() as db:
                    now = self.context.store.now_ms(db)
                    db.execute(update(connections).values(next_run_at_ms=now))
            case "database":
                self.database.stop()
                time.sleep(self.random.uniform(0.1, 2 * LEASE_S))
                self.database.start()

    def wait_for_exit(self, victim: subprocess.Popen[bytes]) -> None:
        victim.wait(600)
        self.processes.remove(victim)
        self.spawn()

    def rest(self, within_s: float = 600.0) -> float:
        """Break nothing more, until every job has ended; the seconds that took."""
        began = time.monotonic()
        with self.context.store.write() as db:
            db.execute(update(connections).values(next_run_at_ms=None))
        while True:
            with self.context.store.read() as db:
                remaining = list(db.execute(select(jobs).where(jobs.c.ended_at_ms.is_(None))))
            if not remaining:
                return time.monotonic() - began
            assert time.monotonic() - began < within_s, f"still there after {within_s} s: {remaining}"
            time.sleep(0.2)

    def end(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes:
            process.wait(600)
        self.context.close()

    # -- what must hold ------------------------------------------------------------------------------------------------

    def verify(self) -> None:
        """No two at once, no state without its data, and records that are those which the states stand for: at any
        time."""
        for connection_id, folder in zip(self.connections, self.folders, strict=True):
            twice = list(folder.glob("two at once*"))
            assert not twice, twice
            state = self.context.queue.states(connection_id).get("numbers", {})
            missing = set(range(1, int(state.get("n", 0)) + 1)) - written(folder)
            assert not missing, f"{folder}: the state says {state}, {sorted(missing)[:5]} are missing"
            counted = select(func.coalesce(func.sum(jobs.c.records), 0)).where(jobs.c.connection_id == connection_id)
            saved = select(states.c.state).where(states.c.connection_id == connection_id, states.c.stream == "numbers")
            with self.context.store.read() as db:  # in one statement, so that both are of one moment
                state, records = db.execute(select(saved.scalar_subquery(), counted.scalar_subquery())).one()
            covered = int((state or {}).get("n", 0))
            assert records == covered, f"{folder}: {records} records are counted, the state says {covered}"
        with self.context.store.read() as db:
            twice = list(
                db.execute(
                    select(jobs.c.connection_id, func.count())
                    .where(jobs.c.ended_at_ms.is_(None))
                    .group_by(jobs.c.connection_id)
                    .having(func.count() > 1)
                )
            )
        assert not twice, twice

    def figures(self) -> dict[str, Any]:
        with self.context.store.read() as db:
            by_status = dict(db.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status)).all())
            tries = dict(db.execute(select(attempts.c.status, func.count()).group_by(attempts.c.status)).all())
            rows = list(db.execute(select(attempts).order_by(attempts.c.job_id, attempts.c.number)))
        lost = Counter(row.job_id for row in rows if row.status == "lost")
        waits = [
            (two.started_at_ms - item.ended_at_ms) / 1000
            for item, two in itertools.pairwise(rows)
            if item.job_id == two.job_id and item.status in ("lost", "incomplete")
        ]
        return {
            "jobs": by_status,
            "attempts": tries,
            "deeds": dict(self.did),
            "most_lost_attempts_of_a_job": max(lost.values(), default=0),
            "longest_wait_after_a_lost_worker_s": max(waits, default=0.0),
        }


def children_of(pids: Any) -> list[int]:
    results = []
    for pid in pids:
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                results += [int(pid) for pid in (task / "children").read_text().split()]
    return results


def run(
    folder: Path, *, seed: int, seconds: float, database: Any = None, workers: int = 3, count: int = 12, first: str = ""
) -> Any:
    """So many seconds of chaos; the figures. Fails where anything does not hold."""
    chaos = Chaos(folder, seed=seed, database=database, workers=workers, count=count)
    try:
        chaos.begin()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(chaos.random.uniform(0.1, 1.0))
            chaos.strike(first)
            first = ""
            with suppress(KitestringError):
                chaos.verify()
        last = chaos.rest()
        chaos.verify()
        return {**chaos.figures(), "seconds_until_all_had_ended": round(last, 1)}
    finally:
        chaos.end()


if __name__ == "__main__":
    import json

    from postgres_server import running

    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", default="postgres")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--count", type=int, default=12)
    words = parser.parse_args()
    more = {"seed": words.seed, "seconds": words.seconds, "workers": words.workers, "count": words.count}
    place = Path(tempfile.mkdtemp(prefix="chaos"))
    if words.store == "postgres":
        with running() as database:
            print(json.dumps(run(place, database=database, **more), indent=2))
    else:
        print(json.dumps(run(place, **more), indent=2))
