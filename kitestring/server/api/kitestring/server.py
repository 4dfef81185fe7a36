"""The server itself: its settings without secrets, its workers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import select

from kitestring import __version__
from kitestring.server.api.kitestring.responses import ServerSettings, WorkersRead
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import InstanceAdmin, ServerContext
from kitestring.server.jobs.worker import SEEN_MS
from kitestring.server.store.tables import workers

router = APIRouter(tags=["server"])
PRIVATE = frozenset({"secret_key", "database_url", "home"})


@router.get("/settings", operation_id="getSettings", responses=responses_for(ServerSettings))
def get_settings(caller: InstanceAdmin, context: ServerContext) -> Any:
    """All settings but secrets, by name. The environment variable of each is KITESTRING_ and its name in capitals."""
    values = context.settings.model_dump(mode="json")
    form = type(context.settings).spec()["properties"]
    return {
        "version": __version__,
        "store": "sqlite" if context.store.sqlite else "postgresql",
        "settings": {
            name: value
            for name, value in values.items()
            if name not in PRIVATE and not form.get(name, {}).get("airbyte_secret")
        },
    }


@router.get("/workers", operation_id="listWorkers", responses=responses_for(WorkersRead))
def list_workers(caller: InstanceAdmin, context: ServerContext) -> Any:
    """The workers that were seen within the last minute."""
    with context.store.read() as db:
        now = context.store.now_ms(db)
        alive = workers.c.seen_at_ms >= now - SEEN_MS
        rows = list(db.execute(select(workers).where(alive).order_by(workers.c.started_at_ms)))
    return {
        "data": [
            {
                "workerId": row.id,
                "host": row.host,
                "slots": row.slots,
                "running": row.running,
                "startedAtMs": row.started_at_ms,
                "seenAgoS": round((now - row.seen_at_ms) / 1000, 1),
            }
            for row in rows
        ]
    }
