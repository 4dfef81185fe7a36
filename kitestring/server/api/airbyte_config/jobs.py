"""Jobs of Airbyte's Config API, with attempts, figures by stream and log lines."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection, func, select

from kitestring.server.api.airbyte_public.jobs import STATUS_NAMES, cancel, row_of
from kitestring.server.auth.access import Reader, Runner, ServerContext
from kitestring.server.auth.resources import canonical
from kitestring.server.clock import iso
from kitestring.server.context import Context
from kitestring.server.jobs.figures import delivered_bytes, delivered_records
from kitestring.server.jobs.log import Logs
from kitestring.server.store.tables import attempts, connections, jobs

router = APIRouter(prefix="/jobs", tags=["config: jobs"])

TYPES = {"sync": "sync", "clear": "clear", "refresh": "refresh", "backfill": "refresh"}
KINDS = {"sync": ["sync"], "clear": ["clear"], "reset_connection": ["clear"], "refresh": ["refresh", "backfill"]}
ATTEMPTS = {"suspicious": "failed", "cancelled": "failed", "lost": "failed", "incomplete": "failed"}
"""An attempt is running, failed or succeeded; only a job can be cancelled."""
LINES = 2000


class JobId(BaseModel):
    """A job."""

    id: int = Field(ge=0, lt=2**63)


class Rows(BaseModel):
    """A page of a list."""

    pageSize: int = Field(20, ge=1, le=1000)
    rowOffset: int = Field(0, ge=0, lt=2**31)


class JobList(BaseModel):
    """Jobs of the connection `configId` and of these types, newest first, from `includingJobId` on."""

    configTypes: list[str] = Field(default_factory=list)
    configId: str
    includingJobId: int | None = Field(None, ge=0, lt=2**63)
    pagination: Rows = Field(default_factory=Rows)


def job_body(context: Context, db: Connection, row: Any, *, logs: bool = True) -> dict[str, Any]:
    """A job with its attempts."""
    attempt_rows = db.execute(select(attempts).where(attempts.c.job_id == row.id).order_by(attempts.c.number)).all()
    streams = db.execute(select(connections.c.streams).where(connections.c.id == row.connection_id)).scalar()
    enabled = [{"name": each["name"], **namespace_field(each.get("namespace"))} for each in streams or ()]
    shown_attempts = [attempt_body(each) for each in attempt_rows]
    job = {
        "id": row.id,
        "configType": "reset_connection" if row.options.get("asked") == "reset" else TYPES.get(row.kind, row.kind),
        "configId": row.connection_id,
        "createdAt": row.created_at_ms // 1000,
        "updatedAt": row.updated_at_ms // 1000,
        "status": STATUS_NAMES.get(row.status, row.status),
        "enabledStreams": enabled,
        "aggregatedStats": {
            "recordsEmitted": sum(each["totalStats"]["recordsEmitted"] for each in shown_attempts),
            "bytesEmitted": sum(each["totalStats"]["bytesEmitted"] for each in shown_attempts),
            "recordsCommitted": row.records,
            "bytesCommitted": row.nbytes,
        },
        **({"startedAt": row.started_at_ms // 1000} if row.started_at_ms is not None else {}),
    }
    log_reader = Logs(context.settings.home, context.store)
    return {
        "job": job,
        "attempts": [
            {
                "attempt": each,
                "logType": "formatted",
                "logs": {"logLines": log_lines(log_reader, row.id, number.number, logs)},
            }
            for each, number in zip(shown_attempts, attempt_rows, strict=True)
        ],
    }


def namespace_field(namespace: str | None) -> dict[str, str]:
    return {"namespace": namespace} if namespace else {}


def attempt_body(row: Any) -> dict[str, Any]:
    """An attempt; `id` counts from 0."""
    durable = row.durable or {}
    running = (row.progress or {}).get("streams") or {}
    figures = {name: value for name, value in (row.streams or running).items() if isinstance(value, dict)}
    per_stream = [
        {"streamName": name, "stats": stream_stats(value, durable.get(name))} for name, value in figures.items()
    ]
    ended = row.ended_at_ms
    total = {
        name: sum(each["stats"][name] for each in per_stream)
        for name in ("recordsEmitted", "bytesEmitted", "recordsCommitted", "bytesCommitted", "recordsRejected")
    }
    error = row.error or {}
    return {
        "id": row.number - 1,
        "status": ATTEMPTS.get(row.status, row.status),
        "createdAt": row.started_at_ms // 1000,
        "updatedAt": (ended if ended is not None else row.started_at_ms) // 1000,
        **({"endedAt": ended // 1000} if ended is not None else {}),
        "bytesSynced": total["bytesCommitted"],
        "recordsSynced": total["recordsCommitted"],
        "totalStats": total,
        "streamStats": per_stream,
        **(
            {
                "failureSummary": {
                    "failures": [
                        {
                            "failureOrigin": "replication",
                            "failureType": failure_type(str(error.get("type", ""))),
                            "externalMessage": " ".join(x for x in (error.get("message"), error.get("hint")) if x),
                            "timestamp": (ended or row.started_at_ms),
                        }
                    ],
                    "partialSuccess": bool(total["recordsCommitted"]),
                }
            }
            if error
            else {}
        ),
    }


def stream_stats(figures: dict[str, Any], durable: dict[str, Any] | None) -> dict[str, int]:
    """The figures of a stream in the Config API's terms: records read, and those that checkpoints cover."""
    covered = {"stream": durable} if durable else {}
    return {
        "recordsEmitted": int(figures.get("read") or 0),
        "bytesEmitted": int(figures.get("bytes") or 0),
        "recordsCommitted": delivered_records(covered),
        "bytesCommitted": delivered_bytes(covered),
        "recordsRejected": int(figures.get("rejected") or 0),
    }


