"""Applications: a client id and a secret that act for a user, for programs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from kitestring.server.auth.token import Claim, issue_token, unauthorized
from kitestring.server.auth.token_hash import digest, matches, random_token
from kitestring.server.context import Context
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import applications, users


def create(db: Connection, user_id: str | None, name: str, now_ms: int) -> tuple[Row[Any], str]:
    """A new application and its secret, which is shown only once."""
    secret = random_token()
    row = {
        "id": new_id(),
        "user_id": user_id,
        "name": name,
        "secret_hash": digest(secret),
        "created_at_ms": now_ms,
    }
    db.execute(applications.insert().values(**row))
    return find(db, str(row["id"])), secret  # type: ignore[return-value]


def find(db: Connection, application_id: str) -> Row[Any] | None:
    """The row, or None."""
    return db.execute(select(applications).where(applications.c.id == application_id)).one_or_none()


def find_all(db: Connection, user_id: str | None) -> list[Row[Any]]:
    """The applications of a user, or those that were made while there was none."""
    theirs = applications.c.user_id.is_(None) if user_id is None else applications.c.user_id == user_id
    return list(db.execute(select(applications).where(theirs).order_by(applications.c.created_at_ms)))


def delete(db: Connection, application_id: str) -> None:
    """Remove one; its tokens end with it."""
    db.execute(applications.delete().where(applications.c.id == application_id))


def exchange(context: Context, client_id: str, client_secret: str) -> dict[str, Any]:
    """`{access_token, token_type, expires_in}` for a client id and its secret; 401 for others."""
    with context.store.read() as db:
        row = db.execute(
            select(applications.c.secret_hash, applications.c.user_id, users.c.disabled)
            .join(users, users.c.id == applications.c.user_id, isouter=True)
            .where(applications.c.id == client_id)
        ).one_or_none()
        configured = db.execute(select(users.c.id).limit(1)).first() is not None
    if not matches(client_secret, row.secret_hash if row else digest("")) or row is None:
        raise unauthorized("the client id or the client secret is wrong")
    if row.disabled:
        raise unauthorized("the user of this application is disabled")
    if row.user_id is None and configured:
        raise unauthorized("this application was made before the server had users, and belongs to none of them")
    seconds = context.settings.token_s
    return {
        "access_token": issue_token(context.secret_box, Claim(client_id, row.user_id), seconds),
        "token_type": "Bearer",
        "expires_in": seconds,
    }
