"""Credentials that a test of a draft has renewed: stored sealed for a day, until the draft is saved.

A refresh token that is good once is spent by a test too. What came of it is found by what it was renewed from.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select

from kitestring import paths
from kitestring.config import Place, secret_places
from kitestring.server.auth.token_hash import digest
from kitestring.server.store.tables import consents

if TYPE_CHECKING:
    from kitestring.server.context import Context

LIFETIME_MS = 24 * 3_600_000


def secrets_of(config: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[Place, Any]:
    """The secrets of a configuration by their places."""
    return {place: value for place in secret_places(config, spec) if (value := paths.value_at(config, place))}


def spent_secrets(old: Mapping[str, Any], new: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[Place, Any]:
    """The secrets of `old` that are others in `new`."""
    return {place: value for place, value in secrets_of(old, spec).items() if paths.value_at(new, place) != value}


def remember(
    context: Context, workspace_id: str, old: Mapping[str, Any], new: Mapping[str, Any], spec: Mapping[str, Any]
) -> None:
    """Keep what differs between a draft and the configuration that it has become."""
    spent = spent_secrets(old, new, spec)
    body = json.dumps({"spent": list(spent.items()), "changes": list(differences(old, new))})
    with context.store.write() as db:
        until = context.store.now_ms(db) + LIFETIME_MS
        for key in {key_of(workspace_id, value) for value in spent.values()}:
            db.execute(delete(consents).where(consents.c.state_hash == key))
            sealed = {"sealed": context.secret_box.seal(body, key)}
            db.execute(insert(consents).values(state_hash=key, body=sealed, expires_at_ms=until))


def apply_renewals(
    context: Context, db: Connection, workspace_id: str, config: Mapping[str, Any], spec: Mapping[str, Any]
) -> dict[str, Any]:
    """A draft with its spent credentials replaced by those that a test has renewed."""
    current = copy.deepcopy(dict(config))
    keys = {key_of(workspace_id, value) for value in secrets_of(config, spec).values()}
    live = consents.c.state_hash.in_(keys) & (consents.c.expires_at_ms >= context.store.now_ms(db))
    for row in db.execute(select(consents).where(live)):
        body = json.loads(context.secret_box.open(row.body["sealed"], row.state_hash))
        if all(paths.value_at(config, place) == value for place, value in body["spent"]):
            for place, before, value in body["changes"]:
                if paths.value_at(config, place) == before:  # an option that was edited since stays
                    paths.set_value(current, place, value)
    return current


def differences(old: Any, new: Mapping[str, Any], at: Place = ()) -> Iterator[tuple[Place, Any, Any]]:
    """New and changed values: place, old value, new value."""
    for name, value in new.items():
        before = old.get(name) if isinstance(old, Mapping) else None
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            yield from differences(before, value, (*at, name))
        elif value != before:
            yield (*at, name), before, value


def key_of(workspace_id: str, secret: Any) -> str:
    return digest(f"draft {workspace_id} {secret}")
