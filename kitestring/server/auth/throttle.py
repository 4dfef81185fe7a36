"""Limits failed logins, per address and per account: guessing becomes slow, a typing error stays cheap."""

from __future__ import annotations

import ipaddress
import math

from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import IntegrityError

from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.store.tables import login_failures

WINDOW_MS = 15 * 60 * 1000
PER_ACCOUNT = 10
PER_ADDRESS = 50


def check(context: Context, address: str, account: str) -> None:
    """429 while there were too many failures in the last quarter of an hour."""
    with context.store.read() as db:
        _check(db, context.store.now_ms(db), address, account)


def count_attempt(context: Context, address: str, account: str) -> None:
    """Count an attempt before a password is looked at, so that many at once are counted too. 429 after too many."""
    with context.store.write() as db:
        now = context.store.now_ms(db)
        _check(db, now, address, account)
        db.execute(delete(login_failures).where(login_failures.c.since_ms < now - WINDOW_MS))
        for key, _ in _limits(address, account):
            mine, count = login_failures.c.key == key, login_failures.c["count"]
            increment = login_failures.update().where(mine).values(count=count + 1)
            if db.execute(increment).rowcount:
                continue
            try:
                with db.begin_nested():
                    db.execute(login_failures.insert().values(key=key, count=1, since_ms=now))
            except IntegrityError:
                db.execute(increment)


def forget_failures(context: Context, address: str, account: str) -> None:
    """Forget the failures of an account, and take the attempt back from the address.

    The other failures of the address stay: it may be guessing others' passwords as well.
    """
    (of_address, _), (of_account, _) = _limits(address, account)
    key, count = login_failures.c.key, login_failures.c["count"]
    with context.store.write() as db:
        db.execute(delete(login_failures).where(key == of_account))
        db.execute(login_failures.update().where(key == of_address, count > 0).values(count=count - 1))


def _check(db: Connection, now: int, address: str, account: str) -> None:
    for key, most in _limits(address, account):
        counted = select(login_failures.c["count"], login_failures.c.since_ms).where(login_failures.c.key == key)
        count, since_ms = db.execute(counted).one_or_none() or (0, 0)
        if count >= most and now - since_ms < WINDOW_MS:
            wait_s = math.ceil((since_ms + WINDOW_MS - now) / 1000)
            raise Problem(
                429,
                "too many logins failed",
                hint=f"Try again in {math.ceil(wait_s / 60)} minutes.",
                headers={"Retry-After": str(wait_s)},
            )


def _limits(address: str, account: str) -> list[tuple[str, int]]:
    return [(f"address {_network(address)}"[:200], PER_ADDRESS), (_account(account), PER_ACCOUNT)]


def _network(address: str) -> str:
    """Who is one caller: an IPv4 address, or a /64 of IPv6, in which one subscriber has 2**64 addresses to choose from
    (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


def _account(account: str) -> str:
    return f"account {account.strip().lower()}"[:200]
