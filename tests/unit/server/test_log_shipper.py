"""Logs of other machines: forwarded to the store in parts, read as if the file were here."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete, func, select
from test_connections import joined

from kitestring.server.context import Context
from kitestring.server.jobs import log_shipper
from kitestring.server.jobs.log import Log, Logs
from kitestring.server.jobs.log_shipper import LogShipper
from kitestring.server.store.tables import jobs, log_parts


@pytest.fixture
def job(context: Context, tmp_path: Path) -> int:
    connection = joined(context, tmp_path / "out")
    with context.store.write() as db:
        return context.queue.enqueue(db, connection)


def test_what_a_worker_logs_is_read_where_its_files_are_not(
    context: Context, job: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_shipper, "PART_BYTES", 2000)
    worker_logs, api_logs = Logs(tmp_path / "worker"), Logs(tmp_path / "api", context.store)
    shipper = LogShipper(context.store, worker_logs)
    shipper.begin(job, 1)
    log = Log(worker_logs.path(job, 1))
    for number in range(40):
        log.entry("info" if number % 2 else "debug", f"line {number}, with \u2028 and \r in it")
    assert not api_logs.read(job, 1).entries
    while shipper.work():
        pass
    assert [entry["message"] for entry in api_logs.read(job, 1).entries] == [
        entry["message"] for entry in worker_logs.read(job, 1).entries
    ]
    # Places are those of the file: a reader goes on from one part to the next, and later when there is more.
    part = api_logs.read(job, 1, limit=7, level="info")
    assert (part.has_more, part.entries[-1]["message"].split(",")[0]) == (True, "line 13")
    rest = api_logs.read(job, 1, place=part.place, level="info")
    assert (rest.has_more, len(rest.entries), rest.place) == (False, 13, worker_logs.read(job, 1).place)
    assert [entry["message"][:7] for entry in api_logs.read(job, 1, text="LINE 3,").entries] == ["line 3,"]
    log.entry("error", "the last word")
    log.close()
    shipper.end(job, 1)
    shipper.stop()
    assert [entry["message"] for entry in api_logs.read(job, 1, place=rest.place).entries] == ["the last word"]
    assert not shipper._places
    with context.store.write() as db:
        db.execute(delete(jobs).where(jobs.c.id == job))
        assert db.execute(select(func.count()).select_from(log_parts)).scalar_one() == 0


def test_a_log_is_forwarded_up_to_a_limit_and_of_a_job_that_is_gone_not_at_all(
    context: Context, job: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_shipper, "PART_BYTES", 500)
    monkeypatch.setattr(log_shipper, "MOST_BYTES", 1500)
    logs = Logs(tmp_path / "worker")
    shipper = LogShipper(context.store, logs)
    for number in (job, job + 1):
        log = Log(logs.path(number, 1))
        for line in range(100):
            log.entry("info", f"line {line}")
        log.close()
        shipper.begin(number, 1)
        shipper.end(number, 1)
    shipper.stop()
    with context.store.read() as db:
        sizes = list(db.execute(select(log_parts.c.job_id, func.sum(log_parts.c.size)).group_by(log_parts.c.job_id)))
    assert [(size[0], 500 < size[1] <= 1500) for size in sizes] == [(job, True)]
