"""Authenticate a request: its credentials become a `Principal`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import time
from dataclasses import replace

from fastapi import Request
from sqlalchemy import select

from kitestring.server.auth import login_session, password, throttle, user
from kitestring.server.auth.application import exchange
from kitestring.server.auth.principal import Principal
from kitestring.server.auth.token import unauthorized, verify_token
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.store.tables import applications, users

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
ANONYMOUS = "anybody"
CACHE_S = 60.0


def authenticate(context: Context, request: Request) -> Principal:
    """The principal of a request's credentials: a bearer token, a user and password, or the cookie of a session.

    Without any: `anybody`, an admin, while no user is configured and only this machine reaches the server; else 401.
    Wrong credentials are 401 always.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return of_token(context, credentials.strip())
    if scheme.lower() == "basic":
        return of_basic(context, credentials.strip(), address_of(request), request.app.state.remembered)
    if scheme:
        raise unauthorized(f"{scheme} is no way to authenticate here")
    cookie = request.cookies.get(login_session.COOKIE)
    if cookie:
        principal = of_cookie(context, cookie, request)
        if principal is not None:
            return principal
    with context.store.read() as db:
        if context.settings.loopback and not user.configured(db):
            return Principal(ANONYMOUS, instance_admin=True)
    raise unauthorized("the request has no credentials")


def of_token(context: Context, token: str) -> Principal:
    """The principal of an application's token. Reads the store each time: a disabled user loses access at once."""
    claim = verify_token(context.secret_box, token)
    with context.store.read() as db:
        row = db.execute(select(applications).where(applications.c.id == claim.application_id)).one_or_none()
        if row is None or row.user_id != claim.user_id:
            raise unauthorized("the application of this token is gone")
        if row.user_id is None:
            if user.configured(db) or not context.settings.loopback:
                raise unauthorized("this application was made before the server had users, and belongs to none of them")
            return Principal(row.name, instance_admin=True, application_id=row.id)
        owner = user.by_id(db, row.user_id)
        if owner is None or owner.disabled:
            raise unauthorized("the user of this token is disabled")
        principal = user.principal_of(db, owner, f"{owner.email} ({row.name})")
        return replace(principal, application_id=row.id)


def of_basic(context: Context, credentials: str, address: str, cache: PasswordCache) -> Principal:
    """User and password, or client id and secret, in a header."""
    try:
        name, colon, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name = colon = secret = ""
    if not colon or "\0" in name:  # PostgreSQL takes no NUL, not even to look for it
        raise unauthorized("the credentials are not user:password in base64")
    if "@" not in name:
        return of_token(context, str(exchange(context, name, secret)["access_token"]))
    user_id = login(context, name, secret, address, cache)
    with context.store.read() as db:
        owner = user.by_id(db, user_id)
        if owner is None:
            raise unauthorized("the user is gone")
        return user.principal_of(db, owner)


def of_cookie(context: Context, cookie: str, request: Request) -> Principal | None:
    """The user of a session; None for a cookie of none. A call that changes something must show the CSRF token too."""
    with context.store.read() as db:
        user_id = login_session.user_of(db, cookie, context.store.now_ms(db))
        owner = user.by_id(db, user_id) if user_id else None
        if owner is None or owner.disabled:
            return None
        principal = user.principal_of(db, owner)
    if request.method not in SAFE_METHODS and not login_session.csrf_matches(
        request.headers.get(login_session.CSRF_HEADER, ""), cookie
    ):
        raise Problem(
            403,
            "the request carries a session's cookie and not its CSRF token",
            hint=f"Send csrfToken of /api/kitestring/v1/session as {login_session.CSRF_HEADER}.",
        )
    return principal


def reauthenticate(context: Context, request: Request, who: Principal) -> Principal | None:
    """The current principal of a request that was authenticated earlier; None if it would be refused now.

    For answers that go on for hours. That a token has expired meanwhile ends none of them; that the user, the session
    or the token's application is gone or locked out does.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    with context.store.read() as db:
        if scheme.lower() == "bearer":
            claim = verify_token(context.secret_box, credentials.strip(), expired=True)
            if db.execute(select(applications.c.id).where(applications.c.id == claim.application_id)).first() is None:
                return None
        if who.user_id is None:
            return None if user.configured(db) else who
        cookie = request.cookies.get(login_session.COOKIE, "")
        if not scheme and login_session.user_of(db, cookie, context.store.now_ms(db)) != who.user_id:
            return None
        owner = user.by_id(db, who.user_id)
        return None if owner is None or owner.disabled else user.principal_of(db, owner, who.name)


class PasswordCache:
    """Passwords that were right a moment ago, as a keyed hash: a client that sends one with each call does not pay
    for argon2 each time. The stored hash goes in, so that a changed password is another entry."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._until: dict[str, float] = {}

    def name(self, stored: str, password: str) -> str:
        return hashlib.blake2b(f"{stored}\0{password}".encode(), key=self._key).hexdigest()

    def has(self, name: str) -> bool:
        return self._until.get(name, 0.0) > time.monotonic()

    def add(self, name: str) -> None:
        if len(self._until) > 1000:
            self._until.clear()
        self._until[name] = time.monotonic() + CACHE_S


def login(context: Context, email: str, text: str, address: str, cache: PasswordCache | None = None) -> str:
    """The id of the user with this password. 401 for a wrong one, 429 after too many."""
    with context.store.read() as db:
        row = user.by_email(db, email)
    stored = row.password_hash if row is not None and not row.disabled else None
    if cache and stored and row is not None and cache.has(cache.name(stored, text)):
        throttle.check(context, address, email)
        return str(row.id)
    throttle.count_attempt(context, address, email)
    if not password.verify_password(text, stored) or row is None or stored is None:
        raise unauthorized("the user or the password is wrong")
    if cache:
        cache.add(cache.name(stored, text))
    if password.needs_rehash(stored):
        with context.store.write() as db:
            stored_hash = password.hash_password(text) if len(text) >= password.SHORTEST else stored
            db.execute(users.update().where(users.c.id == row.id).values(password_hash=stored_hash))
    throttle.forget_failures(context, address, email)
    return str(row.id)


def check_password(context: Context, user_id: str, text: str) -> None:
    """401 where this is not the user's password; counted as a login is."""
    with context.store.read() as db:
        row = user.by_id(db, user_id)
    account, address = row.email if row else user_id, f"of {user_id}"
    throttle.count_attempt(context, address, account)
    if not password.verify_password(text, row.password_hash if row else None):
        raise unauthorized("the password is wrong")
    throttle.forget_failures(context, address, account)


def address_of(request: Request) -> str:
    """The client address of a request."""
    return request.client.host if request.client else "local"
