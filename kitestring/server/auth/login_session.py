"""Sessions of the web interface: a random cookie, of which the store keeps the hash, and a CSRF token made from it."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from kitestring.server.auth.token_hash import digest, random_token
from kitestring.server.store.tables import sessions

COOKIE = "kitestring_session"
CSRF_HEADER = "x-csrf-token"


@dataclass(frozen=True)
class LoginSession:
    """A new session: the value of its HttpOnly cookie, and until when it is valid."""

    cookie: str
    expires_at_ms: int


def open_session(db: Connection, user_id: str, now_ms: int, seconds: int) -> LoginSession:
    """Begin a session, and forget those that have expired."""
    session = LoginSession(random_token(), now_ms + seconds * 1000)
    db.execute(delete(sessions).where(sessions.c.expires_at_ms < now_ms))
    db.execute(
        sessions.insert().values(
            id_hash=digest(session.cookie), user_id=user_id, created_at_ms=now_ms, expires_at_ms=session.expires_at_ms
        )
    )
    return session


def user_of(db: Connection, cookie: str, now_ms: int) -> str | None:
    """The user of a session that has not expired."""
    rows = db.execute(
        select(sessions.c.user_id).where(sessions.c.id_hash == digest(cookie), sessions.c.expires_at_ms >= now_ms)
    )
    return rows.scalar_one_or_none()


def csrf_of(cookie: str) -> str:
    """The token that every changing call must carry in its header.

    Only a page of this server can ask for it: another site's page sends the cookie along and cannot read the answer.
    """
    return digest(f"csrf {cookie}")


def csrf_matches(token: str, cookie: str) -> bool:
    return hmac.compare_digest(token.encode(), csrf_of(cookie).encode())


def close_session(db: Connection, cookie: str) -> None:
    """End one session."""
    db.execute(delete(sessions).where(sessions.c.id_hash == digest(cookie)))


def close_all(db: Connection, user_id: str) -> None:
    """End every session of a user."""
    db.execute(delete(sessions).where(sessions.c.user_id == user_id))