def failure_type(type_name: str) -> str:
    return {"ConfigError": "config_error", "AuthError": "config_error", "TransientError": "transient_error"}.get(
        type_name, "system_error"
    )


def log_lines(logs: Logs, job_id: int, number: int, with_logs: bool) -> list[str]:
    """The log of an attempt as lines, if this machine has it."""
    if not with_logs:
        return []
    part = logs.read(job_id, number, limit=LINES, level="info")
    return [
        f"{iso(int(entry.get('at_ms') or 0))} {str(entry.get('level', 'info')).upper()} {entry.get('message', '')}"
        for entry in part.entries
    ]


def job_info_of(kind: str, at_ms: int, *, succeeded: bool = True) -> dict[str, Any]:
    """`jobInfo` of an action that runs at once and is not a job."""
    return {
        "id": "00000000-0000-0000-0000-000000000000",
        "configType": kind,
        "createdAt": at_ms // 1000,
        "endedAt": at_ms // 1000,
        "succeeded": succeeded,
        "connectorConfigurationUpdated": False,
        "logs": {"logLines": []},
    }


@router.post("/get", operation_id="configGetJob")
def get_job(caller: Reader, context: ServerContext, body: JobId) -> Any:
    with context.store.read() as db:
        return job_body(context, db, row_of(db, body.id))


@router.post("/get_without_logs", operation_id="configGetJobWithoutLogs")
def get_job_without_logs(caller: Reader, context: ServerContext, body: JobId) -> Any:
    with context.store.read() as db:
        return job_body(context, db, row_of(db, body.id), logs=False)


@router.post("/list", operation_id="configListJobs")
def list_jobs(caller: Reader, context: ServerContext, body: JobList) -> Any:
    """Newest first, without log lines."""
    query = select(jobs).where(jobs.c.connection_id == canonical(body.configId))
    kinds = [kind for config_type in body.configTypes for kind in KINDS.get(config_type, [])]
    if body.configTypes:
        query = query.where(jobs.c.kind.in_(kinds))
    if body.includingJobId is not None:
        query = query.where(jobs.c.id <= body.includingJobId)
    with context.store.read() as db:
        total = db.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        page = query.order_by(jobs.c.id.desc()).limit(body.pagination.pageSize).offset(body.pagination.rowOffset)
        rows = db.execute(page).all()
        return {"jobs": [job_body(context, db, row, logs=False) for row in rows], "totalJobCount": total}


@router.post("/cancel", operation_id="configCancelJob")
def cancel_job(caller: Runner, context: ServerContext, body: JobId) -> Any:
    """Cancel a job: at once if it does not run, else at its next checkpoint. 409 for a job that has ended."""
    with context.store.write() as db:
        cancel(context, db, body.id)
        return job_body(context, db, row_of(db, body.id), logs=False)
