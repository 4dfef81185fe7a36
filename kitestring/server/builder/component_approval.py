"""Approvals of Python components: an instance admin lets the exact text of a `components.py` run on this server.

An approval holds for one text, known by its SHA-256, in whatever manifest carries it; a text that differs by one byte
needs its own. The text is kept with the approval. Each use asks again (`digests`), so that a revocation counts from the
next process on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select

from kitestring.declarative.python_components import components_text, digest_of
from kitestring.errors import ConfigError
from kitestring.server.connectors.confinement import check_approval
from kitestring.server.http.problem import Problem
from kitestring.server.observability import audit
from kitestring.server.store.tables import component_approvals

if TYPE_CHECKING:
    from kitestring.server.settings import Settings
    from kitestring.server.store.store import Store


def digests(settings: Settings, store: Store) -> frozenset[str] | None:
    """The digests of the texts that are approved at this moment; None on a server that runs no Python components."""
    if not settings.runs_python_components:
        return None
    with store.read() as db:
        return frozenset(db.execute(select(component_approvals.c.digest)).scalars())


def find(db: Connection, digest: str) -> Any | None:
    """The approval of a text, or None."""
    return db.execute(select(component_approvals).where(component_approvals.c.digest == digest)).one_or_none()


def require(settings: Settings, store: Store, manifest: Mapping[str, Any]) -> None:
    """422 where a manifest carries a text that is not approved."""
    text = components_text(manifest)
    if text is None:
        return
    try:
        check_approval(text, digests(settings, store))
    except ConfigError as error:
        raise Problem(422, error.message, hint=error.hint) from None


def approve(settings: Settings, store: Store, digest: str, code: str) -> None:
    """Approve a text. 422 where the digest is not that of the text, or this server runs none."""
    if not settings.runs_python_components:
        raise Problem(
            422,
            "this server runs no Python components",
            hint="The operator can set KITESTRING_PYTHON_COMPONENTS.",
        )
    actual = digest_of(code)
    if actual != digest:
        raise Problem(
            422,
            f"the SHA-256 of the text is {actual}, and the approval is for {digest}",
            hint="Read the text as it is now, and approve that.",
        )
    with store.write() as db:
        if find(db, digest) is not None:
            return
        actor = audit.ACTOR.get() or "Kitestring"
        now = store.now_ms(db)
        db.execute(insert(component_approvals).values(digest=digest, code=code, approved_by=actor, approved_at_ms=now))
        audit.note(db, store, actor=actor, action="approve", kind="python_components", resource_id=digest)


def revoke(store: Store, digest: str) -> None:
    """Take an approval back. A process that runs the code now ends its work; no other one begins."""
    with store.write() as db:
        if db.execute(delete(component_approvals).where(component_approvals.c.digest == digest)).rowcount:
            actor = audit.ACTOR.get() or "Kitestring"
            audit.note(db, store, actor=actor, action="revoke", kind="python_components", resource_id=digest)
